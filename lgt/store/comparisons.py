"""Comparisons: the co-trained runs of a setting with their matched baselines (main-alone runs).

A baseline is found by its config: it must equal the config that :func:`lgt.recipes.presets.baseline` derives from the
co-trained run. A run that was made for another group with the same main task can therefore be a baseline here. A run
with any other difference cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import select

from lgt.core.checks import ConfigError
from lgt.core.config import Arm, RunConfig
from lgt.recipes.presets import baseline
from lgt.recipes.settings import Setting, setting_of
from lgt.store.configs import config_of
from lgt.store.engine import read_connection
from lgt.store.library import Source, members
from lgt.store.schema import Config, Run, RunState
from lgt.store.tags import not_deleted


@dataclass(frozen=True)
class Comparison:
    """Finished runs of one setting: run ids by arm and model seed. ``config``: the config of a co-trained run."""

    setting: Setting
    config: RunConfig
    runs: dict[Arm, dict[int, int]]

    def ids(self, *arms: Arm) -> list[int]:
        """Run ids of these arms, by seed."""
        return [self.runs[arm][seed] for arm in arms for seed in sorted(self.runs[arm])]


def comparisons(source: Source) -> dict[Setting, Comparison]:
    """All comparisons of the finished runs, by setting and in order of setting. Uses one query for each store.

    If a config has several runs, the newest counts, even if they were measured at different steps; of a config in
    several stores, the run of the first store. Runs with other hyperparameters belong to another setting, so one curve
    never mixes two recipes. Runs without a transfer region (no auxiliary is longer than the main task) are left out.
    """
    alone: dict[str, int] = {}
    by_setting: dict[Setting, list[tuple[int, RunConfig]]] = {}
    for run_id, config in _finished(source):
        if not config.auxiliaries:
            alone[config.result_hash()] = run_id
        elif config.transfer_length is not None:
            by_setting.setdefault(setting_of(config), []).append((run_id, config))
    return {setting: _comparison(setting, found, alone) for setting, found in sorted(by_setting.items())}


def _finished(source: Source) -> list[tuple[int, RunConfig]]:
    """(id, config) of the finished runs: what counts more comes later, that is the first store and the newest runs."""
    statement = (
        select(Run.id, Run.model_seed, Run.data_seed, Config.config)
        .join(Config)
        .where(Run.state == RunState.DONE, not_deleted())
        .order_by(Run.finished_at, Run.id)
    )
    found = []
    for member in reversed(members(source)):
        with read_connection(member.engine) as connection:
            rows = connection.execute(statement).all()
        found += [(run_id + member.offset, config) for run_id, config in _readable_configs(rows)]
    return found


def _readable_configs(rows: Sequence[Any]) -> list[tuple[int, RunConfig]]:
    """(id, config) of the rows, in their order. A config that this code cannot read is skipped and logged."""
    found = []
    for row in rows:
        try:
            found.append((row.id, config_of(row.config, row.model_seed, row.data_seed)))
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
