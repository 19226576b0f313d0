"""Claims: what the runs of a store say about each figure. The rules are those of :mod:`lgt.experiments.outcomes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
from sqlalchemy import Engine

from lgt.experiments.entries import EXPERIMENTS, Experiment, Rule
from lgt.experiments.judgements import CORRELATIONS, Judgement
from lgt.experiments.outcomes import SMALLEST_CORRELATION, Outcome, absence, effect, unrelated
from lgt.metrics.by_seed import LEARNED, curve
from lgt.metrics.correlation import Correlation
from lgt.metrics.intervals import t_interval
from lgt.metrics.length_grid import nearness
from lgt.metrics.stability import falls, scatter_over_seeds
from lgt.metrics.trajectory import learned_steps, rank_correlation, tracking, tracking_of_changes, trajectory
from lgt.metrics.transfer import generalization_gap, transfer_accuracy
from lgt.recipes.builders import SAME_EXAMPLES, SAME_STEPS, TOGETHER, grid_lengths
from lgt.store import queries

CLAIMS = {
    1: "A related longer auxiliary lifts the main task in the transfer region, further than it gets alone.",
    2: "Unrelated auxiliaries do not.",
    3: "Two auxiliaries beat one, and the closer one beats the other.",
    4: "It also holds with main and auxiliary swapped on mazes.",
    5: "Rotary positions transfer better than none.",
    6: "It depends on the ratio of the lengths: strongest between a half and two.",
    7: "It is unstable over seeds and over training steps.",
    8: "Over checkpoints the gap follows the difference of the ablation maps; attention patterns follow it for "
    "arithmetic and not for strings; for controls neither does.",
}
"""The claims that have experiments so far, in our words."""

OVER_TRAINING: tuple[Rule, ...] = ("unstable over seeds", "unstable over steps")
Runs = dict[int, dict[str, int]]
"""Run ids by seed and series, of the seeds that have every series."""


@dataclass(frozen=True)
class _Evidence:
    """What a rule looks at: the finished runs by seed and series, and their counts at the last step by run."""

    engine: Engine
    experiment: Experiment
    runs: Runs
    accuracy: dict[int, pd.DataFrame]
    known: dict[int, pd.DataFrame]

    def transfer(self) -> dict[str, dict[int, float]]:
        """Transfer accuracy by series and seed."""
        length = next(iter(self.experiment.series.values()))(0).transfer_length
        assert length is not None
        return {
            name: {seed: _transfer(self.accuracy[of[name]], length) for seed, of in self.runs.items()}
            for name in self.experiment.series
        }

    def trajectories(self) -> dict[int, pd.DataFrame]:
        """For every seed what happened between the checkpoints of its run; several figures look at the same runs."""
        by_seed = {seed: of[TOGETHER] for seed, of in self.runs.items()}
        new = [run_id for run_id in by_seed.values() if run_id not in self.known]
        self.known.update(_trajectories(self.engine, new, self.experiment))
        return {seed: self.known[run_id] for seed, run_id in by_seed.items()}


def judged(engine: Engine, experiment: Experiment, known: dict[int, pd.DataFrame] | None = None) -> Judgement:
    """What the finished runs of ``experiment`` in the store say. ``known`` keeps courses by run from call to call."""
    done, given_up = queries.finished_by_hash(engine), queries.unsuccessful_by_hash(engine)
    found = {seed: _finished(experiment, seed, done) for seed in queries.ended_seeds(engine)}
    whole = {seed: runs for seed, runs in found.items() if len(runs) == len(experiment.series)}
    left_out = {seed: _missing(experiment, seed, runs, given_up) for seed, runs in found.items() if seed not in whole}
    ids = sorted({run_id for of in whole.values() for run_id in of.values()})
    accuracy = {int(str(i)): rows for i, rows in queries.accuracy(engine, ids).groupby("run_id")}
    numbers = RULES[experiment.rule](_Evidence(engine, experiment, whole, accuracy, {} if known is None else known))
    by_series = {name: [of[name] for of in whole.values()] for name in experiment.series}
    interval = t_interval(numbers.differences) if numbers.differences else None
    return Judgement(
        experiment, _outcome(experiment, numbers), list(whole), numbers.series, numbers.differences, interval,
        numbers.learned, ids, by_series, _trained_by_series(experiment, whole, accuracy), numbers.correlations,
        numbers.of_changes, numbers.beyond, numbers.of_learned,
        {seed: why for seed, why in left_out.items() if why},
    )  # fmt: skip


def _finished(experiment: Experiment, seed: int, done: Mapping[str, int]) -> dict[str, int]:
    """Run ids by series, of the series whose run of this seed has finished."""
    runs = {name: done.get(make(seed).hash()) for name, make in experiment.series.items()}
    return {name: run_id for name, run_id in runs.items() if run_id is not None}


def _missing(experiment: Experiment, seed: int, runs: Mapping[str, int], given_up: Mapping[str, str]) -> str:
    """Why a seed does not count, such as ``together: run 12 failed``; empty when nothing of it was ever begun.

    A seed of which only some series were run without any trouble is one that another figure needed.
    """
    absent = {name: given_up.get(make(seed).hash()) for name, make in experiment.series.items() if name not in runs}
    return ", ".join(f"{name}: {why}" for name, why in absent.items() if why)


@dataclass(frozen=True)
class _Numbers:
    series: dict[str, dict[int, float]]
    differences: dict[int, float]
    learned: dict[str, float]
    correlations: dict[int, Correlation] = field(default_factory=dict)
    of_changes: dict[int, float | None] = field(default_factory=dict)
    beyond: dict[int, float | None] = field(default_factory=dict)
    of_learned: dict[int, float | None] = field(default_factory=dict)


def _gain(evidence: _Evidence) -> _Numbers:
    return _over_baselines(evidence, max)


def _gain_of_a_control(evidence: _Evidence) -> _Numbers:
    return _over_baselines(evidence, min)


def _over_baselines(evidence: _Evidence, choose: Callable[[float, float], float]) -> _Numbers:
    """What training together adds to the baseline that ``choose`` takes of the two: the one that makes it harder."""
    series = evidence.transfer()
    over = {s: choose(series[SAME_STEPS][s], series[SAME_EXAMPLES][s]) for s in evidence.runs}
    return _Numbers(series, {s: series[TOGETHER][s] - over[s] for s in evidence.runs}, _learned(evidence))


def _more(evidence: _Evidence) -> _Numbers:
    series = evidence.transfer()
    first, second = series.values()
    return _Numbers(series, {s: first[s] - second[s] for s in evidence.runs}, _learned(evidence))


def _more_gain(evidence: _Evidence) -> _Numbers:
    series = evidence.transfer()
    first, second, alone_first, alone_second = series.values()
    gains = {s: (first[s] - alone_first[s]) - (second[s] - alone_second[s]) for s in evidence.runs}
    return _Numbers(series, gains, _learned(evidence))


def _over_seeds(evidence: _Evidence) -> _Numbers:
    series = evidence.transfer()
    trained = {seed: _trained(evidence.accuracy[of[TOGETHER]]) for seed, of in evidence.runs.items()}
    return _Numbers(series, scatter_over_seeds(series[TOGETHER], trained), _learned(evidence))


def _over_steps(evidence: _Evidence) -> _Numbers:
    fallen = {seed: falls(steps) for seed, steps in evidence.trajectories().items()}
    return _Numbers(evidence.transfer(), fallen, _learned(evidence))


def _tracked(evidence: _Evidence) -> _Numbers:
    steps = evidence.trajectories()
    measure = evidence.experiment.measure
    found = {seed: tracking(of, measure) for seed, of in steps.items()}
    changes = {seed: tracking_of_changes(of, measure) for seed, of in steps.items()}
    maps = measure == "map_difference"
    beyond = {seed: rank_correlation(of, "map_difference_beyond") for seed, of in steps.items()} if maps else {}
    learned = {seed: rank_correlation(learned_steps(of), measure) for seed, of in steps.items()}
    rhos = {seed: of.rho for seed, of in found.items() if of.rho is not None}
    return _Numbers(evidence.transfer(), rhos, _learned(evidence), found, changes, beyond, learned)


def _ratio(evidence: _Evidence) -> _Numbers:
    gaps = {name: {s: _gap(evidence.accuracy[of[name]]) for s, of in evidence.runs.items()}
            for name in evidence.experiment.series}  # fmt: skip
    learned = {name: _cell_learned([evidence.accuracy[of[name]] for of in evidence.runs.values()]) for name in gaps}
    counted = [name for name in gaps if learned[name] >= LEARNED]
    by_seed = {s: nearness({grid_lengths(name): gaps[name][s] for name in counted}) for s in evidence.runs}
    return _Numbers(gaps, {s: value for s, value in by_seed.items() if value is not None}, learned)


def _none(evidence: _Evidence) -> _Numbers:
    return _Numbers(evidence.transfer(), {}, _learned(evidence))


RULES: Mapping[Rule, Callable[[_Evidence], _Numbers]] = {
    "gain": _gain, "no gain": _gain_of_a_control, "more": _more, "more gain": _more_gain,
    "unstable over seeds": _over_seeds, "unstable over steps": _over_steps, "tracks": _tracked,
    "does not track": _tracked, "ratio": _ratio, "none": _none,
}  # fmt: skip


def _trajectories(engine: Engine, ids: list[int], experiment: Experiment) -> dict[int, pd.DataFrame]:
    if not ids:
        return {}
    config = experiment.series[TOGETHER](0)
    readers = (queries.accuracy, queries.head_scores, queries.attention_differences)
    accuracy, scores, attention = (dict(list(read(engine, ids, "all").groupby("run_id"))) for read in readers)
    nothing = pd.DataFrame(columns=["step", "task", "length", "layer", "head", "accuracy_drop", "difference"])
    return {
        run_id: trajectory(accuracy[run_id], scores.get(run_id, nothing), attention.get(run_id, nothing), config)
        for run_id in ids
    }


def trajectory_frame(engine: Engine, judgement: Judgement) -> pd.DataFrame:
    """The courses behind a judgement about training, one under the other with a ``seed`` column; else no rows."""
    ids = dict(zip(judgement.seeds, judgement.series_runs.get(TOGETHER, []), strict=False))
    if judgement.experiment.rule not in (*CORRELATIONS, *OVER_TRAINING) or not ids:
        return pd.DataFrame(columns=["seed"])
    found = _trajectories(engine, list(ids.values()), judgement.experiment)
    return pd.concat([found[run_id].assign(seed=seed) for seed, run_id in ids.items()], ignore_index=True)


def _transfer(rows: pd.DataFrame, transfer_length: int) -> float:
    main = rows[rows.role == "main"]
    return transfer_accuracy(curve(main), int(main.training_length.iloc[0]), transfer_length)


def _trained(rows: pd.DataFrame) -> float:
    main = rows[(rows.role == "main") & (rows.length <= rows.training_length)]
    return float((main.correct / main.total).mean())


def _trained_by_series(
    experiment: Experiment, runs: Runs, accuracy: Mapping[int, pd.DataFrame]
) -> dict[str, dict[int, float]]:
    return {name: {seed: _trained(accuracy[of[name]]) for seed, of in runs.items()} for name in experiment.series}


def _gap(rows: pd.DataFrame) -> float:
    main, auxiliaries = rows[rows.role == "main"], rows[rows.role != "main"]
    return generalization_gap(
        curve(main), [curve(of) for _, of in auxiliaries.groupby("task")],
        int(main.training_length.iloc[0]), int(auxiliaries.training_length.iloc[0]),
    )  # fmt: skip


def _learned(evidence: _Evidence) -> dict[str, float]:
    """Accuracy of every task where it was trained: mean over the seeds of a series, the smallest over series."""
    least: dict[str, float] = {}
    for name in evidence.experiment.series:
        if name != SAME_EXAMPLES:
            for task, share in _mean_where_trained([evidence.accuracy[of[name]] for of in evidence.runs.values()]):
                least[task] = min(share, least.get(task, 1.0))
    return least


def _cell_learned(runs: list[pd.DataFrame]) -> float:
    return min((share for _, share in _mean_where_trained(runs)), default=0.0)


def _mean_where_trained(runs: list[pd.DataFrame]) -> list[tuple[str, float]]:
    means = pd.DataFrame([_where_trained(rows) for rows in runs]).mean()
    return [(str(task), float(share)) for task, share in means.items()]


def _where_trained(rows: pd.DataFrame) -> dict[str, float]:
    shares = {}
    for task, of in rows.groupby("task"):
        trained = of[of.length <= of.training_length]
        if of.role.iloc[0] != "main":
            trained = trained[trained.length == trained.length.max()]
        shares[str(task)] = float((trained.correct / trained.total).mean())
    return shares


def _outcome(experiment: Experiment, numbers: _Numbers) -> Outcome:
    if len(numbers.differences) < experiment.seeds:
        return "too few seeds"
    if experiment.rule == "ratio":
        left = [value for value in numbers.learned.values() if value >= LEARNED]
        if 2 * len(left) < len(numbers.learned):
            return "premise not met"
    elif min(numbers.learned.values(), default=0.0) < LEARNED:
        return "premise not met"
    return JUDGES.get(experiment.rule, effect)(numbers.differences, experiment.seeds)


JUDGES: Mapping[Rule, Callable[[Mapping[int, float], int], Outcome]] = {
    "no gain": absence, "tracks": partial(effect, smallest=SMALLEST_CORRELATION), "does not track": unrelated,
}  # fmt: skip


def of_claim(judgements: list[Judgement], claim: int) -> dict[str, int]:
    """How many of the claim's figures have which verdict; a figure counts with its latest recipe."""
    counts = Counter(one.verdict for one in latest(judgements) if one.experiment.claim == claim)
    return dict(counts.most_common())


def latest(judgements: list[Judgement]) -> list[Judgement]:
    """Those that no other recipe has replaced since."""
    return [one for one in judgements if not one.experiment.replaced_by]


def all_judged(engine: Engine) -> list[Judgement]:
    """Every experiment that has a rule, in the order of the claims, of each claim the replaced ones last."""
    chosen = [experiment for experiment in EXPERIMENTS.values() if experiment.rule != "none"]
    known: dict[int, pd.DataFrame] = {}
    return [judged(engine, experiment, known) for experiment in sorted(chosen, key=_place)]


def _place(experiment: Experiment) -> tuple[int, bool]:
    return experiment.claim, bool(experiment.replaced_by)
