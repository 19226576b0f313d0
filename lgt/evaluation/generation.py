"""One model answering one prompt: greedily, token by token, with probabilities, attention, and heads switched off.

Each token is chosen from what the model itself has written so far, as :func:`lgt.evaluation.exact_match.greedy_answers` does, so one
early mistake can lead to others. A head that is switched off puts out its mean over a fixed set of test prompts at the
same position, the definition of :mod:`lgt.evaluation.ablation`.

Shapes: T tokens of the sequence, S tokens of the answer, W width, H heads, dh = W / H.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lgt.evaluation.ablation import position_means
from lgt.evaluation.passes import evaluating, tokens_per_pass
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import Edit, edited, recorded
from lgt.tasks.prompts import Prompt
from lgt.tasks.vocabulary import EOS

Head = tuple[int, int]
"""(layer, head), both counted from 0."""
LIKELY = 3


@dataclass(frozen=True)
class Step:
    """One token of an answer. ``probability`` is what the model gave it; ``likely`` are its favourites, best first.

    ``given``: the token belongs to the task's question (the queries of ``mqar``) and was not the model's choice.
    """

    token: int
    given: bool
    probability: float
    likely: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Answer:
    """What a model wrote. ``patterns`` float32 [layers, H, S, T]: while writing token s, the attention over everything
    read so far, zero behind it."""

    steps: tuple[Step, ...]
    patterns: NDArray[np.float32]

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer's tokens."""
        return tuple(step.token for step in self.steps)


def answer(model: Decoder, prompt: Prompt, off: Mapping[Head, Tensor] | None = None) -> Answer:
    """The greedy answer, until the end token or as many tokens as the true answer has.

    ``off`` maps heads to their replacement [T or more, dh], see :func:`head_means`.
    """
    asked = prompt.scored[: prompt.prompt_length + len(prompt.answer)]
    questions = not all(asked[prompt.prompt_length :])
    tokens = list(prompt.tokens[: prompt.prompt_length])
    with evaluating(model), one_core(), replaced(model, off or {}):
        for position in range(prompt.prompt_length, len(asked)):
            best = int(model(torch.tensor([tokens]))[0, -1].argmax()) if asked[position] else prompt.tokens[position]
            tokens.append(best)
            if best == EOS and not questions:
                break
        with ExitStack() as stack:
            taps = [stack.enter_context(recorded(layer.attention.pattern)) for layer in model.blocks()]
            logits = model(torch.tensor([tokens[:-1]]))[0, prompt.prompt_length - 1 :]  # [S, V]
        patterns = torch.stack([pattern[0, :, prompt.prompt_length - 1 :] for (pattern,) in taps])
    return Answer(_steps(logits.softmax(-1), tokens[prompt.prompt_length :], asked[prompt.prompt_length :]),
                  patterns.numpy())  # fmt: skip


def _steps(probabilities: Tensor, tokens: list[int], asked: tuple[bool, ...]) -> tuple[Step, ...]:
    """The answer's tokens with their ``probabilities`` [S, V]."""
    best = probabilities.topk(LIKELY)
    return tuple(
        Step(token, not scored, float(row[token]), tuple(zip(ids, values, strict=True)))
        for token, scored, row, ids, values in zip(
            tokens, asked, probabilities, best.indices.tolist(), best.values.tolist(), strict=False
        )
    )


def head_means(model: Decoder, batch: Batch, heads: Collection[Head], width: int) -> dict[Head, Tensor]:
    """What each of ``heads`` puts out on average over ``batch`` at each position, [width, dh].

    At positions that no prompt of the batch reaches it is the mean of these means: a decision of ours, for
    answers that are longer than every one of the batch.
    """
    size = max(1, tokens_per_pass(batch.tokens.device) // batch.tokens.shape[1])
    rows = torch.split(torch.arange(len(batch)), size)
    with evaluating(model), one_core(), ExitStack() as stack:
        outputs = {
            (layer, head): stack.enter_context(recorded(model.blocks()[layer].attention.head_outputs))
            for layer, head in heads
        }
        for part in rows:
            model.residual(batch.tokens[part])
        there = [batch.present[part] for part in rows]
        reached = int(batch.present.any(0).sum())
        return {
            head: _continued(position_means([values[:, head[1]] for values in found], there)[:reached], width)
            for head, found in outputs.items()
        }


def _continued(means: Tensor, width: int) -> Tensor:
    """``means`` [reached, dh] cut or continued with their own mean to [width, dh]."""
    beyond = means.mean(0).expand(max(0, width - len(means)), -1)
    return torch.cat((means[:width], beyond))


@contextmanager
def one_core() -> Iterator[None]:
    """Inside the block PyTorch uses one core: operations this small wait longer for a second one than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def replaced(model: Decoder, off: Mapping[Head, Tensor]) -> Iterator[None]:
    """Inside the block each head of ``off`` puts out its replacement, whatever it is given."""
    with ExitStack() as stack:
        for (layer, head), mean in off.items():
            tap = model.blocks()[layer].attention.head_outputs
            stack.enter_context(edited(tap, _replacing(head, mean)))
        yield


def _replacing(head: int, mean: Tensor) -> Edit:
    def edit(value: Tensor) -> Tensor:  # [B, H, T, dh]
        value = value.clone()
        value[:, head] = mean[: value.shape[2]]
        return value

    return edit
