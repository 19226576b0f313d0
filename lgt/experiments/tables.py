"""Judgements as tables: a Markdown table, frames for the overview charts, and the correlations of one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lgt.experiments.experiment import Experiment
from lgt.experiments.judgements import Judgement
from lgt.experiments.numbers import signed
from lgt.experiments.rules.base import ChartRequest, Scale
from lgt.experiments.words import lengths_here, lengths_in_paper, preset_changes

TABLE_COLUMNS = (
    "figure", "`lgt experiment`", "preset", "lengths (the paper's)", "measured", "n", "verdict", "core minutes",
)  # fmt: skip


def markdown_table(judgements: Sequence[Judgement], seconds: Mapping[int, float]) -> list[str]:
    """The lines of a Markdown table with one row per figure: experiment, preset, values, verdict, time of its runs.

    ``seconds``: the time of each run on one core, by id. A run that several figures share counts for each of them.
    """
    lines = [f"| {' | '.join(TABLE_COLUMNS)} |", "|---" * len(TABLE_COLUMNS) + "|"]
    return lines + [f"| {' | '.join(_cells(one, seconds))} |" for one in judgements]


def _cells(judgement: Judgement, seconds: Mapping[int, float]) -> tuple[str, ...]:
    entry, runs = judgement.experiment, judgement.runs
    theirs = lengths_in_paper(entry)
    verdict = judgement.verdict + (f"; now `{entry.replaced_by}`" if entry.replaced_by else "")
    return (
        entry.figures or "beyond", f"`{entry.name}`", _preset_cell(entry),
        lengths_here(entry) + (f" ({theirs})" if theirs else ""),
        judgement.short_sentence(), str(len(judgement.numbers) or ""), verdict,
        f"{sum(seconds[run_id] for run_id in runs) / 60:.0f}" if runs else "",
    )  # fmt: skip


def _preset_cell(experiment: Experiment) -> str:
    changes = ", ".join(preset_changes(experiment))
    return f"`{experiment.preset}`" + (f" with `{changes}`" if changes else "")


def correlation_frame(judgement: Judgement) -> pd.DataFrame:
    """One row of texts per seed of a judgement about tracking: rho, its bootstrap interval, permutation p, number of
    checkpoints, and the correlations that do not decide the verdict. For other rules the frame has no rows."""
    correlations, rows = judgement.measured.correlations, []
    for seed, found in correlations.judged.items():
        p = "–" if found.p is None else "< 0.001" if found.p < 0.001 else f"{found.p:.3f}"
        rows.append(
            {"seed": str(seed), "rho": signed(found.rho),
             "95% bootstrap interval": f"{signed(found.low)} to {signed(found.high)}", "permutation p": p,
             "checkpoints": str(found.n)}
            | {name: signed(of[seed]) for name, of in correlations.not_judged().items() if of.get(seed) is not None}
        )  # fmt: skip
    return pd.DataFrame(rows).fillna("–")


def numbers_frame(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """One row per seed of every judgement, for :func:`lgt.charts.verdict_chart`: ``difference`` is the rule's number;
    ``mean``, ``low`` and ``high`` are its mean over seeds and the interval, ``run_ids`` the ids of the seed's runs."""
    rows = [
        {
            "figure": one.experiment.name, "statement": _statement(one.experiment),
            "outcome": one.outcome, "seed": seed, "difference": number,
            "mean": one.interval.mean, "low": one.interval.low, "high": one.interval.high,
            "quantity": one.rule.quantity,
            "run_ids": " ".join(str(run_id) for run_id in sorted(set(one.ids.get(seed, {}).values()))),
        }
        for one in judgements if one.interval is not None
        for seed, number in one.numbers.items()
    ]  # fmt: skip
    columns = ["figure", "statement", "outcome", "seed", "difference", "mean", "low", "high", "quantity", "run_ids"]
    return pd.DataFrame(rows, columns=columns).astype({"low": float, "high": float})


def _statement(experiment: Experiment) -> str:
    return f"{experiment.figures} · {experiment.statement}" if experiment.figures else experiment.statement


def overview_charts(judgements: Sequence[Judgement]) -> list[ChartRequest]:
    """The charts of all verdicts, one for each scale and threshold of the rules, in the order of the judgements."""
    groups: dict[tuple[Scale, float], list[Judgement]] = {}
    for one in judgements:
        if one.interval is not None:
            groups.setdefault((one.rule.scale, one.rule.smallest), []).append(one)
    return [_overview(scale, smallest, group) for (scale, smallest), group in groups.items()]


def _overview(scale: Scale, smallest: float, judgements: Sequence[Judgement]) -> ChartRequest:
    options = {"quantity": scale.quantity, "smallest": smallest, "title": scale.title}
    return ChartRequest("verdict_chart", (numbers_frame(judgements),), options)
