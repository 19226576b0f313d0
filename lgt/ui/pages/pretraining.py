"""Pretraining: how far a pretrained language model gets on a task after a few steps, beside its controls."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts import series_overlay
from lgt.core.plain_text import for_markdown
from lgt.experiments.experiment import Experiment
from lgt.experiments.judgements import Judgement
from lgt.experiments.pretraining import PRETRAINING
from lgt.metrics.by_seed import transfer_by_seed
from lgt.recipes.commands import experiment_command
from lgt.recipes.labels import task_title
from lgt.ui import data, frame
from lgt.ui.drawing import draw, view_shows

LEAD = (
    "Does pretraining on text help a network to use a task at lengths that it was not trained on? A pretrained model "
    "and controls without its structure are trained on short examples for a few steps and tested on longer ones."
)
LIMITS = (
    "The first three series have the architecture of SmolLM2-135M and see the same data. What shuffled and random "
    "weights reach in so few steps is not what they could reach with more. The small network is trained until it has "
    "learned the task at trained lengths; it differs in size and recipe, too. The plan: docs/PREREGISTRATION.md, "
    "section 3."
)
FIRST = PRETRAINING[0]


def series_of(experiment: Experiment) -> dict[int, str]:
    """The name of the series of each finished run with a planned seed, by its id, in the order of the series."""
    runs = data.read_runs()
    if runs.empty:
        return {}
    done = runs[runs.state == "done"].drop_duplicates("config_hash", keep="last")
    ids = dict(zip(done.config_hash, done.id, strict=True))
    hashes = ((str(series), make(seed).hash())
              for series, make in experiment.series.items() for seed in experiment.planned)  # fmt: skip
    return {int(ids[key]): series for series, key in hashes if key in ids}


def curves_of(series: dict[int, str]) -> pd.DataFrame:
    """The main task's counts of these runs at every measured step, with their ``series`` and in their order."""
    rows = data.read_accuracy(list(series), "all")
    places = {run_id: place for place, run_id in enumerate(series)}
    rows = rows[rows.role == "main"].assign(series=lambda of: of.run_id.map(series))
    order = rows.run_id.map(places)
    return rows.assign(order=order).sort_values(["order", "step", "length"], ignore_index=True).drop(columns="order")


def after_last_step(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last measured step; the series are named with it."""
    return named_by_step(rows[rows.step == rows.groupby("run_id").step.transform("max")])


def by_step(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first series at all of its steps, each of which is a series here."""
    first = rows[rows.series == str(next(iter(FIRST.series)))].sort_values("step", kind="stable")
    return named_by_step(first)


def named_by_step(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with the number of optimizer steps in the name of each series."""
    names = [f"{name}, after {step:,} steps" for name, step in zip(rows.series, rows.step, strict=True)]
    return rows.assign(series=names)


def show_curves(rows: pd.DataFrame) -> None:
    """All series after their last step, and the first one at each step."""
    last, steps = after_last_step(rows), by_step(rows)
    longest = int(rows.length.max())
    for column, of, key, title in zip(
        st.columns(2, gap="large"), (last, steps), ("last", "steps"),
        ("The pretrained model beside its controls", "The pretrained model step by step"), strict=True,
    ):  # fmt: skip
        with column:
            st.subheader(title, anchor=False)
            names = {str(name): "" for name in dict.fromkeys(of.series)}
            # No run here has a longer task, so the chart gets no training length of one.
            curves = of.drop(columns="step").assign(transfer_length=float("nan"))
            draw(
                series_overlay, curves, frame.theme(), key=f"pretraining-{key}", name=title,
                table=of, names=names, longest=longest,
            )  # fmt: skip


def sentence(rows: pd.DataFrame) -> str:
    """What the finished runs show after their last step: the transfer accuracy of each series."""
    main, end = FIRST.example().main, FIRST.example().transfer_length
    parts = []
    for series, of in rows.groupby("series", sort=False):
        found = transfer_by_seed(of[of.step == of.groupby("run_id").step.transform("max")])
        if found is not None:
            parts.append(f"{series} {found.text()}")
    lengths = f"lengths {main.training_length + 1} to {end}, trained to {main.training_length}"
    return f"{task_title(main.task)} at {lengths}: " + ", ".join(parts)


def show_verdicts(judgements: list[Judgement]) -> None:
    """A line for each planned comparison: its verdict and its numbers."""
    for one in judgements:
        said = for_markdown(one.sentence()) if one.seeds else ""
        st.markdown(f"{frame.badge(one.verdict)} {for_markdown(one.experiment.statement)} {said}")


def main() -> None:
    series = series_of(FIRST)
    if not series:
        st.info("No finished run of this experiment yet. These commands install the model (98 MB) and make the runs.",
                icon=":material/science:")  # fmt: skip
        st.code(f"make pretrained\n{experiment_command(FIRST.name)}", language="bash", wrap_lines=True)
        return
    rows = curves_of(series)
    view_shows(FIRST.name)
    st.markdown(f"**{for_markdown(sentence(rows))}**")
    show_curves(rows)
    st.caption(
        "The verdicts count only the planned seeds in which every run of their series has finished. The bold line and "
        "the charts have all finished runs."
    )
    names = {one.name for one in PRETRAINING}
    show_verdicts([one for one in data.read_judgements() if one.experiment.name in names])
    st.caption(LIMITS)


def render() -> None:
    """Draw the page."""
    with frame.page("Pretraining", LEAD):
        main()
