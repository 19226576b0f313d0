"""Comparisons: the co-trained runs of a setting with their matched baselines (main-alone runs).

A baseline is found by its config: it must equal the config that :func:`lgt.recipes.presets.baseline` derives from the
co-trained run. A run that was made for another group with the same main task can therefore be a baseline here. A run
with any other difference cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, get_args

from sqlalchemy import select

from lgt.core.checks import ConfigError
from lgt.core.config import Arm, RunConfig
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, baseline
from lgt.recipes.settings import Setting, setting_of
from lgt.store.configs import config_of, seeds_of, template_of
from lgt.store.engine import read_connection
from lgt.store.library import Source, members
from lgt.store.schema import Config, Run, RunState
from lgt.store.tags import not_deleted
from lgt.tasks import TASKS


class Seeded(NamedTuple):
    """The stored text of a run's config (:mod:`lgt.store.configs`), and its seeds. Runs that differ in their seeds have
    the same text, so what follows from the text is computed once."""

    stored: str
    model_seed: int
    data_seed: int


BASELINES: tuple[Arm, ...] = ("alone-same-steps", "alone-same-examples")
KEPT = 2**14
"""How many settings and hashes are kept in memory."""


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
    alone: dict[tuple[str, int, int], int] = {}
    by_setting: dict[Setting, list[tuple[int, Seeded]]] = {}
    known = (len(TASKS), len(GROUPS), len(PRESETS))
    for run_id, run in _finished(source):
        if not template_of(run.stored).auxiliaries:
            alone[_result(run.stored), run.model_seed, run.data_seed] = run_id
        elif template_of(run.stored).transfer_length is not None:
            by_setting.setdefault(_setting(run.stored, run.data_seed, known), []).append((run_id, run))
    return {setting: _comparison(setting, found, alone) for setting, found in sorted(by_setting.items())}


@lru_cache(maxsize=KEPT)
def _setting(stored: str, data_seed: int, _known: tuple[int, ...]) -> Setting:
    """The setting of a run. The model seed is no part of a setting. An extension may register what the setting names,
    so ``_known`` says how much is registered."""
    return setting_of(replace(template_of(stored), data_seed=data_seed))


@lru_cache(maxsize=KEPT)
def _result(stored: str) -> str:
    return template_of(stored).result_hash()


@lru_cache(maxsize=KEPT)
def _baseline_result(stored: str, arm: Arm) -> str:
    """What :func:`_result` is for the baseline of a run. A baseline has the seeds of its co-trained run."""
    return baseline(template_of(stored), arm).result_hash()


def _finished(source: Source) -> list[tuple[int, Seeded]]:
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
        found += [(run_id + member.offset, run) for run_id, run in _readable_configs(rows)]
    return found


def _readable_configs(rows: Sequence[Any]) -> list[tuple[int, Seeded]]:
    """(id, config) of the rows, in their order. A config that this code cannot read is skipped and logged."""
    found = []
    for row in rows:
        try:
            template_of(row.config)
            found.append((row.id, Seeded(row.config, *seeds_of(row.config, row.model_seed, row.data_seed))))
        except ConfigError as error:
            logging.getLogger(__name__).warning("run %s is left out: %s", row.id, error)
    return found


def _comparison(
    setting: Setting, found: list[tuple[int, Seeded]], alone: dict[tuple[str, int, int], int]
) -> Comparison:
    runs: dict[Arm, dict[int, int]] = {arm: {} for arm in get_args(Arm)}
    for run_id, run in found:
        runs["co-trained"][run.model_seed] = run_id
        for arm in BASELINES:
            partner = alone.get((_baseline_result(run.stored, arm), run.model_seed, run.data_seed))
            if partner is not None:
                runs[arm][run.model_seed] = partner
    return Comparison(setting, config_of(*found[-1][1]), runs)
