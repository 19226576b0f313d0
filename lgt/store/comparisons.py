"""Comparisons: the co-trained runs of a task group beside the main-alone runs that are matched to them.

A baseline is found by what it is: its config hash must be the one that :func:`lgt.presets.baseline` derives from the
co-trained run. Runs made for another group with the same main task therefore serve here too, and nothing that was
trained differently can slip in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from sqlalchemy import Engine, select

from lgt.config import Arm, RunConfig
from lgt.presets import baseline
from lgt.store.engine import read_connection
from lgt.store.schema import Run, RunState


@dataclass(frozen=True, order=True)
class Setting:
    """What the runs of one comparison share, besides their seeds: task group, preset, position encoding."""

    group: str
    preset: str
    position: str


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

    Where a config was run more than once, the newest run counts. Runs whose settings differ from the newest co-trained
    run's in anything but the model seed are left out, so that one curve never mixes two recipes.
    """
    statement = select(Run.id, Run.config_hash, Run.config).where(Run.state == RunState.DONE).order_by(Run.id)
    with read_connection(engine) as connection:
        rows = connection.execute(statement).all()
    newest = {row.config_hash: row.id for row in rows}
    configs = {row.id: RunConfig.from_json(row.config) for row in rows if newest[row.config_hash] == row.id}
    by_setting: dict[Setting, list[tuple[int, RunConfig]]] = {}
    for run_id, config in configs.items():
        if config.others:
            setting = Setting(config.group, config.preset, config.model.position)
            by_setting.setdefault(setting, []).append((run_id, config))
    return {setting: _comparison(setting, found, newest) for setting, found in sorted(by_setting.items())}


def _comparison(setting: Setting, found: list[tuple[int, RunConfig]], newest: dict[str, int]) -> Comparison:
    recipe = _without_seed(found[-1][1])
    runs: dict[Arm, dict[int, int]] = {arm: {} for arm in get_args(Arm)}
    for run_id, config in found:
        if _without_seed(config) != recipe:
            continue
        runs["co-trained"][config.model_seed] = run_id
        for arm in ("alone-same-steps", "alone-same-examples"):
            alone = newest.get(baseline(config, arm).hash())
            if alone is not None:
                runs[arm][config.model_seed] = alone
    return Comparison(setting, found[-1][1], runs)


def _without_seed(config: RunConfig) -> dict[str, object]:
    return {name: value for name, value in config.as_dict().items() if name != "model_seed"}
