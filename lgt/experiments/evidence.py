"""The measurements of a store that rules use, read once for all figures that one call judges.

Several figures use the same runs. :class:`Evidence` reads each run once and keeps its curves and its trajectory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from lgt.core.config import RunConfig
from lgt.experiments.experiment import Experiment
from lgt.metrics.interchange import Interchange, interchange
from lgt.metrics.run_curves import RunCurves, run_curves
from lgt.metrics.trajectory import trajectory
from lgt.recipes.builders import CO_TRAINED, Series
from lgt.store import queries
from lgt.store.library import Source, run_name

BySeries = dict[Series, dict[int, float]]
"""A number by series and seed."""
NO_HEADS = pd.DataFrame(columns=["step", "task", "length", "layer", "head", "accuracy_drop", "difference"])


class Evidence:
    """The finished runs of a store at the time of the first read. Make a new object for each call."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._curves: dict[int, RunCurves] = {}
        self._trajectories: dict[int, pd.DataFrame] = {}
        self._interchanges: dict[int, Interchange | None] = {}

    @cached_property
    def finished(self) -> dict[str, int]:
        """See :func:`lgt.store.queries.finished_by_hash`."""
        return queries.finished_by_hash(self.source)

    @cached_property
    def given_up(self) -> dict[str, str]:
        """See :func:`lgt.store.queries.unsuccessful_by_hash`."""
        return queries.unsuccessful_by_hash(self.source)

    @cached_property
    def seeds(self) -> list[int]:
        """See :func:`lgt.store.queries.ended_seeds`."""
        return queries.ended_seeds(self.source)

    def curves(self, run_ids: Collection[int]) -> dict[int, RunCurves]:
        """The final curves of these runs by id; reads those it does not have yet, in one query. A run without counts is
        left out."""
        new = set(run_ids) - self._curves.keys()
        if new:
            self._curves |= run_curves(queries.accuracy(self.source, new))
        return {run_id: self._curves[run_id] for run_id in run_ids if run_id in self._curves}

    def complete(self, runs: FigureRuns) -> FigureRuns:
        """``runs`` without the seeds that have a run with missing counts; these are left out with the reason."""
        ids, left_out = dict(runs.ids), dict(runs.left_out)
        curves = self.curves({run_id for of in ids.values() for run_id in of.values()})
        for seed, of in runs.ids.items():
            absent = {series: curves[run_id].missing if run_id in curves else "no counts"
                      for series, run_id in of.items()}  # fmt: skip
            reasons = [
                f"{series}: run {run_name(self.source, of[series])} is incomplete ({why})"
                for series, why in absent.items()
                if why
            ]
            if reasons:
                del ids[seed]
                left_out[seed] = ", ".join(reasons)
        return replace(runs, ids=ids, left_out=left_out)

    def trajectories(self, run_ids: Collection[int], config: RunConfig) -> dict[int, pd.DataFrame]:
        """The trajectories of these runs of ``config`` (at any seed) by id, each computed once."""
        new = set(run_ids) - self._trajectories.keys()
        if new:
            readers = (queries.accuracy, queries.head_scores, queries.attention_differences)
            accuracy, scores, attention = (_by_run(read(self.source, new, "all")) for read in readers)
            for run_id in new:
                heads = scores.get(run_id, NO_HEADS), attention.get(run_id, NO_HEADS)
                self._trajectories[run_id] = trajectory(accuracy[run_id], *heads, config)
        return {run_id: self._trajectories[run_id] for run_id in run_ids}

    def interchanges(self, run_ids: Collection[int], config: RunConfig) -> dict[int, Interchange | None]:
        """The summary of the interchanges of these runs of ``config`` (at any seed) by id, each computed once, see
        :func:`lgt.metrics.interchange.interchange`; ``None`` without any."""
        new = set(run_ids) - self._interchanges.keys()
        if new:
            rows = _by_run(queries.interchanges(self.source, new))
            self._interchanges |= {of: interchange(rows[of], config) if of in rows else None for of in new}
        return {run_id: self._interchanges[run_id] for run_id in run_ids}

    def of(self, experiment: Experiment) -> FigureRuns:
        """The runs of ``experiment``. A seed counts if its runs of all series have finished. Of a preregistered
        experiment only the planned seeds count."""
        ids: dict[int, dict[Series, int]] = {}
        left_out: dict[int, str] = {}
        for seed in experiment.planned or self.seeds:
            hashes = {series: make(seed).hash() for series, make in experiment.series.items()}
            if all(hash_ in self.finished for hash_ in hashes.values()):
                ids[seed] = {series: self.finished[hash_] for series, hash_ in hashes.items()}
            elif why := self._missing(hashes):
                left_out[seed] = why
        return FigureRuns(self, experiment, ids, left_out)

    def _missing(self, hashes: dict[Series, str]) -> str:
        """The reason why a seed does not count, such as ``together: run 12 failed``; empty if none of its runs was
        given up.

        If a seed lacks a run that was not given up, the seed was made for another figure only. It then needs no reason.
        """
        absent = {series: self.given_up.get(hash_) for series, hash_ in hashes.items() if hash_ not in self.finished}
        return ", ".join(f"{series}: {why}" for series, why in absent.items() if why)


@dataclass(frozen=True)
class FigureRuns:
    """The input of a rule: the run ids of a figure by seed and series, and the numbers of these runs.

    ``left_out``: the seeds that do not count because one of their runs was given up, with the reason.
    """

    evidence: Evidence
    experiment: Experiment
    ids: dict[int, dict[Series, int]]
    left_out: dict[int, str]

    @property
    def seeds(self) -> list[int]:
        """The seeds that count."""
        return list(self.ids)

    @cached_property
    def curves(self) -> dict[Series, dict[int, RunCurves]]:
        """The final curves by series and seed."""
        found = self.evidence.curves({run_id for of in self.ids.values() for run_id in of.values()})
        return {series: {seed: found[of[series]] for seed, of in self.ids.items()} for series in self.experiment.series}

    def transfer(self) -> BySeries:
        """Transfer accuracy. Raises ValueError for a run without a transfer region."""
        return {series: {seed: _given(run.transfer) for seed, run in of.items()} for series, of in self.curves.items()}

    def trained(self) -> BySeries:
        """Accuracy of the main task at trained lengths."""
        return {series: {seed: run.trained for seed, run in of.items()} for series, of in self.curves.items()}

    def gaps(self) -> BySeries:
        """The generalization gap. Raises ValueError for a run without auxiliaries."""
        return {series: {seed: _given(run.gap) for seed, run in of.items()} for series, of in self.curves.items()}

    def learned(self) -> dict[str, float]:
        """Accuracy of every task at trained lengths: the mean over the seeds of a series, then the smallest over
        series.

        Series that may stay unlearned (:attr:`lgt.recipes.builders.Series.may_stay_unlearned`) are left out.
        """
        least: dict[str, float] = {}
        for series, of in self.curves.items():
            for task, share in _mean_learned(_asked(series, run) for run in of.values()):
                least[task] = min(share, least.get(task, 1.0))
        return least

    def seeds_learned(self, smallest: float) -> list[int]:
        """The seeds in which every task of every series reaches ``smallest`` where it was trained. Series that may stay
        unlearned are left out."""

        def learned(seed: int) -> bool:
            asked = (_asked(series, of[seed]).values() for series, of in self.curves.items())
            return all(share >= smallest for shares in asked for share in shares)

        return [seed for seed in self.seeds if learned(seed)]

    def learned_by_series(self) -> dict[Series, float]:
        """As :meth:`learned`, but by series: the smallest accuracy over tasks. No series is left out."""
        return {
            series: min((share for _, share in _mean_learned(run.learned for run in of.values())), default=0.0)
            for series, of in self.curves.items()
        }

    def interchanges(self) -> dict[int, Interchange | None]:
        """The interchanges of the first series' run by seed."""
        series, make = next(iter(self.experiment.series.items()))
        by_seed = {seed: of[series] for seed, of in self.ids.items()}
        found = self.evidence.interchanges(list(by_seed.values()), make(0))
        return {seed: found[run_id] for seed, run_id in by_seed.items()}

    def trajectories(self) -> dict[int, pd.DataFrame]:
        """The trajectory of the co-trained run by seed (see :func:`lgt.metrics.trajectory.trajectory`)."""
        by_seed = {seed: of[CO_TRAINED] for seed, of in self.ids.items()}
        found = self.evidence.trajectories(list(by_seed.values()), self.experiment.series[CO_TRAINED](0))
        return {seed: found[run_id] for seed, run_id in by_seed.items()}


def _by_run(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {int(str(run_id)): of for run_id, of in rows.groupby("run_id")}


def _given(value: float | None) -> float:
    if value is None:
        raise ValueError("a rule asks for a number that a run of this experiment cannot have")
    return value


def _asked(series: Series, run: RunCurves) -> dict[str, float]:
    """The accuracies at trained lengths that the premise asks for, by task."""
    if series.may_stay_unlearned:
        return {}
    return {run.main.task: run.trained} if series.only_main else run.learned


def _mean_learned(learned: Iterable[Mapping[str, float]]) -> list[tuple[str, float]]:
    means = pd.DataFrame(list(learned)).mean()
    return [(str(task), float(share)) for task, share in means.items()]
