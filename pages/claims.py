"""Claims: what the paper says, figure by figure, and what this store's runs say."""

from __future__ import annotations

import streamlit as st

from lgt.charts import verdict_chart
from lgt.claims import CLAIMS, Judgement, differences_frame
from lgt.ui import data, frame

LEAD = (
    "Every figure that has been tried, with the verdict of a rule that was written down before the runs. A figure that "
    "does not reproduce here is shown as such: these models are far smaller than the paper's."
)
BADGES = {"reproduced": "green", "not reproduced": "red", "too few seeds": "gray", "premise not met": "orange"}
RULES = """
The unit is the seed; none is left out. The quantity is transfer accuracy, the main task's exact match averaged over the
lengths between its own training length and the longer task's.

- **reproduced**: the mean difference over seeds is at least 0.10 and its 95% t interval lies above 0.
- **not reproduced**: the whole interval lies below 0.10.
- **too few seeds**: neither, or fewer seeds than the figure asks for.
- **premise not met**: a task was not learned where it was trained (below 0.95), so that the figure says nothing.

For claims 1 and 4 the difference is to the better of the two baselines, seed by seed; for a control the first two
verdicts change places. Nothing is corrected for there being many figures.
"""


def entry(judgement: Judgement) -> None:
    """One figure: verdict, statement, numbers, command."""
    experiment = judgement.experiment
    badge = f":{BADGES[judgement.outcome]}-badge[{judgement.outcome}]"
    st.markdown(f"{badge} **Figure {experiment.figures}**: {experiment.statement}")
    st.caption(
        f"{judgement.sentence()}. Preset {experiment.preset}. "
        f"Repeat with `.venv/bin/python -m lgt experiment {experiment.name} --database mine.db`."
    )


def main() -> None:
    judgements = data.read_judgements()
    tried = [one for one in judgements if one.seeds]
    if not tried:
        frame.empty_store()
        return
    st.altair_chart(
        verdict_chart(differences_frame(tried), frame.theme()), key="verdicts", theme=None, width="stretch"
    )  # fmt: skip
    for number, statement in CLAIMS.items():
        st.subheader(f"{number}. {statement}", anchor=False)
        for judgement in (one for one in judgements if one.experiment.claim == number):
            entry(judgement)
    with st.expander("How a verdict is reached"):
        st.markdown(RULES)


with frame.page("Claims", LEAD):
    main()
