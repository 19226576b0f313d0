"""Comparisons: the co-trained runs of a task group beside the main-alone runs that are matched to them.

A baseline is found by what it is: it must be the config that :func:`lgt.presets.baseline` derives from the co-trained
run, whenever either was measured on its way. Runs made for another group with the same main task therefore serve here
too, and nothing that was trained differently can slip in.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Engine, select

from lgt.checks import ConfigError
from lgt.config import LABELS, MEASURING, Arm, RunConfig
from lgt.groups import GROUPS
from lgt.presets import PRESETS, baseline, custom_config, group_config
from lgt.store.engine import read_connection
from lgt.store.marks import present
from lgt.store.schema import Run, RunState
from lgt.tasks import TASKS


@dataclass(frozen=True, order=True)
class Setting:
    """What the runs of one comparison share: all but their model seeds.

    ``group`` is the task group's key, or for a free pair its tasks (``reverse:4+capitalize:8``). ``changes`` lists what
    differs from the preset as this code has it, such as ``training.steps=60``.
    """

    group: str
    preset: str
    position: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Finished runs of one setting: run ids by arm and model seed. ``config`` is that of a co-trained run."""

    setting: Setting
    config: RunConfig
    runs: dict[Arm, dict[int, int]]

    def ids(self, *arms: Arm) -> list[int]:
        """Run ids of these arms, by seed."""
        return [self.runs[arm][seed] for arm in arms for seed in sorted(self.runs[arm])]


def comparisons(engine: Engine) -> dict[Setting, Comparison]:
    """Every comparison that the finished runs allow, in order of setting, from one query.

    Where a config was run more than once, the newest run counts, also where one of them was measured more often on its
    way. Runs of another recipe are another setting, so that one curve never mixes two. Pairs without a transfer region
    (no auxiliary is longer than the main task) have nothing to compare.
    """
    statement = (
        select(Run.id, Run.config).where(Run.state == RunState.DONE, present()).order_by(Run.finished_at, Run.id)
    )
    with read_connection(engine) as connection:
        rows = connection.execute(statement).all()
    alone: dict[str, int] = {}
    by_setting: dict[Setting, list[tuple[int, RunConfig]]] = {}
    for run_id, config in readable(rows):
        if not config.others:
            alone[config.result_hash()] = run_id
        elif config.transfer_length is not None:
            by_setting.setdefault(setting_of(config), []).append((run_id, config))
    return {setting: _comparison(setting, found, alone) for setting, found in sorted(by_setting.items())}


def readable(rows: Sequence[Any]) -> list[tuple[int, RunConfig]]:
    """(id, config) of the rows, oldest first; a config that this code cannot read is left out and logged."""
    found = []
    for row in rows:
        try:
            found.append((row.id, RunConfig.from_json(row.config)))
        except ConfigError as error:
            logging.getLogger(__name__).warning("run %s is left out: %s", row.id, error)
    return found


def _comparison(setting: Setting, found: list[tuple[int, RunConfig]], alone: dict[str, int]) -> Comparison:
    runs: dict[Arm, dict[int, int]] = {arm: {} for arm in get_args(Arm)}
    for run_id, config in found:
        runs["co-trained"][config.model_seed] = run_id
        for arm in ("alone-same-steps", "alone-same-examples"):
            partner = alone.get(baseline(config, arm).result_hash())
            if partner is not None:
                runs[arm][config.model_seed] = partner
    return Comparison(setting, found[-1][1], runs)


def setting_of(config: RunConfig) -> Setting:
    """The setting that a co-trained run belongs to."""
    position = config.model.position
    free = config.group not in GROUPS
    name = "+".join(f"{spec.task}:{spec.training_length}" for spec in config.tasks) if free else config.group
    if config.preset not in PRESETS or config.main.task not in TASKS:
        return Setting(name, config.preset, position, (f"unknown preset or task, config {config.hash()}",))
    if free:
        family = TASKS[config.main.task].family
        reference = custom_config(config.tasks, config.preset, family, position=position)
    else:
        reference = group_config(config.group, config.preset, position=position)
    return Setting(name, config.preset, position, tuple(c for c in changes_from(reference, config) if not _when(c)))


def changes_from(reference: RunConfig, config: RunConfig) -> list[str]:
    """``path=value`` of every field of ``config`` that differs from ``reference``, labels and model seed aside."""
    return differences(reference.as_dict(), config.as_dict())


def _when(change: str) -> bool:
    """Whether a change says only when and how closely a run is looked at."""
    return change.startswith(tuple(f"evaluation.{name}=" for name in MEASURING))


def differences(reference: dict[str, Any], plain: dict[str, Any], prefix: str = "") -> list[str]:
    """``path=value`` of every field of ``plain`` that differs from ``reference``, labels and the model seed aside."""
    found = []
    for name, value in plain.items():
        if name in (*LABELS, "model_seed"):
            continue
        known = reference.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            found += differences(known, value, f"{prefix}{name}.")
        elif value != known:
            found.append(f"{prefix}{name}={value}")
    return found
