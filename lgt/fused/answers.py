"""Exact match and loss of the examples of a batch, in compiled code: the forward pass of the training step."""

from __future__ import annotations

import ctypes
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from lgt.core.parts import partition_of
from lgt.fused.biases import table_of
from lgt.fused.library import library
from lgt.fused.step import PackedBatch, order_for, shape_of, unsupported_network
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.network import Network, has_edits


def supports(network: Network) -> TypeGuard[Decoder]:
    """Whether the compiled code computes ``network``: a decoder on the CPU in float32 that the fused step supports,
    without drawn heads, which measurements scale, with weights for all tokens, and without edits at its hook points.
    This call compiles the code if necessary."""
    return (
        isinstance(network, Decoder)
        and not unsupported_network(network.config)
        and partition_of(network.config).drawn is None
        and not network.unknown
        and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in network.parameters())
        and not has_edits(network)
        and library() is not None
    )


def answer_scores(model: Decoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Per example of ``batch``: exact match [B] (bool) and mean cross-entropy over its scored tokens [B] (nats).

    The network must be one that :func:`supports` accepts. Uses PyTorch's number of threads; results do not depend on
    it.
    """
    loaded = library()
    if loaded is None:
        raise RuntimeError("the compiled code is not available; ask supports() first")
    packed_batch = PackedBatch(model, batch)
    parameters = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    matches, losses = np.empty(len(batch), dtype=np.uint8), np.empty(len(batch), dtype=np.float32)
    biases = table_of(model.encoding, model.config.heads, packed_batch.longest)
    loaded.lgt_answers(
        ctypes.byref(shape_of(model)), *order_for(model), parameters.data_ptr(), ctypes.byref(packed_batch.given),
        None if biases is None else biases.data_ptr(), torch.get_num_threads(), matches.ctypes.data,
        losses.ctypes.data,
    )  # fmt: skip
    return torch.from_numpy(matches).bool(), torch.from_numpy(losses)
