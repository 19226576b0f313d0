"""The fused training step. Parameters, gradient and optimizer state are flat tensors. The decoder's parameters are
views of the flat parameters."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lgt.core.config import ModelConfig, RunConfig, TrainingConfig
from lgt.core.frozen import is_frozen
from lgt.fused.biases import Biases
from lgt.fused.library import Packed, Rates, Shape, library
from lgt.model.batch import Batch
from lgt.model.decoder import NORM_EPSILON, Decoder
from lgt.model.parts import Used
from lgt.model.positions import has_fast_code
from lgt.model.schedules import order_of
from lgt.tasks import vocabulary_size

MOST_PARAMETERS = 50_000_000
"""The fused step keeps eight partial gradients: 15 numbers per parameter, with 106 million parameters 6.3 GB. PyTorch's
step keeps four numbers, 1.7 GB."""


def unsupported(config: RunConfig, device: str = "cpu") -> str:
    """The reason why the fused step cannot train a run on ``device``, such as ``device cuda``; empty if it can.

    It does not check whether the code can be compiled; :func:`lgt.fused.library.library` does.
    """
    if device != "cpu":
        return f"device {device}"
    if config.training.precision != "float32":
        return f"training.precision={config.training.precision}"
    parameters = config.model.parameters(vocabulary_size(config))
    if parameters > MOST_PARAMETERS:
        return f"{parameters:,} parameters"
    return unsupported_network(config.model)


def unsupported_network(model: ModelConfig) -> str:
    """The part of a decoder of this shape that the compiled code cannot compute, as in :func:`unsupported`."""
    return "" if has_fast_code(model.position) else f"model.position={model.position}"


def shape_of(model: Decoder) -> Shape:
    """The shape of ``model`` as the compiled code reads it."""
    shape = model.config
    return Shape(
        shape.layers, shape.heads, shape.key_value_heads, shape.width, shape.hidden, model.embedding.num_embeddings,
        shape.position == "rope", shape.qk_norm, shape.tied, sum(p.numel() for p in model.encoding.parameters()),
        shape.rope_theta, NORM_EPSILON,
    )  # fmt: skip


def order_for(model: Decoder) -> tuple[ctypes.Array[ctypes.c_int64], int]:
    """The layers of ``model`` in the order of their application, as the compiled code reads them, and their number."""
    order = order_of(model.config)
    return (ctypes.c_int64 * len(order))(*order), len(order)


class FusedStep:
    """Gradient and optimizer step of ``model`` (on the CPU, float32) in compiled code.

    PyTorch computes the biases that a positional encoding adds to the attention scores, and the gradient of the
    encoding's own parameters, which are the last of the flat parameters (:mod:`lgt.fused.biases`).

    The model's parameters become views of ``parameters``, so that the model can be measured at any time. ``gradient``,
    ``momentum`` and ``variance`` are flat as well [parameters], in the order of ``model.named_parameters()``. The
    number of threads is PyTorch's; results do not depend on it. Raises RuntimeError if the compiled code is missing or
    does not support the model.
    """

    machinery = "fused"

    def __init__(self, model: Decoder, training: TrainingConfig) -> None:
        loaded, reason = library(), unsupported_network(model.config)
        if loaded is None or reason:
            raise RuntimeError(
                f"the fused step is not available ({reason or 'no compiled code'}); ask supports() first"
            )
        self.library, self.training, self.done = loaded, training, 0
        self.handle = loaded.lgt_create(ctypes.byref(shape_of(model)), *order_for(model))
        weakref.finalize(self, loaded.lgt_destroy, self.handle)
        self.parameters = flattened(model)
        if loaded.lgt_parameters(self.handle) != len(self.parameters):
            raise RuntimeError("fused/decoder.hpp and lgt/model/decoder.py have different numbers of parameters")
        self.model, self.frozen = model, frozen_ranges(model, training)
        self.gradient = torch.zeros_like(self.parameters)
        self.biases = Biases(model.encoding, model.config.heads, self.gradient)
        self.momentum, self.variance = torch.zeros_like(self.parameters), torch.zeros_like(self.parameters)

    @staticmethod
    def supports(config: RunConfig, device: str = "cpu") -> bool:
        """Whether the fused step can train this run on ``device``: nothing is :func:`unsupported`, and the compiled
        code is available. This call compiles the code if necessary."""
        return not unsupported(config, device) and library() is not None

    def step(self, batch: Batch, factor: float) -> float:
        """One optimizer step at ``factor`` times the base rates; returns the loss before it (nats per scored token)."""
        loss = self.gradients(batch)
        self.update(factor)
        return loss

    def state(self) -> dict[str, Tensor]:
        """See :class:`lgt.training.steps.Stepper`."""
        return {name: getattr(self, name) for name in ("parameters", "momentum", "variance")}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """See :class:`lgt.training.steps.Stepper`."""
        for name, value in self.state().items():
            value.copy_(tensors[name])
        self.done = step

    def gradients(self, batch: Batch) -> float:
        """Write the gradient of the loss to ``gradient``; returns the loss."""
        packed_batch = PackedBatch(self.model, batch)
        table, table_gradient = self.biases.table(packed_batch.longest)
        loss = self.library.lgt_gradients(
            self.handle, self.parameters.data_ptr(), self.gradient.data_ptr(), ctypes.byref(packed_batch.given),
            None if table is None else table.data_ptr(),
            None if table_gradient is None else table_gradient.data_ptr(), torch.get_num_threads(),
        )  # fmt: skip
        if table is not None and table_gradient is not None:
            self.biases.write_gradient(table, table_gradient)
        return float(loss)

    def update(self, factor: float) -> None:
        """Clip ``gradient`` and take one optimizer step with it. Before that, the gradient of what is frozen is set to
        zero, so that it does not count in the norm."""
        self.done += 1
        before = [self.parameters[place].clone() for place in self.frozen]
        for place in self.frozen:
            self.gradient[place] = 0.0
        training = self.training
        rates = Rates(
            training.learning_rate * factor, training.embedding_learning_rate * factor, training.weight_decay,
            training.gradient_clip, training.optimizer == "muon", self.done,
        )  # fmt: skip
        self.library.lgt_update(
            self.handle, self.parameters.data_ptr(), self.gradient.data_ptr(), self.momentum.data_ptr(),
            self.variance.data_ptr(), ctypes.byref(rates), torch.get_num_threads(),
        )  # fmt: skip
        for place, kept in zip(self.frozen, before, strict=True):
            self.parameters[place] = kept  # the compiled code has applied the weight decay


def flattened(model: Decoder) -> Tensor:
    """All parameters of ``model`` in one float32 tensor; the model's parameters become views of it."""
    parameters = list(model.parameters())
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    pieces = torch.split(flat, [parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.data = piece.view(parameter.shape)
    return flat


def frozen_ranges(model: Decoder, training: TrainingConfig) -> list[slice]:
    """The places of the frozen parameters of ``model`` in the flat tensors."""
    names, sizes = zip(*((name, p.numel()) for name, p in model.named_parameters()), strict=True)
    ends = np.cumsum(sizes).tolist()
    places = zip(names, sizes, ends, strict=True)
    return [slice(end - size, end) for name, size, end in places if is_frozen(name, training.frozen)]


def allowed(used: Used | None) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
    """Which heads [B, H] and channels [B, F] each sequence may use, 0 or 1; ``None`` if all of them. Raises ValueError
    for another factor, as a network with drawn heads has outside training."""
    if used is None:
        return None, None
    if any(bool(((factors != 0) & (factors != 1)).any()) for factors in used):
        raise ValueError("the fused step needs the drawn heads of the batch (Batch.drawn)")
    heads, channels = (factors.to(torch.uint8).contiguous().numpy() for factors in used)
    return None if heads.all() else heads, None if channels.all() else channels


class PackedBatch:
    """A batch as the compiled code reads it. ``given`` points to the arrays of :func:`packed` and :func:`allowed`,
    which this object keeps. ``longest``: the number of tokens of the longest sequence."""

    def __init__(self, model: Decoder, batch: Batch) -> None:
        tokens, targets, starts = packed(batch)
        self.arrays = (tokens, targets, starts, *allowed(model.used(batch.tokens, batch.drawn)))
        places = (None if array is None else array.ctypes.data for array in self.arrays)
        self.given = Packed(*places, len(batch))
        self.longest = int(np.diff(starts).max(initial=0))


def packed(batch: Batch) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """The batch without padding: the tokens [N] that have a next token; for each the next token [N] if it is scored,
    else -1; and ``starts`` [B + 1]: sequence i has the tokens from ``starts[i]`` to before ``starts[i + 1]``."""
    tokens = batch.tokens.numpy()
    inputs = batch.present.numpy()[:, 1:]  # a token is an input when the next one exists
    targets = np.where(batch.scored.numpy()[:, 1:], tokens[:, 1:], -1)
    starts = np.zeros(len(tokens) + 1, dtype=np.int64)
    np.cumsum(inputs.sum(axis=1), out=starts[1:])
    return tokens[:, :-1][inputs].astype(np.int32), targets[inputs].astype(np.int32), starts
