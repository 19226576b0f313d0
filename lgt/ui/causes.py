"""What the experiments say that change which heads the tasks may share: the causal half of the evidence on heads."""

from __future__ import annotations

import streamlit as st

from lgt.experiments.judgements import Judgement
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.rules.necessary import Necessary
from lgt.report.figures import resolve
from lgt.ui import data, frame
from lgt.ui.drawing import draw

TITLE = "Does transfer need shared heads?"
TEXT = (
    "Maps and knock-outs show which heads a trained network uses. They cannot show whether transfer *needs* shared "
    "heads. For that, other networks were trained in which each task could use only some of the heads, during training "
    "and after it. Rule, seeds and runs of the first experiment below were fixed before its first run. Two of the "
    "others were added to the plan later, and it says when."
)


def show_causes() -> None:
    """The experiments with partitioned heads that have finished seeds: of the primary ones each run's transfer and the
    verdict, of the others the verdict."""
    claims = {one.claim for one in EXPERIMENTS.values() if isinstance(one.rule, Necessary)}
    names = [one.name for one in EXPERIMENTS.values() if one.claim in claims and one.rule is not None]
    found = [one for one in map(data.read_judgement, names) if one.seeds]
    if not found:
        return
    st.subheader(TITLE, anchor=False)
    st.markdown(TEXT)
    for judgement in found:
        if isinstance(judgement.rule, Necessary):
            show_cause(judgement)
    others = [one for one in found if not isinstance(one.rule, Necessary)]
    st.markdown("\n".join(f"- {verdict_line(one)}" for one in others))


def verdict_line(judgement: Judgement) -> str:
    """The statement of an experiment, its verdict, its number, and a link to all numbers, for Markdown."""
    return (
        f"**{judgement.experiment.statement}** {frame.badge(judgement.verdict)} {judgement.headline()} · "
        f"[all numbers and the rule](claims?{judgement.experiment.name}=true)"
    )


def show_cause(judgement: Judgement) -> None:
    """One experiment: its verdict, and every seed of every series."""
    name = judgement.experiment.name
    st.markdown(verdict_line(judgement))
    chart, *_ = resolve(judgement.charts(data.read_accuracy(judgement.runs)), frame.theme())
    draw(chart, key=f"cause-{name}", name=f"Transfer by heads ({name})", table=judgement.with_runs(chart.args[0]))
