"""The race: the main task alone against the same task co-trained, at every step that was measured.

:func:`race` turns the frames of :mod:`lgt.store.queries` into plain lists and dictionaries, which the browser and the
files of :mod:`lgt.report` draw. Nothing is interpolated here: every number belongs to a stored step.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def shown_steps(steps: Mapping[int, Steps]) -> list[tuple[int, int, int]]:
    """(seed, shown step, stored step): at each step that is shown, the last stored step of every seed.

    ``steps``: the stored ones by seed. What is shown begins where all seeds have been measured, so that a mean over
    seeds never changes because a seed joins it.

    >>> shown_steps({0: (2, 4), 1: (3, 4)})
    [(0, 3, 2), (0, 4, 4), (1, 3, 3), (1, 4, 4)]
    """
    first = max(of[0] for of in steps.values())
    shown = sorted({step for of in steps.values() for step in of if step >= first})
    return [(seed, at, max(step for step in of if step <= at)) for seed, of in steps.items() for at in shown]


def race(
    alone: Measured, together: Measured, config: RunConfig, threshold: float, seed: int | None = None
) -> dict[str, Any]:
    """Everything that the race shows, as plain values for JSON.

    ``config``: of a co-trained run; ``threshold``: the drop of exact match, a share, above which a head matters.
    Without ``seed`` accuracies are means over all seeds of :func:`seeds_with_steps`, each at its last stored step
    (:func:`shown_steps`). Heads are always those of one run: of ``seed``, else see :func:`_head_seed`.

    ``seeds``, ``of`` (the number of seeds that both arms have), ``alike`` (whether they were measured at the same
    steps), ``head_seed`` and ``head_seeds`` (of how many it is the median), ``lengths``, ``main_length`` (Lm),
    ``transfer_length`` (La), ``threshold``, ``above``, and ``sides``: first alone, then together, see :func:`_side`.
    Raises ValueError if no seed, or not the given one, was measured at two steps in each arm.
    """
    found = seeds_with_steps(alone, together)
    seeds = [one for one in found if seed in (None, one)]
    if not seeds:
        raise ValueError(f"race: seed = {seed} is not accepted; accepted: {sorted(found) or 'none of these runs'}")
    steps = [{one: found[one][place] for one in seeds} for place in (0, 1)]
    chosen = [_shown(arm, of) for arm, of in zip((alone, together), steps, strict=True)]
    head_seed, head_seeds = _head_seed(chosen[1])
    lengths = sorted({int(length) for arm in chosen for length in arm.accuracy.length.unique()})
    return {
        "seeds": seeds,
        "of": len(set(alone.accuracy.model_seed) & set(together.accuracy.model_seed)),
        "alike": all(len(set(of.values())) == 1 for of in steps),
        "head_seed": head_seed,
        "head_seeds": head_seeds,
        "lengths": lengths,
        "main_length": config.main.training_length,
        "transfer_length": config.transfer_length,
        "threshold": threshold,
        "above": ABOVE,
        "sides": [_side(arm, config, lengths, head_seed, threshold) for arm in chosen],
    }


def _shown(arm: Measured, steps: Mapping[int, Steps]) -> Measured:
    """The counts of these seeds at the steps that are shown, and their heads at their own steps."""
    pairs = pd.DataFrame(shown_steps(steps), columns=["model_seed", "shown", "step"])
    accuracy = arm.accuracy.merge(pairs, on=["model_seed", "step"])
    heads = arm.heads[arm.heads.model_seed.isin(list(steps)) & (arm.heads.step <= int(pairs.step.max()))]
    return Measured(accuracy.drop(columns="step").rename(columns={"shown": "step"}), heads)


def _head_seed(together: Measured) -> tuple[int, int]:
    """The seed whose heads are shown, and of how many: the one with the median transfer accuracy among those whose
    heads were measured at the most steps."""
    last = _at_last_step(together.accuracy)
    counts = together.heads.groupby("model_seed").step.nunique()
    seeds = counts[counts == counts.max()].index if len(counts) else last.model_seed.unique()
    transfer = transfer_by_seed(last[last.model_seed.isin(seeds)])
    return (transfer.middle_seed(), transfer.n) if transfer else (min(map(int, seeds)), len(seeds))


def _of_seed(arm: Measured, seed: int) -> Measured:
    return Measured(*(frame[frame.model_seed == seed] for frame in arm))


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
        "heads": _heads(_of_seed(arm, head_seed), [task["task"] for task in tasks], config, threshold),
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
