"""What every head costs every task at every length that was measured, as plain values for a picture in the browser.

:func:`linked_heads` takes the frames of :mod:`lgt.store.queries` for one run. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lgt.core.config import RunConfig, TaskSpec
from lgt.core.records import Head
from lgt.recipes.labels import head_name

Values = list[float | None]
KEYS = ["step", "task", "length"]
DIGITS = 6
"""Decimals of a share. The browser rounds it once more, to whole percentages."""


def accuracy_without(scores: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``scores`` with ``correct`` and ``total`` of the whole model at their step, task and length, and
    ``accuracy_without``: its exact match minus ``accuracy_drop``, within [0, 1].

    The drop is measured with the first ``examples`` test prompts of a length, exact match with all ``total`` of them.
    So the difference is an estimate; it can leave [0, 1] by chance and is cut there. It is missing where either is.

    ``scores``: columns step, task, length, layer, head, accuracy_drop and examples; ``accuracy``: step, task, length,
    correct and total; both of one run.
    """
    counts = accuracy[[*KEYS, "correct", "total"]]
    rows = scores.merge(counts, on=KEYS, how="left", validate="many_to_one")
    return rows.assign(accuracy_without=(rows.correct / rows.total - rows.accuracy_drop).clip(0, 1))


def linked_heads(
    maps: pd.DataFrame, scores: pd.DataFrame, accuracy: pd.DataFrame, attention: pd.DataFrame, config: RunConfig
) -> dict[str, Any]:
    """One run's heads with everything that is stored about them.

    ``maps``: the mean over the lengths that are shown (:func:`lgt.metrics.maps.mean_map`); ``scores``, ``accuracy`` and
    ``attention``: ablation-map entries, counts and attention differences of the run's last step.

    ``heads``: names in the order of layer and head, which all lists over heads have. ``mapped``: the lengths with maps;
    ``shown``: those of ``maps``. ``tasks``: see :func:`_task`, the main task first, without tasks that have no map.
    ``attention``: by auxiliary task the mean attention-matrix difference from the main task over the shown lengths,
    one value a head; only tasks with such numbers.
    """
    heads = sorted(set(zip(maps.layer.astype(int).tolist(), maps["head"].astype(int).tolist(), strict=True)))
    mapped, shown = sorted(int(length) for length in scores.length.unique()), list(maps.attrs["lengths"])
    rows, named = accuracy_without(scores, accuracy), set(maps.task)
    differences = attention[attention.length.isin(shown) & (attention.task_a == config.main.task)]
    return {
        "heads": [head_name(*head) for head in heads],
        "mapped": mapped,
        "shown": shown,
        "tasks": [
            _task(spec, maps, rows[rows.task == spec.task], accuracy[accuracy.task == spec.task], mapped, heads)
            for spec in config.tasks if spec.task in named
        ],
        "attention": {
            spec.task: _of_heads(differences[differences.task_b == spec.task], "difference", heads)
            for spec in config.auxiliaries if (differences.task_b == spec.task).any()
        },
    }  # fmt: skip


def _task(
    spec: TaskSpec, maps: pd.DataFrame, rows: pd.DataFrame, accuracy: pd.DataFrame, mapped: list[int], heads: list[Head]
) -> dict[str, Any]:
    """One task: ``drops`` [heads], the mean over the shown lengths; ``curve``, (length, exact match) of the whole model
    at all lengths; and [mapped lengths]: ``accuracy`` of the whole model, from ``prompts`` each; ``without``
    [heads][lengths], where the drop was measured with ``examples`` prompts."""
    ordered = accuracy.sort_values("length")
    shares = dict(zip(ordered.length.astype(int), ordered.correct / ordered.total, strict=True))
    totals, examples = (dict(frame.groupby("length")[name].max()) for frame, name in
                        ((ordered, "total"), (rows, "examples")))  # fmt: skip
    table = rows.pivot_table(index=["layer", "head"], columns="length", values="accuracy_without")
    table = table.reindex(index=pd.MultiIndex.from_tuples(heads), columns=mapped)
    return {
        "task": spec.task,
        "role": spec.role,
        "training_length": spec.training_length,
        "drops": _of_heads(maps[maps.task == spec.task], "accuracy_drop", heads),
        "curve": [[length, _plain(share)] for length, share in shares.items()],
        "accuracy": [_plain(shares.get(length)) for length in mapped],
        "prompts": [int(totals.get(length, 0)) for length in mapped],
        "examples": [int(examples.get(length, 0)) for length in mapped],
        "without": [[_plain(share) for share in row] for row in table.to_numpy(dtype=float)],
    }


def _of_heads(rows: pd.DataFrame, measure: str, heads: Sequence[Head]) -> Values:
    """The mean of ``measure`` for each head; None where it was not measured."""
    means: Mapping[Any, float] = dict(rows.groupby(["layer", "head"])[measure].mean())
    return [_plain(means.get(head)) for head in heads]


def _plain(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), DIGITS)
