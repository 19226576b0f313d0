"""Models from stored weights, for pages that compute with one. torch is imported when the first model is loaded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import streamlit as st

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.core.parts import parts_by_task
from lgt.recipes.limits import check_measuring
from lgt.store import checkpoints, queries
from lgt.store.errors import StoreError
from lgt.ui import data

if TYPE_CHECKING:
    from lgt.model.decoder import Decoder


@st.cache_resource(show_spinner="Loading the model …", max_entries=8)
def _loaded(key: str, run_id: int, sha256: str) -> tuple[RunConfig, Decoder]:
    from lgt.model.checkpoint import CheckpointError, from_bytes

    source = data.library()
    config = queries.run(source, run_id).config
    try:
        check_measuring(config)  # the store may be somebody else's
    except ConfigError as error:
        raise StoreError(f"run {source.name(run_id)}: {error}") from error
    weights = checkpoints.read_checkpoint(source, run_id).weights
    try:
        return config, from_bytes(weights, config.model, parts_by_task(config))
    except CheckpointError as error:
        raise StoreError(f"run {source.name(run_id)}: its weights cannot be used ({error})") from error


def load(run_id: int) -> tuple[RunConfig, Decoder]:
    """The config of a run and a copy of its model with the last stored weights, in float32 on the CPU.

    Every caller gets its own copy, because knocking out a head changes the model and viewers share this process. Raises
    StoreError when the run has no intact weights, when they do not fit its config, or when it is above the
    limits.
    """
    config, model = _loaded(data.key(), run_id, data.last_weights(run_id))
    return config, copy.deepcopy(model)
