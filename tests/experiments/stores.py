"""Stores with made-up runs. Seeds have gaps, totals differ by length and runs end at different steps, on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow, HeadScoreRow, InterchangeRow, SourceInput
from lgt.experiments.experiment import Experiment
from lgt.recipes.builders import CO_TRAINED, Series
from lgt.store import leases, writes
from lgt.store.engine import Engine

SEEDS = (0, 2, 7)
Share = Callable[[str, int], float]
"""Exact match, a multiple of 0.01, by role or task and length."""


def total(length: int) -> int:
    """Prompts of a length: not the same everywhere, so that pooling counts differs from averaging shares."""
    return 100 * (1 + length % 3)


def finished_run(
    store: Engine,
    config: RunConfig,
    share: Callable[[int, str, int], float],
    steps: Sequence[int],
    lengths: Iterable[int] = range(1, 21),
    head_scores: Callable[[int], list[HeadScoreRow]] | None = None,
) -> int:
    """A finished run with exact match ``share(step, task, length)`` at ``steps``; returns its id."""
    run_id = writes.create_run(store, config)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    for step in steps:
        rows = [
            AccuracyRow(spec.task, length, round(total(length) * share(step, spec.task, length)), total(length))
            for spec in config.tasks
            for length in lengths
        ]
        writes.record_accuracy(store, run_id, attempt, step, rows)
        if head_scores is not None:
            writes.record_head_scores(store, run_id, attempt, step, head_scores(step))
    leases.finish_run(store, run_id, attempt, "done")
    return run_id


def two_levels(store: Engine, config: RunConfig, right: float, beyond: float) -> int:
    """A run with accuracy ``right`` at the lengths that a task was trained on and ``beyond`` at longer ones."""
    trained = {spec.task: spec.training_length for spec in config.tasks}
    step = 900 + 10 * config.model_seed
    lengths = range(1, max(20, config.evaluation.maximum_length) + 1)
    return finished_run(
        store, config, lambda _, task, length: right if length <= trained[task] else beyond, [step], lengths
    )


def exchanged(
    store: Engine, config: RunConfig, recovered: Mapping[tuple[str, SourceInput], float], right: float = 1.0
) -> int:
    """A finished run with interchanges: ``recovered`` of what the mean output of head (0, 1) costs, by source task and
    input. The other head is not needed, and its numbers must not count."""
    run_id = writes.create_run(store, config)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    main, step, model = config.main.task, config.training.steps, config.model
    everything = {(main, "mean"): 0.0, **recovered}
    rows = [
        InterchangeRow(main, source, how, length, *place, cost / 8, cost * (1 - share if cost > 1 else 7.0), 64)
        for (source, how), share in everything.items() for length in (2, 5, 10, 13)
        for place in product(range(model.layers + 1), range(model.heads + 1))
        for cost in [4.0 if place == (0, 1) else 0.5]
    ]  # fmt: skip
    writes.record_interchanges(store, run_id, attempt, step, rows)
    accuracies = [
        AccuracyRow(spec.task, length, round(total(length) * right), total(length))
        for spec in config.tasks
        for length in range(1, config.evaluation.maximum_length + 1)
    ]
    writes.record_accuracy(store, run_id, attempt, step, accuracies)
    leases.finish_run(store, run_id, attempt, "done")
    return run_id


def fill(
    store: Engine,
    experiment: Experiment,
    beyond: Mapping[Series, float],
    right: Mapping[Series, float] | float = 1.0,
    seeds: Sequence[int] = SEEDS,
) -> None:
    """A finished run for every series and seed: ``beyond`` is its transfer accuracy, ``right`` that where trained."""
    for seed in seeds:
        for series, make in experiment.series.items():
            trained = right if isinstance(right, float) else right[series]
            two_levels(store, make(seed), trained, beyond[series])


def follow(
    store: Engine, experiment: Experiment, drop_of: Callable[[int], float], seeds: Sequence[int] = SEEDS
) -> None:
    """Runs in which transfer accuracy grows over ten checkpoints, while the ablation maps differ by
    ``drop_of(checkpoint)``. Checkpoints are further apart the later they are."""
    for seed in seeds:
        config = experiment.series[CO_TRAINED](seed)
        roles = {spec.task: spec.role for spec in config.tasks}
        number = {(100 + seed) * k * k: k for k in range(1, 11)}  # checkpoint by step

        def share(step: int, task: str, length: int, roles=roles, number=number) -> float:
            return 1.0 if roles[task] != "main" or length <= 8 else 0.09 * number[step]

        def scores(step: int, config=config, number=number) -> list[HeadScoreRow]:
            return [
                HeadScoreRow(spec.task, 3, layer, head, drop_of(number[step]) * (spec.role == "main"), 0.0, 64)
                for spec in config.tasks for layer in range(2) for head in range(4)
            ]  # fmt: skip

        finished_run(store, config, share, list(number), head_scores=scores)


def fill_grid(
    store: Engine,
    experiment: Experiment,
    gap_of: Callable[[int, int], float],
    learned: Callable[[int, int], bool] = lambda main, auxiliary: True,
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Every cell of a grid: auxiliaries are right up to the longer length, the main task is lower beyond its own, so
    that the gap is ``gap_of(Lm, La)``; tasks that are not ``learned`` are right at half."""
    for seed in seeds:
        for cell, make in experiment.series.items():
            assert cell.lengths is not None
            (main, auxiliary), longest = cell.lengths, max(cell.lengths)
            config, right = make(seed), 1.0 if learned(main, auxiliary) else 0.5
            wrong = gap_of(main, auxiliary) * longest / (longest - main) if longest > main else 0.0
            less = max(0.0, right - round(wrong, 2))

            def share(_: int, task: str, length: int, of=config.main, less=less, right=right) -> float:
                return less if task == of.task and length > of.training_length else right

            finished_run(store, config, share, [300 + seed], lengths=range(1, longest + 1))
