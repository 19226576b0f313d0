"""Claims: what the paper says, figure by figure, and what this store's runs say."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from lgt.core.plain_text import for_markdown
from lgt.experiments.claims import CLAIMS, counting, verdict_counts
from lgt.experiments.judgements import Judgement
from lgt.experiments.numbers import signed
from lgt.experiments.tables import correlation_frame, overview_charts
from lgt.experiments.verdicts import OUTCOMES
from lgt.experiments.words import replaced_sentence, scale_sentence
from lgt.metrics.by_seed import LEARNED
from lgt.recipes.commands import experiment_command
from lgt.recipes.labels import provenance
from lgt.report.figures import Chart, resolve
from lgt.ui import data, frame
from lgt.ui.drawing import draw
from lgt.ui.frame import badge

LEAD = (
    "Each figure of the paper is tested here, and a written rule gives the verdict. Figures that are not reproduced "
    "are shown, too. The models here are far smaller than the paper's. Claims 9 and 10 go beyond the paper."
)
MEANINGS = "\n".join(f"- **{outcome}**: {meaning.words}." for outcome, meaning in OUTCOMES.items())
EARLIER = "Earlier attempts at these figures, with another recipe. They do not count:"
VERDICTS = f"""
Most rules were written before their runs. The runs of figures 3a, 4c and 8 (addition) are older than their rules.
`docs/CLAIMS.md` lists later changes of the rules. A rule gives one number for each seed. If a seed does not count, the
verdict names the seed and the reason. Transfer accuracy is the main task's exact match, averaged over the lengths above
its own training length, up to the training length of the longer task.

{MEANINGS}

A task counts as learned from an exact match of {LEARNED:.2f} on. Experiments with seeds from 100 up are preregistered:
their rules, seeds and runs were written down in `docs/PREREGISTRATION.md` before their first run, and later changes
are dated there. Their verdicts are corrected for the number of tests. The other verdicts are not. The colour of a
verdict is about the statement beside it, not about the claim above it. The rules and their numbers:
"""


def rules_text(judgements: list[Judgement]) -> str:
    """Every rule in words, with the claims that it judges and the smallest number that counts."""
    claims: dict[tuple[str, str, float], list[int]] = {}
    for one in judgements:
        claims.setdefault((one.rule.name, one.rule.words, one.rule.smallest), []).append(one.experiment.claim)
    return "\n".join(
        f"- *{name}* (claim {', '.join(map(str, sorted(set(numbers))))}; smallest number that counts: {smallest:.2f}): "
        f"{words}"
        for (name, words, smallest), numbers in claims.items()
    )


def entry(judgement: Judgement) -> None:
    """One figure: verdict, statement and numbers; opened, its runs drawn and how to repeat them."""
    experiment = judgement.experiment
    verdict = badge(judgement.verdict)
    label = f"{verdict} **{experiment.statement}** {judgement.headline()} · {experiment.source}"
    with st.expander(label, key=experiment.name, bind="query-params") as box:
        if not box.open:
            return
        st.markdown(f"{judgement.sentence()}.")
        notes = (scale_sentence(experiment), replaced_sentence(experiment))
        st.caption(". ".join(note for note in notes if note) + ".")
        if judgement.runs:
            charts(judgement)
            correlations = correlation_frame(judgement)
            if not correlations.empty:
                st.table(correlations.set_index("seed"))
            table = runs_by_seed(judgement)
            if len(table.columns) > 1 and not experiment.grid_lengths:
                st.caption("The numbers of every seed; each opens its run:")
                st.table(table, border="horizontal", width="content")
            runs = data.read_runs()
            st.caption(for_markdown(provenance(runs[runs.id.isin(judgement.runs)])))
        st.caption("Make these runs yourself:")
        st.code(experiment_command(experiment.name), language="bash", wrap_lines=True)


def runs_by_seed(judgement: Judgement) -> pd.DataFrame:
    """The number of each seed and series, as Markdown: a link to the run behind it. The last column is the rule's."""
    rows = []
    for seed, of in judgement.ids.items():
        ids = dict(of)
        if len(of) == 1:  # its only run gives all numbers
            ids = {series: run_id for run_id in of.values() for series in judgement.measured.values}
        cells = {
            for_markdown(str(series), in_table=True): f"[{values[seed]:.2f}](runs?run={data.name(ids[series])})"
            for series, values in judgement.measured.values.items()
            if series in ids and seed in values
        }
        number = judgement.numbers.get(seed)
        rows.append({"seed": str(seed)} | cells | {judgement.rule.quantity: signed(number)})
    return pd.DataFrame(rows).set_index("seed")


def charts(judgement: Judgement) -> None:
    """The charts of a figure: the first one across the page, the others in rows of two or three."""
    name, source = judgement.experiment.name, judgement.experiment.source
    figure = f"{source[:1].upper()}{source[1:]} ({name})"
    first, *others = resolve(judgement.charts(data.read_accuracy(judgement.runs)), frame.theme())
    draw(first, key=f"chart-{name}-0", name=figure, table=table_of(judgement, first))
    wide = 3 if len(others) in (3, 5, 6, 9) else 2
    places = [column for _ in range(0, len(others), wide) for column in st.columns(wide, gap="medium")]
    for place, (chart, column) in enumerate(zip(others, places, strict=False)):
        with column:
            shown = chart.keywords.get("title") or f"chart {place + 2}"
            draw(chart, key=f"chart-{name}-{place + 1}", name=f"{figure} {shown}", table=table_of(judgement, chart))


def table_of(judgement: Judgement, chart: Chart) -> pd.DataFrame | None:
    """The first table of a chart, with the ids of the runs in it; ``None`` for a chart that is given no table."""
    table = next((part for part in chart.args if isinstance(part, pd.DataFrame)), None)
    return None if table is None else judgement.with_runs(table)


def claim(judgements: list[Judgement], number: int) -> None:
    """The figures of one claim, the replaced ones last."""
    verdicts = (f"{badge(outcome)} {count}" for outcome, count in verdict_counts(judgements, number).items())
    st.markdown("So far: " + " · ".join(verdicts))
    for judgement in counting(judgements):
        entry(judgement)
    earlier = [one for one in judgements if one.experiment.replaced_by]
    if earlier:
        st.caption(EARLIER)
    for judgement in earlier:
        entry(judgement)


def main() -> None:
    """The whole page below its heading."""
    judgements = data.read_judgements()
    if not any(one.seeds for one in judgements):
        frame.empty_store()
        return
    current = counting(judgements)
    tried = [one for one in current if one.seeds]
    counts: Counter[str] = Counter(one.outcome for one in tried)
    shown = " · ".join(f"{badge(outcome)} **{counts[outcome]}**" for outcome in OUTCOMES if counts[outcome])
    st.markdown(f"{len(tried)} of {len(current)} tests have runs here" + (f": {shown}" if shown else "."))
    for place, chart in enumerate(resolve(overview_charts(tried), frame.theme())):
        draw(chart, key=f"verdicts-{place}", name=f"All verdicts {place + 1}")
    for number, statement in CLAIMS.items():
        st.subheader(f"{number}. {statement}", anchor=False)
        claim([one for one in judgements if one.experiment.claim == number], number)
    st.caption(
        "Not tried here: checkpoints along the pretraining of a language model (figures 9 and 15), other sizes of "
        "model and data, and mixtures of many tasks."
    )
    with st.expander("How a verdict is reached"):
        st.markdown(VERDICTS + rules_text(judgements))


def render() -> None:
    """Draw the page."""
    with frame.page("Claims", LEAD, evidence=True):
        main()
