"""Claims: what the paper says, figure by figure, and what this store's runs say."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from lgt.experiments.claims import CLAIMS, latest, of_claim
from lgt.experiments.entries import replaced_sentence, scale_sentence
from lgt.experiments.judgements import Judgement, correlation_frame, differences_frame
from lgt.recipes.labels import provenance
from lgt.report.figures import figure, overviews
from lgt.ui import data, frame
from lgt.ui.drawing import draw
from lgt.ui.frame import badge

LEAD = (
    "The paper's figures as tests, each with the verdict of a written rule that code applies. What does not reproduce "
    "here is shown as such: these models are far smaller than the paper's."
)
OUTCOMES = ("reproduced", "not reproduced", "premise not met", "too few seeds")
EARLIER = "Earlier recipes of figures above; these do not count:"
RULES = """
Most rules were written before their runs; figures 3a, 4c and 8 (addition) had theirs already, and
`docs/CLAIMS.md` lists what was changed later. The unit is the seed; a seed that does not
count is named with the reason. For most figures the quantity is transfer accuracy, the main task's exact match
averaged over the lengths between its own training length and the longer task's.

- **reproduced**: the mean over seeds is at least 0.10 (a rank correlation: 0.30) and its 95% t interval lies above 0.
- **not reproduced**: the whole interval lies below that.
- **too few seeds**: neither, or fewer seeds than the figure asks for.
- **premise not met**: a task was not learned where it was trained (below 0.95), so that the figure says nothing.

For claims 1 and 4 the number is the difference to the better of the two baselines, seed by seed; for a control, to the
worse, and the first two verdicts change places. Claim 5 compares gains over the main task alone. Claim 6: the gap of
pairs more than a factor of two apart minus that of pairs a factor of two apart, each as a share of what it is when
nothing transfers. Claim 7: how much more transfer accuracy varies than accuracy at
trained lengths. Claim 8: Spearman's rho over checkpoints; "does not track" means that the interval lies within
0.30 of zero. Nothing is corrected for there being many figures.
"""


def entry(judgement: Judgement) -> None:
    """One figure: verdict, statement and numbers; opened, its runs drawn and how to repeat them."""
    experiment = judgement.experiment
    verdict = badge(judgement.verdict)
    label = f"{verdict} **{experiment.statement}** {judgement.headline()} · figure {experiment.figures}"
    with st.expander(label, key=experiment.name, bind="query-params") as box:
        if not box.open:
            return
        st.markdown(f"{judgement.sentence()}.")
        notes = (scale_sentence(experiment), replaced_sentence(experiment))
        st.caption(". ".join(note for note in notes if note) + ".")
        if judgement.runs:
            charts(judgement)
            if judgement.correlations:
                st.table(correlation_frame(judgement).set_index("seed"))
            runs = data.read_runs()
            st.caption(provenance(runs[runs.id.isin(judgement.runs)]))
        st.caption("Make these runs yourself:")
        st.code(
            f".venv/bin/python -m lgt experiment {experiment.name} --database mine.db", language="bash", wrap_lines=True
        )


def charts(judgement: Judgement) -> None:
    """The charts of a figure, the first one across the page."""
    name, accuracy, trajectory = (
        judgement.experiment.name,
        data.read_accuracy(judgement.runs),
        data.read_trajectory(judgement),
    )
    first, *others = figure(judgement, accuracy, trajectory, frame.theme())
    draw(first, key=f"chart-{name}-0")
    for place, (chart, column) in enumerate(zip(others, st.columns(max(2, len(others)), gap="medium"), strict=False)):
        with column:
            draw(chart, key=f"chart-{name}-{place + 1}")


def main() -> None:
    judgements = data.read_judgements()
    if not any(one.seeds for one in judgements):
        frame.empty_store()
        return
    current = latest(judgements)
    tried = [one for one in current if one.seeds]
    counts: Counter[str] = Counter(one.outcome for one in tried)
    shown = " · ".join(f"{badge(outcome)} **{counts[outcome]}**" for outcome in OUTCOMES if counts[outcome])
    st.markdown(f"{len(tried)} of {len(current)} tests have runs here" + (f": {shown}" if shown else "."))
    for place, chart in enumerate(overviews(differences_frame(tried), frame.theme())):
        draw(chart, key=f"verdicts-{place}", name=f"All verdicts {place + 1}")
    for number, statement in CLAIMS.items():
        st.subheader(f"{number}. {statement}", anchor=False)
        verdicts = (f"{badge(outcome)} {count}" for outcome, count in of_claim(judgements, number).items())
        st.markdown("So far: " + " · ".join(verdicts))
        for judgement in (one for one in current if one.experiment.claim == number):
            entry(judgement)
        earlier = [one for one in judgements if one.experiment.claim == number and one.experiment.replaced_by]
        if earlier:
            st.caption(EARLIER)
        for judgement in earlier:
            entry(judgement)
    st.caption(
        "Not tried here: pretrained language models (figures 9 and 15), the size of model and data, mixing many tasks."
    )
    with st.expander("How a verdict is reached"):
        st.markdown(RULES)


def render() -> None:
    """Draw the page."""
    with frame.page("Claims", LEAD):
        main()
