"""Comparisons: the co-trained runs of a task group beside the main-alone runs that are matched to them.

A baseline is found by what it is: it must be the config that :func:`lgt.recipes.presets.baseline` derives from the
co-trained run. Runs made for another group with the same main task therefore serve here too, and nothing that was
trained differently can slip in.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import Engine, select

from lgt.core.checks import ConfigError
from lgt.core.config import Arm, RunConfig
from lgt.recipes.presets import baseline
from lgt.recipes.settings import Setting, setting_of
from lgt.store.engine import read_connection
from lgt.store.marks import present
from lgt.store.schema import Run, RunState


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
        if not config.auxiliaries:
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
