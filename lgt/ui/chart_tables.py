"""The table of a chart as a viewer downloads it: the numbers behind the picture, with the columns of
:mod:`lgt.store.columns`.

Everything here also works outside a session, because Streamlit makes a file when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from lgt.charts import LIGHT
from lgt.charts.overlay import overlay_curves
from lgt.charts.series import beside_counts, with_curves
from lgt.charts.training import with_zone_curves
from lgt.experiments.registry import made_by
from lgt.experiments.seeds import seeds_text
from lgt.metrics.length_grid import relative_gap
from lgt.recipes.commands import experiment_command
from lgt.store.library import Source, run_name
from lgt.store.readable import readable, runs_table
from lgt.ui.drawing import Drawn

RENAMED: Mapping[str, Mapping[str, str]] = {
    "verdict_chart": {
        "figure": "experiment", "outcome": "verdict", "difference": "value", "low": "mean_low", "high": "mean_high",
    },
    "transfer_matrix": {
        "main": "main_task", "auxiliaries": "auxiliary_tasks", "control": "unrelated", "gain": "transfer_gain",
        "low": "transfer_gain_low", "high": "transfer_gain_high", "n": "seeds",
    },
    "series_differences": {
        "difference": "accuracy_difference", "low": "accuracy_difference_low", "high": "accuracy_difference_high",
        "n": "seeds",
    },
    "answer_row": {"row": "row_title", "text": "token", "state": "token_state"},
    "attention_map": {
        "step": "place", "position": "seen_position", "token": "seen_token", "part": "seen_part",
        "weight": "attention_share",
    },
    "maze_picture": {
        "number": "move", "open": "passage", "x": "from_column", "y": "from_row", "x2": "to_column", "y2": "to_row",
    },
}  # fmt: skip
"""By chart function: the columns whose names say what they hold only beside the chart."""
LEFT_OUT = ("last",)
"""Columns that only the chart or its page needs."""


def chart_table(drawn: Drawn, source: Source) -> pd.DataFrame:
    """The readable table of a chart; ``source`` has the runs whose ids are in it. Empty for a chart without numbers.

    Raises StoreError when the store cannot be read.
    """
    if drawn.table.empty:
        return pd.DataFrame()
    rows = ADDED[drawn.chart](drawn.table, drawn.options) if drawn.chart in ADDED else drawn.table
    rows = rows.rename(columns=dict(RENAMED.get(drawn.chart, {}))).drop(columns=list(LEFT_OUT), errors="ignore")
    if "run_ids" in rows:
        rows = rows.assign(runs=[names_of(source, text) for text in rows.run_ids]).drop(columns="run_ids")
    return readable(rows, source)


def names_of(source: Source, ids: str) -> str:
    """The names of the runs whose ids ``ids`` lists, separated by spaces."""
    return " ".join(run_name(source, int(run_id)) for run_id in ids.split())


def _curve(table: pd.DataFrame, options: Mapping[str, Any]) -> pd.DataFrame:
    return with_curves(table, LIGHT, options.get("band_choice", "min-max"))


def _overlay(table: pd.DataFrame, options: Mapping[str, Any]) -> pd.DataFrame:
    curves = overlay_curves(table, options.get("band_choice", "min-max"))
    return beside_counts(table, curves, ["length"])


def _zones(table: pd.DataFrame, options: Mapping[str, Any]) -> pd.DataFrame:
    return with_zone_curves(table, LIGHT, options.get("band_choice", "min-max"))


def _relative(table: pd.DataFrame, _: Mapping[str, Any]) -> pd.DataFrame:
    cells = zip(table.gap, table.main_length, table.auxiliary_length, strict=True)
    shares = [float("nan") if main == other else relative_gap(gap, main, other) for gap, main, other in cells]
    return table.assign(relative_gap=shares)


def _positions_from_one(table: pd.DataFrame, _: Mapping[str, Any]) -> pd.DataFrame:
    return table.assign(position=table.position + 1)


def _without_kind(table: pd.DataFrame, _: Mapping[str, Any]) -> pd.DataFrame:
    return table.drop(columns="kind")


def _matters(table: pd.DataFrame, options: Mapping[str, Any]) -> pd.DataFrame:
    limit = options.get("threshold")
    return table if limit is None else table.assign(threshold=limit, matters=table.accuracy_drop > limit)


ADDED: Mapping[str, Callable[[pd.DataFrame, Mapping[str, Any]], pd.DataFrame]] = {
    "series_overlay": _overlay, "length_accuracy": _curve, "training_curves": _zones,
    "gap_by_ratio": _relative, "gap_grid": _relative, "attention_map": _positions_from_one,
    "answer_row": _without_kind, "sharing_graph": _matters,
}  # fmt: skip
"""By chart function: what the picture shows beside the columns of its table."""


# --- the runs behind charts -------------------------------------------------------------------------------------


def run_ids(charts: Iterable[Drawn]) -> list[int]:
    """The ids of the runs that these charts show."""
    found: set[int] = set()
    for table in (chart.table for chart in charts):
        if "run_id" in table:
            found |= {int(run_id) for run_id in table.run_id.unique()}
        if "run_ids" in table:
            found |= {int(run_id) for text in table.run_ids for run_id in text.split()}
    return sorted(found)


def runs_and_commands(charts: Iterable[Drawn], source: Source) -> tuple[pd.DataFrame, list[str]]:
    """The readable table of the runs that these charts show, and the commands that make them again: that of one
    experiment if it makes all of them, those of the figures where there are verdicts, else one for each run."""
    shown = list(charts)
    ids = run_ids(shown)
    if not ids:
        return pd.DataFrame(), []
    table = runs_table(source, ids)
    figures = [name for chart in shown if chart.chart == "verdict_chart" for name in chart.table.figure]
    if figures:
        return table, [experiment_command(name) for name in dict.fromkeys(figures)]
    seeds = {int(seed) for seed in table.model_seed}
    experiment = made_by(set(table.config_hash), seeds)
    if experiment:
        return table, [experiment_command(experiment.name, seeds_text(seeds))]
    return table, table.command.fillna("").tolist()
