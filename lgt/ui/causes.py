"""What the experiments say that change a network instead of only looking at it: the causal half of the evidence on
heads."""

from __future__ import annotations

import streamlit as st

from lgt.charts import interchange_grid
from lgt.experiments.judgements import Judgement
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.rules.interchange import InterchangeRule
from lgt.experiments.rules.necessary import Necessary
from lgt.metrics.interchange import lengths_by_zone, needed_heads, recovered_by_place
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION
from lgt.recipes.labels import replaced_name
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
SAME_TITLE = "Do these heads put out the same in both tasks?"
SAME_TEXT = (
    "Two tasks may use a head for different things. Here the network reads a prompt of the main task, but one of the "
    "heads that the task needs gets the output that it has while the same network does **another task**. If most of "
    "the loss comes back with an auxiliary task and the same input, and little with a control task or with another "
    "input, the head puts out something that serves both tasks. The rule was fixed before the first run and made "
    "stricter later; the plan says when."
)
GRID_HELP = (
    "Columns: the heads that the main task needs at trained lengths, then whole layers and all heads, which the "
    "verdict does not use. Where mean outputs cost less than 0.1 nats, the column is left out. *Worse*: these outputs "
    "do more harm than mean outputs. *Input with the same answer*: the other task reads another input, to which its "
    "right answer is that of the main task."
)


def show_causes() -> None:
    """The experiments with partitioned heads and those with interchanges, as far as they have finished seeds."""
    show_partitions()
    show_interchanges()


def finished(*rules: type) -> list[Judgement]:
    """The judgements with finished seeds of the claims that rules of these classes judge."""
    claims = {one.claim for one in EXPERIMENTS.values() if isinstance(one.rule, rules)}
    names = [one.name for one in EXPERIMENTS.values() if one.claim in claims and one.rule is not None]
    return [one for one in map(data.read_judgement, names) if one.seeds]


def show_partitions() -> None:
    """Of the primary experiments each run's transfer and the verdict, of the others the verdict."""
    found = finished(Necessary)
    if not found:
        return
    st.subheader(TITLE, anchor=False)
    st.markdown(TEXT)
    for judgement in found:
        if isinstance(judgement.rule, Necessary):
            show_cause(judgement)
    others = [one for one in found if not isinstance(one.rule, Necessary)]
    st.markdown("\n".join(f"- {verdict_line(one)}" for one in others))


def show_interchanges() -> None:
    """Of each experiment every seed's loss recovered and the verdict, and one network head by head."""
    found = finished(InterchangeRule)
    if not found:
        return
    st.subheader(SAME_TITLE, anchor=False)
    st.markdown(SAME_TEXT)
    for judgement in found:
        show_cause(judgement)
        show_one_network(judgement)


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
    draw(chart, key=f"cause-{name}", name=f"Every seed ({name})", table=judgement.with_runs(chart.args[0]))


def show_one_network(judgement: Judgement) -> None:
    """The interchanges of one seed, head by head; the viewer chooses the seed."""
    name = judgement.experiment.name
    if not judgement.numbers:
        return
    seed = st.selectbox("Seed", list(judgement.numbers), key=f"seed-{name}", width=160)
    run_id = next(iter(judgement.ids[seed].values()))
    rows, config = data.read_interchanges([run_id]), data.read_run(run_id).config
    lengths, (layers, heads) = lengths_by_zone(rows, config), (config.model.layers, config.model.heads)
    needed = needed_heads(rows, config, lengths[IN_DISTRIBUTION])
    table = recovered_by_place(rows, config, lengths[TRANSFER_REGION], needed)
    named = table.assign(
        head=[replaced_name(*place, layers, heads) for place in zip(table.layer, table["head"], strict=True)],
        task=config.main.task, run_id=run_id,
    ).drop(columns="layer")  # fmt: skip
    draw(
        interchange_grid, table, frame.theme(), task=config.main.task, layers=layers, heads=heads,
        run=data.name(run_id), key=f"network-{name}", name=f"One network, head by head ({name})", table=named,
    )  # fmt: skip
    st.caption(GRID_HELP)
