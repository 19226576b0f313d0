"""The texts of configs. Runs that differ only in their seeds share one text; the seeds are columns of the run.

A migration uses :func:`shared_text`, so its output must not change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, delete, select

from lgt.core.config import RunConfig
from lgt.store.schema import Config, Run
from lgt.store.upserts import insert_missing

SEEDS = ("model_seed", "data_seed")
KEY_DIGITS = 32
AS_IT_IS = " "
"""Begins a stored text that has its seeds, if any. No canonical JSON begins with a space."""


def shared_text(text: str, model_seed: int, data_seed: int) -> tuple[str, str]:
    """The key and the text to store for a config's canonical JSON: without the seeds, if that gives the text back.

    Any other text is stored as it is, after :data:`AS_IT_IS`.
    """
    stored = AS_IT_IS + text
    with suppress(ValueError, AttributeError):  # no JSON object: an older store may have any text here
        shared = _canonical({name: value for name, value in json.loads(text).items() if name not in SEEDS})
        stored = shared if whole_text(shared, model_seed, data_seed) == text else stored
    return key_of(stored), stored


def key_of(stored: str) -> str:
    """The key of a stored text."""
    return hashlib.sha256(stored.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGITS]


def whole_text(stored: str, model_seed: int, data_seed: int) -> str:
    """The config's text as it was given to :func:`shared_text`. A damaged text stays as it is."""
    plain = None
    with suppress(ValueError):
        plain = json.loads(stored)
    if stored.startswith(AS_IT_IS) or not isinstance(plain, dict):
        return stored.removeprefix(AS_IT_IS)
    return _canonical(plain | {"model_seed": model_seed, "data_seed": data_seed})


def _canonical(plain: dict[str, Any]) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=4096)
def template_of(stored: str) -> RunConfig:
    """The config of a stored text with seeds 0. Raises ConfigError when this code cannot read it."""
    return replace(RunConfig.from_json(stored), model_seed=0, data_seed=0)


def seeds_of(stored: str, model_seed: int, data_seed: int) -> tuple[int, int]:
    """The seeds of a run: the given ones, unless its stored text has them."""
    if not stored.startswith(AS_IT_IS):
        return model_seed, data_seed
    config = RunConfig.from_json(stored)
    return config.model_seed, config.data_seed


def config_of(stored: str, model_seed: int, data_seed: int) -> RunConfig:
    """The config of a run. Raises ConfigError when this code cannot read it."""
    own_model_seed, own_data_seed = seeds_of(stored, model_seed, data_seed)
    return replace(template_of(stored), model_seed=own_model_seed, data_seed=own_data_seed)


def store_config(connection: Connection, config: RunConfig) -> str:
    """Store the text of ``config`` if it is new; returns its key."""
    key, stored = shared_text(config.canonical_json(), config.model_seed, config.data_seed)
    insert_missing(connection, Config, [{"key": key, "config": stored}])
    return key


def delete_unused(connection: Connection, keys: Iterable[str]) -> None:
    """Delete those of these configs that no run has."""
    used = select(Run.config_key)
    connection.execute(delete(Config).where(Config.key.in_(sorted(set(keys))), Config.key.not_in(used)))
