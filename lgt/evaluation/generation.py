"""The greedy answer of a model to one prompt, with probabilities and attention; heads can be knocked out.

Each token is chosen given the tokens that the model has written before, so one early mistake can cause others. The
output of a knocked-out head is its mean over a fixed set of test prompts at the same position, as in
:mod:`lgt.evaluation.ablation`.

Shapes: T tokens of the sequence, S tokens of the answer, H heads, dh channels per head.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lgt.core import bounds
from lgt.core.records import Head
from lgt.evaluation.head_replacement import continued, means_of, replaced
from lgt.evaluation.passes import evaluating, tokens_per_pass
from lgt.evaluation.reference import with_patterns
from lgt.model.batch import Batch
from lgt.model.cores import one_core
from lgt.model.network import Network
from lgt.tasks.prompts import Prompt
from lgt.tasks.vocabulary import EOS

LIKELY = 3  # number of most probable tokens that are kept for each step


@dataclass(frozen=True)
class Step:
    """One token of an answer. ``probability``: the model's probability of it. ``likely``: the most probable tokens with
    their probabilities, best first.

    ``given``: the token is part of the task's question (the queries of ``mqar``), so the model did not choose it.
    """

    token: int
    given: bool
    probability: float
    likely: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Answer:
    """The answer of a model. ``patterns`` float32 [layers, H, S, T]: the attention over the tokens read so far while
    the model writes token s; zero for later tokens. For a layer that is applied several times, the mean over its
    uses."""

    steps: tuple[Step, ...]
    patterns: NDArray[np.float32]

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer's tokens."""
        return tuple(step.token for step in self.steps)


def answer(network: Network, prompt: Prompt, off: Mapping[Head, Tensor] | None = None) -> Answer:
    """The greedy answer. It stops after the end token, or when it has as many tokens as the true answer.

    ``off`` maps heads to their replacement [uses, T or more, dh], see :func:`head_means`. Raises ConfigError when the
    true answer is too long.
    """
    bounds.ANSWER.check("answer", len(prompt.answer))
    asked = prompt.scored[: prompt.prompt_length + len(prompt.answer)]
    questions = not all(asked[prompt.prompt_length :])
    tokens = list(prompt.tokens[: prompt.prompt_length])
    with evaluating(network), one_core(), replaced(network, off or {}):
        for position in range(prompt.prompt_length, len(asked)):
            best = int(_logits(network, tokens)[-1].argmax()) if asked[position] else prompt.tokens[position]
            tokens.append(best)
            if best == EOS and not questions:
                break
        residual, uses = with_patterns(network, _row(network, tokens[:-1]))
        logits = network.logits(residual)[0, prompt.prompt_length - 1 :].cpu()  # [S, V]
        seen = torch.stack([torch.stack(of_layer).mean(0)[0, :, prompt.prompt_length - 1 :] for of_layer in uses])
    return Answer(_steps(logits.softmax(-1), tokens[prompt.prompt_length :], asked[prompt.prompt_length :]),
                  seen.cpu().numpy())  # fmt: skip


def _row(network: Network, tokens: list[int]) -> Tensor:
    return torch.tensor([tokens], device=network.device)


def _logits(network: Network, tokens: list[int]) -> Tensor:
    """Logits [T, V] of the next token after each of ``tokens``, on the CPU."""
    return network.logits(network.residual(_row(network, tokens)))[0].cpu()


def _steps(probabilities: Tensor, tokens: list[int], asked: tuple[bool, ...]) -> tuple[Step, ...]:
    """The steps of the answer ``tokens``, from ``probabilities`` [S, V]."""
    best = probabilities.topk(LIKELY)
    return tuple(
        Step(token, not scored, float(row[token]), tuple(zip(ids, values, strict=True)))
        for token, scored, row, ids, values in zip(
            tokens, asked, probabilities, best.indices.tolist(), best.values.tolist(), strict=False
        )
    )


def head_means(network: Network, batch: Batch, heads: Collection[Head], width: int) -> dict[Head, Tensor]:
    """The mean output of each of ``heads`` over ``batch``, [uses, width, dh], for each use of its layer and each
    position.

    At positions that no prompt of the batch reaches, it is the mean over all reached positions [D]. This is needed for
    answers that are longer than all answers of the batch.
    """
    size = max(1, tokens_per_pass(batch.tokens.device) // batch.tokens.shape[1])
    tokens, present = torch.split(batch.tokens, size), torch.split(batch.present, size)
    reached = int(batch.present.any(0).sum())
    with evaluating(network), one_core():
        means = means_of(network, tokens, present, heads)
        return {head: continued(values[:, :reached], width) for head, values in means.items()}
