"""How much of the loss comes back when heads get the outputs that they have in another task's pass.

The rows are those of :func:`lgt.store.queries.interchanges` of one run, measured by
:mod:`lgt.evaluation.interchange`. *Loss recovered* is 1 - (loss rise with the outputs of the other pass) / (loss rise
with mean outputs): 1 if the other task's outputs serve as well as the own ones, 0 if they are no better than the mean
over prompts, negative if they are worse. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lgt.core.config import RunConfig
from lgt.core.records import Head, SourceInput
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, Zone, zone_lengths

NEEDED_DROP = 0.10
"""A task needs a head if its mean output costs more than this share of exact match, averaged over the lengths."""
LEAST_RISE = 0.1
"""If mean outputs raise the loss by less than this many nats per answer token, there is nothing to recover."""
DRAWS = 9_999
"""Random assignments of the control task in :func:`permutation_p`."""
Source = tuple[str, SourceInput]
"""The task of the other pass and the kind of its input."""
Shares = Mapping[str, tuple[float, float]]
"""Loss recovered by each task's outputs for the same input: at trained lengths, and in the transfer region."""


def lengths_by_zone(rows: pd.DataFrame, config: RunConfig) -> dict[Zone, list[int]]:
    """The lengths of ``rows`` that were trained and those of the transfer region of the main task of ``config``."""
    zones = zone_lengths(map(int, rows.length.unique()), config.main.training_length, config.transfer_length)
    return {name: zones.get(name, []) for name in (IN_DISTRIBUTION, TRANSFER_REGION)}


def needed_heads(rows: pd.DataFrame, config: RunConfig, lengths: Collection[int]) -> list[Head]:
    """The heads, (layer, head) from 0, that the main task needs at ``lengths``: see :data:`NEEDED_DROP`."""
    model = config.model
    single = rows[(rows.layer < model.layers) & (rows["head"] < model.heads) & (rows.source_input == "mean")]
    own = single[(single.task == config.main.task) & single.length.isin(list(lengths))]
    drops = own.groupby(["layer", "head"]).accuracy_drop.mean()
    return [(int(layer), int(head)) for layer, head in drops[drops > NEEDED_DROP].index]


def loss_recovered(
    rows: pd.DataFrame, task: str, heads: Sequence[Head], lengths: Collection[int]
) -> dict[Source, float]:  # fmt: skip
    """Loss recovered of ``task`` by the outputs of every other pass, over ``heads`` (each replaced alone) and
    ``lengths`` (each with the same weight): 1 - the sum of their loss rises / the sum of those with mean outputs.

    A source without a number for one of these heads and lengths is left out. Empty if that is so for the mean outputs,
    or if they raise the loss by less than :data:`LEAST_RISE` in sum.
    """
    chosen = rows[(rows.task == task) & rows.length.isin(list(lengths))]
    chosen = chosen[pd.MultiIndex.from_frame(chosen[["layer", "head"]]).isin(list(heads))]
    keys = ["source_task", "source_input", "layer", "head", "length"]
    table = chosen.set_index(keys).loss_rise.unstack(["layer", "head", "length"]) if len(chosen) else pd.DataFrame()
    if table.shape[1] < len(heads) * len(set(lengths)) or (task, "mean") not in table.dropna().index:
        return {}
    rises = table.dropna().sum(axis=1) / len(set(lengths))
    lost = float(rises[task, "mean"])
    if lost < LEAST_RISE:
        return {}
    sources = zip(*(rises.index.get_level_values(level) for level in (0, 1)), rises, strict=True)
    return {(str(of), how): 1 - float(rise) / lost for of, how, rise in sources if how != "mean"}


@dataclass(frozen=True)
class Interchange:
    """What a run's interchanges say about its main task in the transfer region. A loss recovered below 0 counts as 0,
    one above 1 as 1.

    ``heads``: those that the main task needs at trained lengths. ``closest``: the auxiliary task whose outputs recover
    most at *trained* lengths, so that the choice does not use the numbers of the transfer region; the first one if
    there is nothing to recover. ``same`` and ``other``: loss recovered by its outputs for the same input and for
    another one; ``control``: by those of the control task for the same input. ``shares``: see :data:`Shares`.
    ``defined``: whether there was a loss to recover; if not, all shares are 0. ``drops``: what the exact match loses
    with the outputs of ``closest`` for the same input, and with mean outputs (means over the needed heads).
    """

    heads: tuple[Head, ...]
    closest: str
    same: float
    other: float
    control: float
    shares: Shares
    defined: bool
    drops: tuple[float, float]


def interchange(rows: pd.DataFrame, config: RunConfig) -> Interchange | None:
    """The summary of one run; ``None`` if no auxiliary task, or no control task, was interchanged with the main
    task."""
    main, lengths = config.main.task, lengths_by_zone(rows, config)
    sources = set(rows[(rows.task == main) & (rows.source_input == "same")].source_task)
    known = {role: [spec.task for spec in config.tasks if spec.role == role and spec.task in sources]
             for role in ("auxiliary", "control")}  # fmt: skip
    if not all(known.values()):
        return None
    heads = needed_heads(rows, config, lengths[IN_DISTRIBUTION])
    trained, found = (loss_recovered(rows, main, heads, of) for of in lengths.values())
    shares = {task: (trained.get((task, "same"), float("-inf")), _share(found, task, "same"))
              for task in (*known["auxiliary"], known["control"][0])}  # fmt: skip
    closest = _closest(shares, known["auxiliary"])
    other = _share(found, closest, "other")
    drops = (_mean_drop(rows, main, heads, lengths[TRANSFER_REGION], of) for of in ((closest, "same"), (main, "mean")))
    first, second = drops
    return Interchange(
        tuple(heads), closest, shares[closest][1], other, shares[known["control"][0]][1], shares, bool(found),
        (first, second),
    )  # fmt: skip


def _share(found: Mapping[Source, float], task: str, how: SourceInput) -> float:
    return min(1.0, max(0.0, found.get((task, how), 0.0)))


def _closest(shares: Shares, among: Collection[str]) -> str:
    return max(among, key=lambda task: shares[task][0])


def _mean_drop(
    rows: pd.DataFrame, task: str, heads: Sequence[Head], lengths: Collection[int], source: tuple[str, str]
) -> float:
    of = rows[(rows.task == task) & (rows.source_task == source[0]) & (rows.source_input == source[1])]
    of = of[of.length.isin(list(lengths)) & pd.MultiIndex.from_frame(of[["layer", "head"]]).isin(list(heads))]
    return float(of.accuracy_drop.mean()) if len(of) else 0.0


def permutation_p(shares: Sequence[Shares], control: str) -> float:
    """How often the control task differs as much from the closest other task if any of the tasks could be the control.

    The best of several tasks has an advantage over one task, also if all are alike. So in each seed a task is drawn as
    the control, and the closest of the others, chosen as in :func:`interchange`, is compared with it. The result is
    the share of these draws, the real one included, whose mean difference over seeds is at least the real one.
    """
    tasks = list(shares[0])
    table = np.array([[_difference(of, drawn) for drawn in tasks] for of in shares])  # [seeds, tasks]
    real = table[:, tasks.index(control)].mean()
    chosen = np.random.default_rng(0).integers(len(tasks), size=(DRAWS, len(shares)))
    means = table[np.arange(len(shares)), chosen].mean(axis=1)
    return float((1 + (means >= real - 1e-12).sum()) / (1 + DRAWS))


def _difference(shares: Shares, control: str) -> float:
    closest = _closest(shares, [task for task in shares if task != control])
    return shares[closest][1] - shares[control][1]


def recovered_by_place(
    rows: pd.DataFrame, config: RunConfig, lengths: Collection[int], needed: Sequence[Head]
) -> pd.DataFrame:
    """Loss recovered of the main task by head and by layer: columns ``layer``, ``head`` (as in the rows),
    ``source_task``, ``source_input``, ``loss_recovered`` and ``lost``, the rise of the loss with mean outputs (nats per
    answer token).

    The places are the ``needed`` heads, each whole layer and all heads; those where mean outputs cost less than
    :data:`LEAST_RISE` are left out.
    """
    task, layers, heads = config.main.task, config.model.layers, config.model.heads
    of_mean = rows[(rows.task == task) & (rows.source_input == "mean") & rows.length.isin(list(lengths))]
    lost = of_mean.groupby(["layer", "head"]).loss_rise.mean()
    found = [
        (*place, *source, share, float(lost[place]))
        for place in (*needed, *((layer, heads) for layer in range(layers + 1)))
        for source, share in loss_recovered(rows, task, [place], lengths).items()
    ]
    columns = ["layer", "head", "source_task", "source_input", "loss_recovered", "lost"]
    return pd.DataFrame(found, columns=columns)
