"""One training step: in fused C++ if it supports the run, else in PyTorch (compiled or eager)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from lgt.core.config import RunConfig, TrainingConfig
from lgt.core.notices import warn_once
from lgt.fused.library import compiler
from lgt.fused.step import FusedStep, unsupported_network
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder, scored_places
from lgt.training.optimizers import freeze, make_optimizers, take_step

logger = logging.getLogger(__name__)


class Stepper(Protocol):
    """Takes optimizer steps for one model.

    ``machinery`` names the code that computes the steps. Only the same machinery can restore a state.
    """

    machinery: str

    def step(self, batch: Batch, factor: float) -> float | Tensor:
        """Take one optimizer step on ``batch`` at ``factor`` times the base learning rates; returns the loss before it
        (nats)."""

    def state(self) -> dict[str, Tensor]:
        """All tensors that later steps depend on, by name: weights and optimizer state. They are not copied."""

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Continue after ``step`` steps from ``tensors``, which :meth:`state` returned.

        Raises KeyError or RuntimeError if they belong to another model or machinery.
        """


def make_stepper(model: Decoder, config: RunConfig, *, device: str = "cpu", fused: bool = True) -> Stepper:
    """The stepper for ``model``. It may move the model's parameters in memory or to another device.

    It is the fused step if ``fused`` is set and the step supports the run (:meth:`FusedStep.supports`), else PyTorch's
    step. Both compute the same step up to rounding. A network that the fused step does not support is logged once. The
    fused step does not support GPUs and bfloat16.
    """
    if fused and FusedStep.supports(config, device):
        return FusedStep(model, config.training)
    reason = unsupported_network(config.model)
    if fused and reason and device == "cpu":
        warn_once(logger, f"{reason}: no fused training step, training in plain PyTorch, several times slower")
    return TorchStep(model, config.training, device)


class TorchStep:
    """Forward, backward, clipping and optimizer step in PyTorch."""

    machinery = "torch"

    def __init__(self, model: Decoder, training: TrainingConfig, device: str) -> None:
        self.model, self.training, self.device = model.to(device), training, torch.device(device)
        model.compute = getattr(torch, training.precision)
        if training.compiled:
            compile_layers(model)
        freeze(dict(model.named_parameters()), training)
        self.optimizers = make_optimizers(model, training)

    def step(self, batch: Batch, factor: float) -> Tensor:
        """See :class:`Stepper`. The loss stays on the device, because reading it would wait for the GPU."""
        with faster_products(self.device):
            loss = self.model.loss_at(*on_device(batch, self.device))
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        take_step(self.optimizers, factor)
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        """See :class:`Stepper`."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for place, parameter, remembered in self._memories():
            tensors |= {f"{place}.{name}": value for name, value in remembered.get(parameter, {}).items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """See :class:`Stepper`."""
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in self.model.state_dict()})
        for place, parameter, remembered in self._memories():
            names = {name: name.removeprefix(f"{place}.") for name in tensors if name.startswith(f"{place}.")}
            if names:
                remembered[parameter] = {short: tensors[name].to(parameter.device) for name, short in names.items()}

    def _memories(self) -> Iterator[tuple[str, Tensor, dict[Tensor, Any]]]:
        """For every parameter: its name in the state, the parameter, and the state of its optimizer."""
        for number, optimizer in enumerate(self.optimizers):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            for place, parameter in enumerate(parameters):
                yield f"optimizer.{number}.{place}", parameter, optimizer.state


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Tokens [B, T] of ``batch``, its :func:`lgt.model.decoder.scored_places` [N] and its drawn heads [B, H], if it has
    any, on ``device``. The copy does not wait for the GPU."""

    def moved(value: Tensor) -> Tensor:
        if device.type == "cuda":  # a copy from memory that is not pinned would wait for the GPU's queued work
            value = value.pin_memory()
        return value.to(device, non_blocking=True)

    drawn = None if batch.drawn is None else moved(batch.drawn)
    return moved(batch.tokens), moved(scored_places(batch.scored)), drawn


@contextmanager
def faster_products(device: torch.device) -> Iterator[None]:
    """Inside the block a GPU may round the factors of float32 products to TF32. It is used for training, not for
    measuring."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.set_float32_matmul_precision(before)


def compile_layers(model: Decoder) -> None:
    """Compile each layer in place, for batches of any length. All layers use one compilation, which is cached on disk.

    ``torch.compile`` compiles the layer's definition with its encoding, so every network is supported. Without a C++
    compiler the model is not changed, and this is logged once. The run is then slower, and its result is the same up to
    rounding.
    """
    if compiler() is None:
        warn_once(logger, "no C++ compiler (g++ or clang++) found: training without torch.compile")
        return
    for layer in model.layers:
        layer.compile(dynamic=True)
