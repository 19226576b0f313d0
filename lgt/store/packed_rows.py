"""The rows of the packed tables of schema 3: from columns of measured values to one row, and back.

A row belongs to one run, step and task (or pair of tasks). Its columns of values are flat: one element for each length,
or for each length, layer and head. What a row stores is described in :mod:`lgt.store.schema_measured`. A migration uses
this module: see :mod:`lgt.store.packing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lgt.store import packing
from lgt.store.packing import Numbers

Columns = Mapping[str, Numbers]
"""Flat columns of equal length."""
Row = Mapping[str, Any]
"""The packed columns of one row by name."""
NEAR = 1e-7
"""An accuracy drop this near to a count of right answers is stored as the count. It is measured as one, in float32."""


@dataclass(frozen=True)
class Kind:
    """How one kind of measurement is packed: ``keys`` name a value, ``reals`` may be missing, ``lists`` are texts."""

    keys: tuple[str, ...]
    values: tuple[str, ...]
    reals: tuple[str, ...]
    stored: tuple[str, ...]
    lists: tuple[str, ...]
    pack: Callable[[Columns], dict[str, Any]]
    unpack: Callable[[Row], dict[str, Numbers]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the flat columns."""
        return (*self.keys, *self.values)

    def merged(self, before: Row | None, new: Columns) -> dict[str, Any]:
        """The row that has the values of the row ``before`` and the ``new`` ones. Of equal keys the last one counts."""
        old = self.unpack(before) if before is not None else {}
        both = {name: np.concatenate([old[name], new[name]]) if old else new[name] for name in self.columns}
        last = {key: place for place, key in enumerate(zip(*(both[name].tolist() for name in self.keys), strict=True))}
        order = [last[key] for key in sorted(last)]
        return self.pack({name: values[order] for name, values in both.items()})


def columns_of(kind: Kind, records: Mapping[str, list[Any]]) -> dict[str, Numbers]:
    """Flat columns from lists of Python values. ``None`` is a missing real."""
    return {
        name: np.array(records[name], np.float64 if name in kind.reals else np.int64) for name in kind.columns
    }  # fmt: skip


def _pack_accuracy(columns: Columns) -> dict[str, Any]:
    lengths, correct, total = (columns[name] for name in ("length", "correct", "total"))
    wrong = (correct < 0) | (correct > total)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"counts of length {lengths[at]}: {correct[at]} right of {total[at]}")
    return {
        "lengths": packing.number_list(lengths), "totals": packing.number_list(total),
        "correct": packing.pack_counts(correct),
    }  # fmt: skip


def _unpack_accuracy(row: Row) -> dict[str, Numbers]:
    lengths, totals = packing.numbers(row["lengths"]), packing.numbers(row["totals"])
    if len(totals) != len(lengths):
        raise ValueError(f"{len(totals)} totals for {len(lengths)} lengths")
    return {"length": lengths, "correct": packing.unpack_counts(row["correct"], len(lengths)), "total": totals}


def _grid(row: Row, stored: str, least_bytes: int) -> tuple[Numbers, Numbers, Numbers]:
    """The length, layer and head of every cell, in the order in which a row stores them.

    Raises ValueError when the row's ``stored`` bytes are fewer than ``least_bytes`` a cell: no more cells are made than
    there are bytes.
    """
    lengths, layers, heads = row["lengths"], row["layers"], row["heads"]
    cells = len(packing.numbers(lengths)) * max(layers, 0) * max(heads, 0)
    if not 0 < cells * least_bytes <= len(row[stored]):
        raise ValueError(f"{len(row[stored])} bytes for {cells} cells")
    return _kept_cells(lengths, layers, heads) if cells <= packing.KEPT else _cells_of(lengths, layers, heads)


def _cells_of(lengths: str, layers: int, heads: int) -> tuple[Numbers, Numbers, Numbers]:
    given = packing.numbers(lengths)
    length = np.repeat(given, layers * heads)
    layer = np.tile(np.repeat(np.arange(layers, dtype=np.int64), heads), len(given))
    head = np.tile(np.arange(heads, dtype=np.int64), len(given) * layers)
    return length, layer, head


_kept_cells = lru_cache(maxsize=256)(_cells_of)


def _cells(columns: Columns) -> tuple[dict[str, Any], Numbers, int]:
    """The packed lengths, layers and heads of a row, the cell of each value, and the number of cells."""
    lengths, place = np.unique(columns["length"], return_inverse=True)
    layers, heads = int(columns["layer"].max()) + 1, int(columns["head"].max()) + 1
    if min(int(columns["layer"].min()), int(columns["head"].min())) < 0:
        raise ValueError("a negative layer or head")
    shape = {"lengths": packing.number_list(lengths), "layers": layers, "heads": heads}
    return shape, (place * layers + columns["layer"]) * heads + columns["head"], len(lengths) * layers * heads


def _spread(values: Numbers, cells: Numbers, count: int) -> Numbers:
    filled = np.zeros(count, values.dtype)
    filled[cells] = values
    return filled


def _pack_map(columns: Columns) -> dict[str, Any]:
    shape, cells, count = _cells(columns)
    there = _spread(np.ones(len(cells), bool), cells, count)
    drop, rise, examples = (_spread(columns[name], cells, count) for name in ("accuracy_drop", "loss_rise", "examples"))
    missing = np.isnan(drop) | ~there
    known = np.where(missing, 0.0, drop)
    with np.errstate(invalid="ignore"):
        lost = np.rint(np.clip(known * examples, -(2.0**53), 2.0**53))
        counted = bool((np.abs(lost / np.maximum(examples, 1) - known) <= NEAR).all())
    return shape | {
        "examples": packing.number_list(examples), "loss_rises": packing.pack_reals(rise, there),
        "lost": packing.pack_differences(lost, missing) if counted else None,
        "drops": None if counted else packing.pack_reals(drop, there),
    }  # fmt: skip


def _unpack_map(row: Row) -> dict[str, Numbers]:
    length, layer, head = _grid(row, "loss_rises", 4)
    rise, there = packing.unpack_reals(row["loss_rises"], len(length))
    examples = packing.numbers(row["examples"])
    if len(examples) != len(length):
        raise ValueError(f"{len(examples)} numbers of examples for {len(length)} cells")
    if row["lost"] is None:
        drop, _ = packing.unpack_reals(row["drops"], len(length))
    else:
        lost, missing = packing.unpack_differences(row["lost"], len(length))
        drop = np.where(missing, np.nan, lost / np.maximum(examples, 1))
    columns = {"length": length, "layer": layer, "head": head, "accuracy_drop": drop, "loss_rise": rise,
               "examples": examples}  # fmt: skip
    return columns if there.all() else {name: values[there] for name, values in columns.items()}


def _pack_attention(columns: Columns) -> dict[str, Any]:
    shape, cells, count = _cells(columns)
    there = _spread(np.ones(len(cells), bool), cells, count)
    return shape | {"differences": packing.pack_reals(_spread(columns["difference"], cells, count), there)}


def _unpack_attention(row: Row) -> dict[str, Numbers]:
    length, layer, head = _grid(row, "differences", 4)
    difference, there = packing.unpack_reals(row["differences"], len(length))
    columns = {"length": length, "layer": layer, "head": head, "difference": difference}
    return columns if there.all() else {name: values[there] for name, values in columns.items()}


LOGGED = {"loss": "losses", "learning_rate": "learning_rates", "tokens_per_second": "speeds"}
"""The flat columns of a training log, and the packed column of each."""


def _pack_log(columns: Columns) -> dict[str, Any]:
    reals = {stored: packing.pack_reals(columns[name]) for name, stored in LOGGED.items()}
    return {"steps": packing.number_list(columns["step"]), **reals}


def _unpack_log(row: Row) -> dict[str, Numbers]:
    steps = packing.numbers(row["steps"])
    return {"step": steps} | {name: packing.unpack_reals(row[stored], len(steps))[0] for name, stored in LOGGED.items()}


ACCURACY = Kind(
    ("length",), ("correct", "total"), (), ("lengths", "totals", "correct"), ("lengths", "totals"),
    _pack_accuracy, _unpack_accuracy,
)  # fmt: skip
HEADS = ("length", "layer", "head")
MAP = Kind(
    HEADS, ("accuracy_drop", "loss_rise", "examples"), ("accuracy_drop", "loss_rise"),
    ("lengths", "layers", "heads", "examples", "lost", "drops", "loss_rises"), ("lengths", "examples"),
    _pack_map, _unpack_map,
)  # fmt: skip
ATTENTION = Kind(
    HEADS, ("difference",), ("difference",), ("lengths", "layers", "heads", "differences"), ("lengths",),
    _pack_attention, _unpack_attention,
)  # fmt: skip
LOG = Kind(("step",), tuple(LOGGED), tuple(LOGGED), ("steps", *LOGGED.values()), ("steps",), _pack_log, _unpack_log)
