"""Claims: what the runs of a store say about each figure. The rules are those of :mod:`lgt.verdicts`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from lgt.experiments import EXPERIMENTS, SAME_EXAMPLES, SAME_STEPS, TOGETHER, Experiment
from lgt.statistics import transfer_accuracy
from lgt.store import queries
from lgt.summaries import curve
from lgt.verdicts import LEARNED, Interval, Outcome, absence, effect, t_interval

CLAIMS = {
    1: "A related longer auxiliary lifts the main task in the transfer region; alone it does not get there.",
    2: "Unrelated auxiliaries do not.",
    3: "Two auxiliaries beat one, and the closer one beats the other.",
    4: "It also holds with main and auxiliary swapped on mazes.",
    5: "Rotary positions transfer better than none.",
}
"""The claims that have experiments so far, in our words."""


@dataclass(frozen=True)
class Judgement:
    """One figure, judged. All numbers are by seed; a seed counts where every series of it has finished.

    ``series``: transfer accuracy by series. ``differences``: what the rule is about. ``runs``: the run ids behind it,
    ``series_runs`` by series.
    ``learned``: accuracy of each task where it was trained (the main task's mean over its lengths, an auxiliary's at
    its longest), mean over seeds and smallest over series; without the baseline that sees fewer examples.
    """

    experiment: Experiment
    outcome: Outcome
    seeds: list[int]
    series: dict[str, dict[int, float]]
    differences: dict[int, float]
    interval: Interval | None
    learned: dict[str, float] = field(default_factory=dict)
    runs: list[int] = field(default_factory=list)
    series_runs: dict[str, list[int]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        entry = self.experiment
        plain = {name: getattr(entry, name) for name in ("name", "claim", "figures", "preset", "statement", "rule")}
        interval = self.interval and {"mean": self.interval.mean, "low": self.interval.low, "high": self.interval.high}
        return plain | {
            "outcome": self.outcome, "seeds": self.seeds, "series": self.series, "differences": self.differences,
            "interval": interval, "learned": self.learned, "runs": self.runs, "sentence": self.sentence(),
        }  # fmt: skip

    def sentence(self) -> str:
        """The numbers behind the outcome, with n and interval."""
        if not self.seeds:
            return "no finished seed yet"
        means = ", ".join(f"{name} {sum(of.values()) / len(of):.2f}" for name, of in self.series.items())
        text = f"transfer accuracy: {means}; "
        if self.interval is not None:
            text += f"difference {self.interval.mean:+.2f}"
            if self.interval.low is not None:
                text += f" (95% t interval {self.interval.low:+.2f} to {self.interval.high:+.2f})"
        text += f", n = {len(self.seeds)} seed" + "s" * (len(self.seeds) != 1)
        low = {task: value for task, value in self.learned.items() if value < LEARNED}
        if low:
            text += "; not learned where trained: " + ", ".join(f"{task} {value:.2f}" for task, value in low.items())
        return text


def judged(engine: Engine, experiment: Experiment, seeds: range = range(100)) -> Judgement:
    """What the finished runs of ``experiment`` in the store say."""
    done = queries.finished_by_hash(engine)
    runs = {
        seed: {name: done.get(make(seed).hash()) for name, make in experiment.series.items()} for seed in seeds
    }  # fmt: skip
    whole = {seed: ids for seed, ids in runs.items() if None not in ids.values()}
    ids = sorted({run_id for of in whole.values() for run_id in of.values() if run_id is not None})
    accuracy = queries.accuracy(engine, ids)
    by_run = {int(str(run_id)): rows for run_id, rows in accuracy.groupby("run_id")}
    length = _transfer_length(experiment)
    series = {
        name: {seed: _transfer(by_run[of[name] or 0], length) for seed, of in whole.items()}
        for name in experiment.series
    }
    premise = {of[name] for of in whole.values() for name in of if name != SAME_EXAMPLES}
    learned = _learned([rows for run_id, rows in by_run.items() if run_id in premise])
    differences = _differences(experiment, series, list(whole))
    interval = t_interval(differences) if differences else None
    by_series = {name: [of[name] or 0 for of in whole.values()] for name in experiment.series}
    return Judgement(experiment, _outcome(experiment, differences, learned), list(whole), series, differences,
                     interval, learned, ids, by_series)  # fmt: skip


def _transfer_length(experiment: Experiment) -> int:
    config = next(iter(experiment.series.values()))(0)
    assert config.transfer_length is not None
    return config.transfer_length


def _transfer(rows: pd.DataFrame, transfer_length: int) -> float:
    main = rows[rows.role == "main"]
    return transfer_accuracy(curve(main), int(main.training_length.iloc[0]), transfer_length)


def _learned(runs: list[pd.DataFrame]) -> dict[str, float]:
    """Accuracy of every task where it was trained: mean over the runs of one shape, the smallest over shapes."""
    found: dict[tuple[str, str], list[float]] = {}
    for rows in runs:
        shape = "+".join(sorted(rows.task.unique()))
        for task, of in rows.groupby("task"):
            trained = of[of.length <= of.training_length]
            if of.role.iloc[0] != "main":
                trained = trained[trained.length == trained.length.max()]
            found.setdefault((str(task), shape), []).append(float((trained.correct / trained.total).mean()))
    means = {key: sum(values) / len(values) for key, values in found.items()}
    return {task: min(v for (name, _), v in means.items() if name == task) for task, _ in means}


def _differences(experiment: Experiment, series: dict[str, dict[int, float]], seeds: list[int]) -> dict[int, float]:
    if experiment.rule in ("gain", "no gain"):
        return {s: series[TOGETHER][s] - max(series[SAME_STEPS][s], series[SAME_EXAMPLES][s]) for s in seeds}
    if experiment.rule == "more":
        first, second = series.values()
        return {s: first[s] - second[s] for s in seeds}
    return {}


def _outcome(experiment: Experiment, differences: dict[int, float], learned: dict[str, float]) -> Outcome:
    if len(differences) < experiment.seeds:
        return "too few seeds"
    if min(learned.values(), default=0.0) < LEARNED:
        return "premise not met"
    return (absence if experiment.rule == "no gain" else effect)(differences, experiment.seeds)


def differences_frame(judgements: list[Judgement]) -> pd.DataFrame:
    """One row per seed of every judgement, for :func:`lgt.charts.verdict_chart`."""
    rows = [
        {
            "figure": one.experiment.name, "outcome": one.outcome, "seed": seed, "difference": difference,
            "mean": one.interval.mean, "low": one.interval.low, "high": one.interval.high,
        }
        for one in judgements if one.interval is not None
        for seed, difference in one.differences.items()
    ]  # fmt: skip
    columns = ["figure", "outcome", "seed", "difference", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float})


def all_judged(engine: Engine) -> list[Judgement]:
    """Every experiment that has a rule, in the order of the claims."""
    chosen = [experiment for experiment in EXPERIMENTS.values() if experiment.rule != "none"]
    return [judged(engine, experiment) for experiment in sorted(chosen, key=lambda one: one.claim)]
