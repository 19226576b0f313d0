"""What is said of a figure: its verdict, the numbers behind it by seed, and both in words and frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from lgt.experiments.entries import Experiment, Rule, lengths_beside, preset_changes
from lgt.experiments.outcomes import Outcome
from lgt.metrics.by_seed import LEARNED
from lgt.metrics.correlation import Correlation
from lgt.metrics.intervals import Interval
from lgt.recipes.builders import SAME_EXAMPLES, grid_lengths

CORRELATIONS: tuple[Rule, ...] = ("tracks", "does not track")
QUANTITIES: Mapping[Rule, str] = {
    "gain": "difference", "no gain": "difference", "more": "difference", "more gain": "difference of gains",
    "unstable over seeds": "distance from the other seeds beyond that at trained lengths",
    "unstable over steps": "fall beyond that at trained lengths",
    "tracks": "Spearman's rho", "does not track": "Spearman's rho",
    "ratio": "relative gap further apart minus that a factor of two apart",
}  # fmt: skip
"""What a rule's number per seed is."""


@dataclass(frozen=True)
class Judgement:
    """One figure, judged. All numbers are by seed; a seed counts where every series of it has finished.

    ``series``: transfer accuracy by series (for the grid: the gap by cell). ``differences``: what the rule is about.
    ``runs``: the run ids behind it, ``series_runs`` by series.
    ``learned``: accuracy of each task where it was trained (the main task's mean over its lengths, an auxiliary's at
    its longest), mean over seeds and smallest over series; without the baseline that sees fewer examples. For the grid
    by cell, the smallest over tasks. ``trained``: the main task's accuracy at trained lengths by series and seed.
    ``correlations``: of a rule about tracking, each seed's with its interval; ``of_changes`` its rho for the
    differences between neighbouring checkpoints, ``beyond`` for maps at lengths of the transfer region, ``of_learned``
    over those checkpoints at which the main task is learned where it was trained. ``left_out``: seeds that do not count
    because a run of theirs was given up, with the reason.
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
    trained: dict[str, dict[int, float]] = field(default_factory=dict)
    correlations: dict[int, Correlation] = field(default_factory=dict)
    of_changes: dict[int, float | None] = field(default_factory=dict)
    beyond: dict[int, float | None] = field(default_factory=dict)
    of_learned: dict[int, float | None] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The outcome, or that there is nothing to judge yet."""
        return self.outcome if self.seeds else "not run yet"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        entry = self.experiment
        plain = {
            name: getattr(entry, name)
            for name in ("name", "claim", "figures", "preset", "statement", "rule", "replaced_by")
        }
        interval = self.interval and {"mean": self.interval.mean, "low": self.interval.low, "high": self.interval.high}
        return plain | {
            "outcome": self.verdict, "seeds": self.seeds, "series": self.series, "differences": self.differences,
            "interval": interval, "learned": self.learned, "trained": self.trained, "runs": self.runs,
            "sentence": self.sentence(),
            "correlations": {seed: asdict(found) for seed, found in self.correlations.items()},
            "of_changes": self.of_changes, "beyond": self.beyond, "of_learned": self.of_learned,
            "left_out": self.left_out,
        }  # fmt: skip

    def headline(self) -> str:
        """The number that decides, with its interval and n; for a heading."""
        if self.interval is None:
            return ""
        low, high = self.interval.low, self.interval.high
        reach = "" if low is None or high is None else f" ({signed(low)} to {signed(high)})"
        return f"{signed(self.interval.mean)}{reach}, n = {self.interval.n}"

    def sentence(self) -> str:
        """The numbers behind the outcome, with n and interval."""
        if not self.seeds:
            return "; ".join(part for part in ("No finished seed yet", self._left_out_text()) if part)
        parts = [self._series_text(), self._interval_text() + f", n = {len(self.differences)} "
                 f"seed{'s' * (len(self.differences) != 1)}"]  # fmt: skip
        if self.correlations:
            checkpoints = sorted({of.n for of in self.correlations.values()})
            parts.append(f"each over {' or '.join(map(str, checkpoints))} checkpoints")
            for name, found in self.besides().items():
                rhos = [rho for rho in found.values() if rho is not None]
                if rhos:
                    parts.append(f"{name} {signed(sum(rhos) / len(rhos))} on average")
        parts += [self._premise_text(), self._failed_text(), self._left_out_text()]
        text = "; ".join(part for part in parts if part)
        return text[:1].upper() + text[1:]

    def besides(self) -> dict[str, dict[int, float | None]]:
        """Correlations that stand beside the judged one and decide nothing, by what they are of and by seed."""
        return {
            "of the changes between checkpoints": self.of_changes, "at lengths beyond": self.beyond,
            "where the main task is learned": self.of_learned,
        }  # fmt: skip

    def _parts(self) -> list[str]:
        parts = (self._series_text(), self._interval_text(), self._premise_text())
        return [part for part in parts if part]

    def _series_text(self) -> str:
        if self.experiment.rule == "ratio":
            return ""
        means = ", ".join(f"{name} {sum(of.values()) / len(of):.2f}" for name, of in self.series.items())
        return f"transfer accuracy: {means}"

    def _interval_text(self) -> str:
        name = QUANTITIES[self.experiment.rule]
        if self.interval is None:
            return f"{name} not defined"
        text = f"{name} {signed(self.interval.mean)}"
        if self.interval.low is not None and self.interval.high is not None:
            text += f" (95% t interval {signed(self.interval.low)} to {signed(self.interval.high)})"
        return text

    def _premise_text(self) -> str:
        low = {name: value for name, value in self.learned.items() if value < LEARNED}
        if low and self.experiment.rule == "ratio":
            return f"{len(low)} of {len(self.learned)} cells left out, where a task is not learned: " + ", ".join(low)
        return "not learned where trained: " + ", ".join(f"{n} {v:.2f}" for n, v in low.items()) if low else ""

    def _left_out_text(self) -> str:
        reasons = "; ".join(f"seed {seed} ({why})" for seed, why in self.left_out.items())
        return f"left out, as a run of theirs was given up: {reasons}" if reasons else ""

    def _failed_text(self) -> str:
        values = [share for name, of in self.trained.items() if name != SAME_EXAMPLES for share in of.values()]
        failed = sum(share < LEARNED for share in values)
        if not failed:
            return ""
        return f"{failed} of {len(values)} runs count though they did not learn the main task where it was trained"


def signed(value: float | None) -> str:
    """A number with two places, its sign and a real minus; a dash for none."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def correlation_frame(judgement: Judgement) -> pd.DataFrame:
    """One row per seed of a judgement about tracking, in words: rho, its bootstrap interval, permutation p, number of
    checkpoints, and the correlations that stand :meth:`Judgement.besides`."""
    rows = []
    for seed, found in judgement.correlations.items():
        p = "–" if found.p is None else "< 0.001" if found.p < 0.001 else f"{found.p:.3f}"
        rows.append(
            {"seed": str(seed), "rho": signed(found.rho),
             "95% bootstrap interval": f"{signed(found.low)} to {signed(found.high)}", "permutation p": p,
             "checkpoints": str(found.n)}
            | {name: signed(of[seed]) for name, of in judgement.besides().items() if of.get(seed) is not None}
        )  # fmt: skip
    return pd.DataFrame(rows).fillna("–")


def markdown_table(judgements: Sequence[Judgement], seconds: Mapping[int, float]) -> list[str]:
    """The lines of a Markdown table, a row per figure: command, preset, measured, verdict, what its runs cost.

    ``seconds``: what each run took on one core, by id. A run that several figures share counts for each of them.
    """
    columns = (
        "figure",
        "`lgt experiment`",
        "preset",
        "lengths (the paper's)",
        "measured",
        "n",
        "verdict",
        "core minutes",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for one in judgements:
        entry, minutes = one.experiment, sum(seconds[run_id] for run_id in one.runs) / 60
        measured = "; ".join(one._parts()).removeprefix("transfer accuracy: ") if one.seeds else ""
        here, theirs = lengths_beside(entry)
        verdict = f"{one.verdict}; now `{entry.replaced_by}`" if entry.replaced_by else one.verdict
        cells = (
            entry.figures, f"`{entry.name}`", _preset_cell(entry), f"{here} ({theirs})", measured,
            str(len(one.differences) or ""), verdict, f"{minutes:.0f}" if one.runs else "",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _preset_cell(experiment: Experiment) -> str:
    changes = ", ".join(preset_changes(experiment))
    return f"`{experiment.preset}`" + (f" with `{changes}`" if changes else "")


def differences_frame(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """One row per seed of every judgement, for :func:`lgt.charts.verdict_chart`; ``correlation`` tells which of its two
    quantities a row has, a correlation or a difference of accuracies."""
    rows = [
        {
            "figure": one.experiment.name, "statement": f"{one.experiment.figures} · {one.experiment.statement}",
            "outcome": one.outcome, "seed": seed, "difference": difference,
            "correlation": one.experiment.rule in CORRELATIONS,
            "mean": one.interval.mean, "low": one.interval.low, "high": one.interval.high,
        }
        for one in judgements if one.interval is not None
        for seed, difference in one.differences.items()
    ]  # fmt: skip
    columns = ["figure", "statement", "outcome", "seed", "difference", "correlation", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float})


def seeds_frame(judgement: Judgement) -> pd.DataFrame:
    """One row per series and seed: ``transfer`` and ``trained`` accuracy of the main task, and whether it ``learned``
    the task where it was trained."""
    rows = [
        {"series": name, "seed": seed, "transfer": value, "trained": judgement.trained[name][seed],
         "learned": judgement.trained[name][seed] >= LEARNED}
        for name, of in judgement.series.items() for seed, value in of.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["series", "seed", "transfer", "trained", "learned"])


def grid_frame(judgement: Judgement) -> pd.DataFrame:
    """One row per cell and seed of a grid: ``main_length``, ``auxiliary_length``, ``seed``, ``gap``, and whether every
    task of the cell was ``learned`` where it was trained (mean over seeds)."""
    rows = [
        {"main_length": grid_lengths(name)[0], "auxiliary_length": grid_lengths(name)[1], "seed": seed, "gap": gap,
         "learned": judgement.learned[name] >= LEARNED}
        for name, of in judgement.series.items() for seed, gap in of.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["main_length", "auxiliary_length", "seed", "gap", "learned"])
