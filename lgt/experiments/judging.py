"""Application of the rules of experiments to the finished runs of a store."""

from __future__ import annotations

import pandas as pd

from lgt.experiments.evidence import Evidence, FigureRuns
from lgt.experiments.experiment import Experiment
from lgt.experiments.judgements import Judgement
from lgt.experiments.registry import EXPERIMENTS
from lgt.store.library import Source


def judge_all(source: Source) -> list[Judgement]:
    """The judgements of all experiments that have a rule, by claim. Within a claim, replaced experiments are last."""
    evidence = Evidence(source)
    chosen = [experiment for experiment in EXPERIMENTS.values() if experiment.rule is not None]
    found = [evidence.of(one) for one in sorted(chosen, key=lambda one: (one.claim, bool(one.replaced_by)))]
    evidence.curves({run_id for runs in found for of in runs.ids.values() for run_id in of.values()})
    return [_judgement(evidence.complete(runs)) for runs in found]


def judge(source: Source, experiment: Experiment) -> Judgement:
    """The judgement of ``experiment`` from the finished runs of the store. Raises ValueError if it has no rule."""
    evidence = Evidence(source)
    return _judgement(evidence.complete(evidence.of(experiment)))


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
        learned_seeds=tuple(runs.seeds_learned(rule.learned)),
        trajectory=_trajectory(runs) if rule.over_training else NO_TRAJECTORY,
    )


NO_TRAJECTORY = pd.DataFrame(columns=["seed"])


def _trajectory(runs: FigureRuns) -> pd.DataFrame:
    """The trajectories in one frame, with a column ``seed``."""
    parts = [steps.assign(seed=seed) for seed, steps in runs.trajectories().items()]
    return pd.concat(parts, ignore_index=True) if parts else NO_TRAJECTORY
