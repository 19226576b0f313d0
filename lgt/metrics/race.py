"""The race: the main task alone against the same task co-trained, at every step that was measured.

:func:`race` turns the frames of :mod:`lgt.store.queries` into plain lists and dictionaries, which the browser and the
files of :mod:`lgt.report` draw. Nothing is interpolated here: every number belongs to a stored step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lgt.core.config import RunConfig, TaskSpec
from lgt.core.records import Head
from lgt.metrics.arrays import Floats
from lgt.metrics.by_seed import mean_curve, transfer_by_seed
from lgt.metrics.head_sharing import head_kinds
from lgt.metrics.maps import mapped_zone
from lgt.metrics.zones import zone_lengths
from lgt.recipes.labels import head_name

ABOVE = 0.5
"""The share of right answers that the counter of the race asks for."""
DIGITS = 4
"""Decimals of a share that is only drawn. Counters and kinds of heads are decided before rounding."""


class Measured(NamedTuple):
    """The runs of one arm at all their measured steps, one run a seed: the frames of
    :func:`lgt.store.queries.accuracy` and :func:`lgt.store.queries.head_scores`."""

    accuracy: pd.DataFrame
    heads: pd.DataFrame


Steps = tuple[int, ...]


def longest_above(accuracy: Mapping[int, float], share: float = ABOVE) -> int | None:
    """The longest length at which the exact match is above ``share``; ``None`` if it is above it nowhere.

    >>> longest_above({1: 1.0, 2: 0.51, 3: 0.5})
    2
    """
    # Rounded, because a mean over seeds that is exactly one half may come out a little above it.
    return max((length for length, value in accuracy.items() if round(value, 9) > share), default=None)


def seeds_with_steps(alone: Measured, together: Measured) -> dict[int, tuple[Steps, Steps]]:
    """The seeds that both arms have, with the steps at which each arm measured the main task at all its lengths.

    A seed needs two steps in each arm: with one there is nothing to replay."""
    steps = [_steps_by_seed(arm.accuracy[arm.accuracy.role == "main"]) for arm in (alone, together)]
    both = {seed: (steps[0][seed], steps[1][seed]) for seed in sorted(steps[0].keys() & steps[1].keys())}
    return {seed: of for seed, of in both.items() if min(map(len, of)) > 1}


def _steps_by_seed(main: pd.DataFrame) -> dict[int, Steps]:
    counts = main.groupby(["model_seed", "step"]).length.nunique()
    complete = counts[counts == main.length.nunique()].reset_index()
    return {int(str(seed)): tuple(map(int, steps)) for seed, steps in complete.groupby("model_seed").step}


def measured_alike(found: Mapping[int, tuple[Steps, Steps]]) -> list[int]:
    """The seeds whose mean can be replayed: those that were measured at the same steps. Of several such groups it is
    the one with the most measurements, of equal ones the one with the smallest seed. ``found``:
    :func:`seeds_with_steps`."""
    groups: dict[tuple[Steps, Steps], list[int]] = {}
    for seed, steps in found.items():
        groups.setdefault(steps, []).append(seed)
    return max(groups.items(), key=lambda one: len(one[1]) * sum(map(len, one[0])), default=((), []))[1]


def race(
    alone: Measured, together: Measured, config: RunConfig, threshold: float, seed: int | None = None
) -> dict[str, Any]:
    """Everything that the race shows, as plain values for JSON.

    ``config``: of a co-trained run; ``threshold``: the drop of exact match, a share, above which a head matters.
    Without ``seed`` accuracies are means over the seeds of :func:`measured_alike`. Heads are always those of one run:
    of ``seed``, else of the seed whose co-trained run has the median transfer accuracy of them.

    ``seeds``, ``of`` (the number of seeds that both arms have), ``head_seed``, ``lengths``, ``main_length`` (Lm),
    ``transfer_length`` (La), ``threshold``, ``above``, and ``sides``: first alone, then together, see :func:`_side`.
    Raises ValueError if no seed, or not the given one, was measured at two steps in each arm.
    """
    found = seeds_with_steps(alone, together)
    seeds = measured_alike(found) if seed is None else [one for one in found if one == seed]
    if not seeds:
        raise ValueError(f"race: seed = {seed} is not accepted; accepted: {sorted(found) or 'none of these runs'}")
    chosen = [_of_seeds(arm, seeds, steps) for arm, steps in zip((alone, together), found[seeds[0]], strict=True)]
    last = _at_last_step(chosen[1].accuracy)
    transfer = transfer_by_seed(last)
    head_seed = transfer.middle_seed() if transfer else seeds[0]
    lengths = sorted({int(length) for arm in chosen for length in arm.accuracy.length.unique()})
    return {
        "seeds": seeds,
        "of": len(set(alone.accuracy.model_seed) & set(together.accuracy.model_seed)),
        "head_seed": head_seed,
        "lengths": lengths,
        "main_length": config.main.training_length,
        "transfer_length": config.transfer_length,
        "threshold": threshold,
        "above": ABOVE,
        "sides": [_side(arm, config, lengths, head_seed, threshold) for arm in chosen],
    }


def _of_seeds(arm: Measured, seeds: Sequence[int], steps: Steps) -> Measured:
    """The rows of these seeds at these steps; of the heads all that are not later."""
    accuracy, heads = (frame[frame.model_seed.isin(seeds)] for frame in arm)
    return Measured(accuracy[accuracy.step.isin(steps)], heads[heads.step <= steps[-1]])


def _at_last_step(accuracy: pd.DataFrame) -> pd.DataFrame:
    return accuracy[accuracy.step == accuracy.groupby("run_id").step.transform("max")]


def _side(arm: Measured, config: RunConfig, lengths: list[int], head_seed: int, threshold: float) -> dict[str, Any]:
    """One arm: its ``steps``; ``tasks``, the main task first, with the ``mean``, ``low`` and ``high`` share of right
    answers over seeds, lists of lists [steps][lengths] with None where nothing was measured; ``reach``, the longest
    length above :data:`ABOVE` of the mean curve at each step; and ``heads``, None if the run has no ablation maps."""
    rows = arm.accuracy
    steps = sorted(int(step) for step in rows.step.unique())
    of_tasks = dict(iter(rows.assign(share=rows.correct / rows.total).groupby("task")))
    tasks = [_task(of_tasks[spec.task], spec, steps, lengths) for spec in config.tasks if spec.task in of_tasks]
    curves = [mean_curve(rows[rows.step == step]) for step in steps]
    return {
        "steps": steps,
        "tasks": tasks,
        "reach": [longest_above(curve) for curve in curves],
        "heads": _heads(_of_seeds(arm, [head_seed], tuple(steps)), [task["task"] for task in tasks], config, threshold),
    }


def _task(rows: pd.DataFrame, spec: TaskSpec, steps: list[int], lengths: list[int]) -> dict[str, Any]:
    shares = rows.groupby(["step", "length"]).share
    tables = {"mean": shares.mean(), "low": shares.min(), "high": shares.max()}
    return {
        "task": spec.task,
        "role": spec.role,
        "training_length": spec.training_length,
        **{name: _table(table, steps, lengths) for name, table in tables.items()},
    }


def _table(shares: pd.Series, steps: list[int], lengths: list[int]) -> list[list[float | None]]:
    values = shares.unstack("length").reindex(index=steps, columns=lengths).to_numpy(dtype=float)
    return [[None if np.isnan(share) else round(float(share), DIGITS) for share in row] for row in values]


def _heads(run: Measured, tasks: list[str], config: RunConfig, threshold: float) -> dict[str, Any] | None:
    """The heads of one run at the ``steps`` with ablation maps: their ``names``, ``kinds`` [steps][heads] (see
    :func:`lgt.metrics.head_sharing.head_kinds`) and ``drops`` by task [steps][heads].

    The drops are means over ``lengths``, the mapped lengths of ``zone``: the zone in which the sharing graph shows this
    run at its last step. It is the same at all steps, so that a head does not change its kind because of other lengths.
    """
    transfer = transfer_by_seed(_at_last_step(run.accuracy))
    zone = mapped_zone(next(iter(transfer.values.values())) if transfer else None)
    mapped = sorted(int(length) for length in run.heads.length.unique())
    lengths = dict(zone_lengths(mapped, config.main.training_length, config.transfer_length)).get(zone, [])
    rows = run.heads[run.heads.length.isin(lengths) & run.heads.task.isin(tasks)]
    if set(rows.task) != set(tasks):
        return None
    steps = sorted(int(step) for step in rows.step.unique())
    heads = sorted(set(zip(rows.layer.astype(int).tolist(), rows["head"].astype(int).tolist(), strict=True)))
    drops = {task: _drops(rows[rows.task == task], steps, heads) for task in tasks}
    of_main, *of_others = drops.values()
    others = np.max(of_others, axis=0) if of_others else np.zeros_like(of_main)
    return {
        "seed": int(run.heads.model_seed.iloc[0]),
        "run_id": int(run.heads.run_id.iloc[0]),
        "zone": zone,
        "lengths": lengths,
        "steps": steps,
        "names": [head_name(*head) for head in heads],
        "kinds": head_kinds(of_main, others, threshold).tolist(),
        "drops": {task: of.round(DIGITS).tolist() for task, of in drops.items()},
    }


def _drops(rows: pd.DataFrame, steps: list[int], heads: list[Head]) -> Floats:
    """The mean drop over lengths of one task, ``[steps, heads]``; 0 where a head was not measured."""
    table = rows.pivot_table(index="step", columns=["layer", "head"], values="accuracy_drop")
    return table.reindex(index=steps, columns=pd.MultiIndex.from_tuples(heads)).fillna(0.0).to_numpy(dtype=float)
