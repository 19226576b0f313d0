"""The planned runs of preregistered experiments, as docs/preregistered.csv lists them."""

from __future__ import annotations

from collections.abc import Iterator

from lgt.experiments.registry import EXPERIMENTS

HEADER = "experiment,series,seed,config_hash"


def planned_csv() -> str:
    """One line for each experiment, series and seed, with the hash of the run's config (CSV, with a header)."""
    return "".join(f"{line}\n" for line in (HEADER, *_lines()))


def _lines() -> Iterator[str]:
    for experiment in EXPERIMENTS.values():
        for series, make in experiment.series.items():
            for seed in experiment.planned:
                yield f'{experiment.name},"{series}",{seed},{make(seed).hash()}'
