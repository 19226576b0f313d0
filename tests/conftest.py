"""Fixtures: a quickly trained run, and stores in three states (empty, shipped copy, failed run)."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lgt.config import EvaluationConfig, RunConfig
from lgt.presets import group_config

ROOT = Path(__file__).parent.parent


def tiny(group: str = "caprev", arm: str = "co-trained", steps: int = 150, **changes: object) -> RunConfig:
    """A run of seconds: lengths 3 <- 6, one small evaluation."""
    config = group_config(group, "demo", arm=arm)  # type: ignore[arg-type]
    tasks = tuple(replace(spec, training_length=3 if spec.role == "main" else 6) for spec in config.tasks)
    evaluation = EvaluationConfig(
        examples=40, progress_examples=20, maximum_length=7, snapshots=2, attribution_examples=16, attribution_lengths=1
    )
    training = replace(config.training, steps=steps, batch_size=64)
    return replace(
        config, tasks=tasks, transfer_length=6, training=training, evaluation=evaluation, **changes  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained():
    """(config, decoder as measured, sink) of a caprev run that gets some answers right and some wrong."""
    from lgt.checkpoint import measured_copy
    from lgt.sinks import ListSink
    from lgt.train import train

    config, sink = tiny(), ListSink()
    return config, measured_copy(train(config, sink)), sink


@pytest.fixture()
def shipped(tmp_path: Path) -> Path:
    """A copy of the store that the repository ships; tests never open the original."""
    copy = tmp_path / "results.db"
    shutil.copy(ROOT / "results.db", copy)
    return copy
