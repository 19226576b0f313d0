"""The definition of a partition: what each sequence of a batch may use of the network's heads and channels.

A head that a sequence's task may not use puts out zero, before the output projection. A feed-forward channel that it
may not use has the inner activation zero. The task is the one whose tag stands second in the sequence. Everything else
is shared: embeddings, queries, keys and values, norms, unembedding. Attention patterns are computed for all heads, also
for those whose output is zero.

With ``random-K`` every training example uses K of the H heads, the same ones in each layer, and no factor. Without
drawn heads, so in every measurement, all heads are used and each output is multiplied by K / H. This is the rule of
dropout (Srivastava et al. 2014, section 4): the sum over heads, which the output projection forms, then has the mean
that it had in training. It is one network for all prompts, but not the network of any single draw.

Shapes: B sequences, T tokens, H heads, F feed-forward channels, K tasks that the partition names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lgt.core.config import ModelConfig
from lgt.core.parts import Part, Range, partition_of
from lgt.tasks import task_named
from lgt.tasks.vocabulary import TAG

TAG_PLACE = 1  # <bos>, then the task's tag


class Used(NamedTuple):
    """Factors for the output of each head [B, H] and for the inner activation of each feed-forward channel [B, F]."""

    heads: Tensor
    channels: Tensor


class TaskParts(nn.Module):
    """The partition of one network, from tokens to :class:`Used`. Its tensors are no part of the network's state."""

    tags: Tensor
    unused_heads: Tensor
    unused_channels: Tensor

    def __init__(self, config: ModelConfig, by_task: Mapping[str, Part]) -> None:
        """``by_task``: see :func:`lgt.core.parts.parts_by_task`. Raises ConfigError for an unknown task, and ValueError
        if the partition has entries and ``by_task`` has none."""
        super().__init__()
        self.by_task, partition = dict(by_task), partition_of(config)
        if partition.parts and not by_task:
            raise ValueError(f"model.parts={config.parts}: the decoder needs lgt.core.parts.parts_by_task(config)")
        self.factor = 1.0 if partition.drawn is None else partition.drawn / config.heads
        tags = [TAG[task_named(task).name] for task in by_task]
        self.of_tasks("tags", torch.tensor(tags, dtype=torch.int64))  # [K]
        self.of_tasks("unused_heads", outside([part.heads for part in by_task.values()], config.heads))  # [K, H]
        self.of_tasks("unused_channels", outside([part.channels for part in by_task.values()], config.hidden))  # [K, F]

    def of_tasks(self, name: str, values: Tensor) -> None:
        """Keep a tensor that moves with the network to its device and is not stored."""
        self.register_buffer(name, values, persistent=False)

    def forward(self, tokens: Tensor, drawn: Tensor | None = None) -> Used:
        """What the sequences tokens [B, T], T > 1, may use. ``drawn`` [B, H] (bool): the heads drawn for each."""
        named = torch.eq(tokens[:, TAG_PLACE, None], self.tags).float()  # [B, K], at most one 1 in a row
        heads = 1 - named @ self.unused_heads
        return Used(heads * self.factor if drawn is None else drawn.float(), 1 - named @ self.unused_channels)


def outside(ranges: list[Range], count: int) -> Tensor:
    """For each range [K], 1 for the numbers below ``count`` that are not in it and 0 for those in it; [K, count]."""
    numbers = torch.arange(count)
    rows = [((numbers < first) | (numbers > last)).float() for first, last in ranges]
    return torch.stack(rows) if rows else torch.zeros(0, count)
