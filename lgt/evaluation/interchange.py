"""Interchange: a task with the head outputs that the network has when it does another task.

Definition (interchange interventions, Geiger et al. 2021): the network reads prompts of a *source task* with their
right answers, and the outputs of its heads, before the output projection, are recorded. Then it reads prompts of the
task that is measured, while chosen heads have the recorded outputs instead of their own: row by row, at every position.
So both prompts must have the same layout; pairs of tasks for which this does not hold give no rows. A head whose output
serves both tasks can be replaced without loss. Mean ablation is measured beside it: the same heads with their mean
outputs.

Only pairs with the main task are measured, in both directions. The heads that are replaced together: each single head,
head h of all layers, each layer, and all heads.

Shapes: B examples, T positions, L layers, H heads of a layer, dh channels of a head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.records import Head, InterchangeRow, SourceInput
from lgt.evaluation.attention import comparable
from lgt.evaluation.head_replacement import replaced
from lgt.evaluation.passes import evaluating
from lgt.evaluation.reference import answer_scores, head_outputs
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.network import Network, ensure_no_edits
from lgt.tasks import task_named
from lgt.tasks.base import BODY_START

Outputs = Mapping[Head, Tensor]
"""The output of each head, by use of its layer: [uses, B, T, dh], or [uses, 1, T, dh] for all rows."""


def interchange_rows(network: Network, config: RunConfig, lengths: list[int]) -> list[InterchangeRow]:
    """Exact match and loss of every pair at each of ``lengths``, on ``evaluation.interchange_examples`` test prompts or
    on all if there are fewer.

    Raises RuntimeError if a hook point of ``network`` has edits.
    """
    ensure_no_edits(network)
    main, others = config.main.task, [spec.task for spec in config.tasks if spec.role != "main"]
    sources = {main: others, **{task: [main] for task in others}}
    with evaluating(network):
        return [
            row
            for task, of_task in sources.items()
            for length in lengths
            for row in rows_of(network, config, task, of_task, length)
        ]


def rows_of(
    network: Network, config: RunConfig, task: str, source_tasks: list[str], length: int
) -> Iterator[InterchangeRow]:  # fmt: skip
    """The rows of one task at one length: with mean outputs, then with those of every source."""
    count = config.evaluation.interchange_examples
    batch = test_set(config, task, length, count).to(network.device)
    sources = [
        (name, source_input, source)
        for name in source_tasks
        for source_input, source in source_batches(batch, test_set(config, name, length, count), name).items()
    ]
    if not sources:
        return
    own = head_outputs(network, batch.tokens)
    everywhere: list[tuple[str, SourceInput, Outputs]] = [
        (task, "mean", {head: of.mean(1, keepdim=True) for head, of in own.items()})
    ]
    recorded = ((name, how, head_outputs(network, source.tokens.to(network.device))) for name, how, source in sources)
    intact = _scores(network, batch, {})
    for name, how, outputs in (*everywhere, *recorded):
        for (layer, head), heads in choices(network.layer_count, network.head_count).items():
            match, loss = _scores(network, batch, {one: outputs[one] for one in heads})
            yield InterchangeRow(
                task, name, how, length, layer, head, intact[0] - match, loss - intact[1], len(batch)
            )  # fmt: skip


def choices(layers: int, heads: int) -> dict[Head, list[Head]]:
    """The heads that are replaced together, by the (layer, head) of their row: see
    :class:`lgt.core.records.InterchangeRow`.

    >>> choices(1, 2)
    {(0, 0): [(0, 0)], (0, 1): [(0, 1)], (0, 2): [(0, 0), (0, 1)], (1, 0): [(0, 0)], (1, 1): [(0, 1)], \
(1, 2): [(0, 0), (0, 1)]}
    """

    def among(chosen: int, count: int) -> range:
        return range(count) if chosen == count else range(chosen, chosen + 1)

    return {
        (layer, head): [(one, other) for one in among(layer, layers) for other in among(head, heads)]
        for layer in range(layers + 1)
        for head in range(heads + 1)
    }


def source_batches(batch: Batch, source: Batch, source_task: str) -> dict[SourceInput, Batch]:
    """The prompts of ``source_task`` whose head outputs go into ``batch``, row by row, by the kind of their input.

    ``source``: test prompts of ``source_task`` of the same length. Empty if the layouts differ or the inputs are not
    the same.
    """
    if not comparable(batch, source) or not torch.equal(_bodies(batch), _bodies(source)):
        return {}
    found: dict[SourceInput, Batch] = {"same": source}
    if len(source) > 1:
        found["other"] = replace(source, tokens=source.tokens.roll(1, dims=0))
    answered = _with_answers_of(batch, source, source_task)
    return found if answered is None else found | {"same answer": answered}


def _bodies(batch: Batch) -> Tensor:
    return batch.tokens[:, BODY_START : int(batch.prompt_length[0])]


def _with_answers_of(batch: Batch, source: Batch, source_task: str) -> Batch | None:
    """``source`` with the inputs to which its task's right answers are those of ``batch``; ``None`` if the task has no
    such inputs."""
    start = int(batch.prompt_length[0])
    end = int(batch.present[0].sum()) - 1  # before the end token
    answers = batch.tokens[:, start:end]
    bodies = task_named(source_task).bodies_with_answers(answers.cpu().numpy())
    if bodies is None or bodies.shape[1] != start - BODY_START:
        return None
    tokens = source.tokens.clone()
    tokens[:, BODY_START:start] = torch.from_numpy(bodies)
    tokens[:, start:end] = answers
    return replace(source, tokens=tokens)


def _scores(network: Network, batch: Batch, outputs: Outputs) -> tuple[float, float]:
    """Mean exact match and mean loss (nats) of ``batch`` while the heads of ``outputs`` have these outputs."""
    with replaced(network, outputs):
        match, loss = answer_scores(network, batch)
    return float(match.double().mean()), float(loss.double().mean())
