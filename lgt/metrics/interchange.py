"""How much of the loss comes back when heads get the outputs that they have in another task's pass.

The rows are those of :func:`lgt.store.queries.interchanges` of one run, measured by
:mod:`lgt.evaluation.interchange`. *Loss recovered* is 1 - (loss rise with the outputs of the other pass) / (loss rise
with mean outputs): 1 if the other task's outputs serve as well as the own ones, 0 if they are no better than the mean
over prompts, negative if they are worse. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from lgt.core.config import RunConfig
from lgt.core.records import Head, SourceInput
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, zone_lengths

NEEDED_DROP = 0.10
"""A task needs a head if its exact match falls by more than this share when the head has its mean output."""
LEAST_RISE = 0.1
"""If mean outputs raise the loss by less than this many nats per answer token, there is nothing to recover."""
Source = tuple[str, SourceInput]
"""The task of the other pass and the kind of its input."""


def needed_heads(rows: pd.DataFrame, task: str, lengths: Collection[int]) -> list[Head]:
    """The heads, (layer, head) from 0, that ``task`` needs at ``lengths``: see :data:`NEEDED_DROP`."""
    layers, heads = rows.layer.max(), rows["head"].max()  # these stand for all layers, all heads
    single = rows[(rows.layer < layers) & (rows["head"] < heads) & (rows.source_input == "mean")]
    own = single[(single.task == task) & single.length.isin(list(lengths))]
    drops = own.groupby(["layer", "head"]).accuracy_drop.mean()
    return [(int(layer), int(head)) for layer, head in drops[drops > NEEDED_DROP].index]


def loss_recovered(
    rows: pd.DataFrame, task: str, heads: Sequence[Head], lengths: Collection[int]
) -> dict[Source, float]:  # fmt: skip
    """Loss recovered of ``task`` by the outputs of every other pass, over ``heads`` (each replaced alone) and
    ``lengths`` (each with the same weight): 1 - the sum of their loss rises / the sum of those with mean outputs.

    Empty if the mean outputs raise the loss by less than :data:`LEAST_RISE` in sum.
    """
    chosen = rows[(rows.task == task) & rows.length.isin(list(lengths))]
    chosen = chosen[pd.MultiIndex.from_frame(chosen[["layer", "head"]]).isin(list(heads))]
    by_head = chosen.groupby(["source_task", "source_input", "layer", "head"], sort=False).loss_rise.mean()
    sums = by_head.groupby(["source_task", "source_input"], sort=False).sum().reset_index()
    rises: dict[Source, float] = {(of, how): rise for of, how, rise in sums.itertuples(index=False, name=None)}
    lost = rises.get((task, "mean"), 0.0)
    return {source: 1 - rise / lost for source, rise in rises.items() if source[1] != "mean" and lost >= LEAST_RISE}


@dataclass(frozen=True)
class Interchange:
    """What a run's interchanges say about its main task in the transfer region. All numbers are from 0 to 1; a loss
    recovered below 0 counts as 0.

    ``heads``: those that the main task needs at trained lengths. ``closest``: the auxiliary task whose outputs recover
    most at *trained* lengths, so that the choice does not use the numbers of the transfer region. ``same`` and
    ``other``: loss recovered by its outputs for the same input and for another one; ``control``: by those of the
    control task for the same input. All are 0 if there is nothing to recover.
    """

    heads: tuple[Head, ...]
    closest: str
    same: float
    other: float
    control: float


def interchange(rows: pd.DataFrame, config: RunConfig) -> Interchange | None:
    """The summary of one run; ``None`` if no auxiliary task, or no control task, was interchanged with the main
    task."""
    main = config.main
    zones = zone_lengths(map(int, rows.length.unique()), main.training_length, config.transfer_length)
    lengths = {name: zones.get(name, []) for name in (IN_DISTRIBUTION, TRANSFER_REGION)}
    sources = set(rows[(rows.task == main.task) & (rows.source_input == "same")].source_task)
    known = {role: [spec.task for spec in config.tasks if spec.role == role and spec.task in sources]
             for role in ("auxiliary", "control")}  # fmt: skip
    if not all(known.values()):
        return None
    heads = needed_heads(rows, main.task, lengths[IN_DISTRIBUTION])
    trained, found = (loss_recovered(rows, main.task, heads, of) for of in lengths.values())
    closest = max(known["auxiliary"], key=lambda task: trained.get((task, "same"), float("-inf")))

    def share(task: str, how: SourceInput) -> float:
        return min(1.0, max(0.0, found.get((task, how), 0.0)))

    control = known["control"][0]
    return Interchange(tuple(heads), closest, share(closest, "same"), share(closest, "other"), share(control, "same"))


def recovered_by_place(rows: pd.DataFrame, task: str, lengths: Collection[int], needed: Sequence[Head]) -> pd.DataFrame:
    """Loss recovered of ``task`` by head and by layer: columns ``layer``, ``head`` (as in the rows), ``source_task``,
    ``source_input``, ``loss_recovered`` and ``lost``, the rise of the loss with mean outputs (nats per answer token).

    The places are the ``needed`` heads, each whole layer and all heads; those where mean outputs cost less than
    :data:`LEAST_RISE` are left out.
    """
    layers, heads = int(rows.layer.max()), int(rows["head"].max())
    of_mean = rows[(rows.task == task) & (rows.source_input == "mean") & rows.length.isin(list(lengths))]
    lost = of_mean.groupby(["layer", "head"]).loss_rise.mean()
    found = [
        (*place, *source, share, float(lost[place]))
        for place in (*needed, *((layer, heads) for layer in range(layers + 1)))
        for source, share in loss_recovered(rows, task, [place], lengths).items()
    ]
    columns = ["layer", "head", "source_task", "source_input", "loss_recovered", "lost"]
    return pd.DataFrame(found, columns=columns)
