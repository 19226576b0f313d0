"""Judging: apply the rule of an experiment to the finished runs of a store."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from lgt.experiments.evidence import Evidence, FigureRuns
from lgt.experiments.experiment import Experiment
from lgt.experiments.judgements import Judgement
from lgt.experiments.registry import EXPERIMENTS


def judge_all(engine: Engine) -> list[Judgement]:
    """Every experiment that has a rule, in the order of the claims, of each claim the replaced ones last."""
    evidence = Evidence(engine)
    chosen = [experiment for experiment in EXPERIMENTS.values() if experiment.rule is not None]
    found = [evidence.of(one) for one in sorted(chosen, key=lambda one: (one.claim, bool(one.replaced_by)))]
    evidence.curves({run_id for runs in found for of in runs.ids.values() for run_id in of.values()})
    return [_judgement(runs) for runs in found]


def judge(engine: Engine, experiment: Experiment) -> Judgement:
    """What the finished runs of ``experiment`` in the store say. Raises ValueError for one without a rule."""
    return _judgement(Evidence(engine).of(experiment))


def _judgement(runs: FigureRuns) -> Judgement:
    rule = runs.experiment.rule
    if rule is None:
        raise ValueError(f"experiment {runs.experiment.name} has no rule")
    measured = rule.measure(runs)
    return Judgement(
        experiment=runs.experiment,
        rule=rule,
        outcome=rule.outcome(measured, runs.experiment.seeds),
        measured=measured,
        ids=runs.ids,
        trained=runs.trained(),
        left_out=runs.left_out,
        trajectory=_trajectory(runs) if rule.over_training else NO_TRAJECTORY,
    )


NO_TRAJECTORY = pd.DataFrame(columns=["seed"])


def _trajectory(runs: FigureRuns) -> pd.DataFrame:
    """The trajectories one under the other, with a ``seed`` column."""
    parts = [steps.assign(seed=seed) for seed, steps in runs.trajectories().items()]
    return pd.concat(parts, ignore_index=True) if parts else NO_TRAJECTORY
