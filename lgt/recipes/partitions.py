"""Series whose tasks may use only some attention heads or feed-forward channels (``model.parts``).

They have eight heads a layer. Where heads are restricted, the main task uses the first four.
"""

from __future__ import annotations

from dataclasses import replace

from lgt.core.config import RunConfig, with_setting
from lgt.recipes.builders import ALONE_SAME_STEPS, Maker, Series, joined_by
from lgt.recipes.presets import baseline, group_config

HEADS = 8
SHARED = Series("same four heads")
APART = Series("separate heads")
HALF = Series("two of four heads shared")
OCCUPIED = Series("separate heads, a control task in the main task's")
CROWDED = Series("same four heads, a control task in them too")
CHANNELS_APART = Series("same four heads, separate feed-forward channels")
CHANNELS_SHARED = Series("same four heads, the same half of the feed-forward channels")
ALONE = ALONE_SAME_STEPS

_PARTS = {
    SHARED: "main:0-3+auxiliary:0-3",
    APART: "main:0-3+auxiliary:4-7",
    HALF: "main:0-3+auxiliary:2-5",
    OCCUPIED: "main:0-3+control:0-3+auxiliary:4-7",
    CROWDED: "main:0-3+control:0-3+auxiliary:0-3",
}


def partitioned(group: str, preset: str, series: Series, control: str, *settings: str) -> Maker:
    """The runs of ``series`` (one of this module) for a task group: ``preset`` with :data:`HEADS` heads and with
    ``settings`` such as ``training.steps=2000``.

    ``control``: the control task that joins the series that have one, trained to the auxiliary's length La. The
    series alone uses the main task's heads of the other series. All series train for the same optimizer steps.
    """

    def make(seed: int) -> RunConfig:
        config = with_setting(group_config(group, preset, seed=seed), "model.heads", str(HEADS))
        for setting in settings:
            config = with_setting(config, *setting.split("=", 1))
        if series in (OCCUPIED, CROWDED):
            config = joined_by(config, control)
        shown = SHARED if series == ALONE else series
        config = replace(config, model=replace(config.model, parts=_parts(shown, config.model.hidden)))
        return baseline(config, series.arm)

    return make


def _parts(series: Series, hidden: int) -> str:
    lower, upper = f"0-{hidden // 2 - 1}", f"{hidden // 2}-{hidden - 1}"
    if series == CHANNELS_APART:
        return f"main:0-3:{lower}+auxiliary:0-3:{upper}"
    return f"main:0-3:{lower}+auxiliary:0-3:{lower}" if series == CHANNELS_SHARED else _PARTS[series]
