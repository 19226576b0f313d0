"""Models from stored checkpoints, for pages that run one live. torch is imported when the first model is asked for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import streamlit as st

from lgt.core.config import RunConfig
from lgt.store import checkpoints, queries
from lgt.ui import data

if TYPE_CHECKING:
    from lgt.model.decoder import Decoder


@st.cache_resource(show_spinner="Loading the model …", max_entries=8)
def _loaded(url: str, run_id: int, sha256: str) -> tuple[RunConfig, Decoder]:
    from lgt.model.checkpoint import from_bytes

    engine = data.engine()
    config = queries.run(engine, run_id).config
    return config, from_bytes(checkpoints.read_checkpoint(engine, run_id).weights, config.model)


def load(run_id: int) -> tuple[RunConfig, Decoder]:
    """The config of a run and a copy of its model with the last stored weights, in float32 on the CPU.

    A copy of one's own, because edits at taps belong to a model and viewers share this process. Raises StoreError when
    the run has no intact weights, CheckpointError when they do not fit its config.
    """
    kept = data.read_checkpoints()
    last = kept[kept.run_id == run_id].sort_values("step")
    config, model = _loaded(data.url(), run_id, str(last.sha256.iloc[-1]) if len(last) else "")
    return config, copy.deepcopy(model)
