"""One training step, by the fastest machinery the machine has for a run: fused C++, or PyTorch (compiled or eager)."""

from __future__ import annotations

import logging
import os
import shutil
from typing import Protocol

import torch
from torch import Tensor

from lgt.batches import Batch
from lgt.config import RunConfig, TrainingConfig
from lgt.fused.library import library
from lgt.fused.step import FusedStep
from lgt.model import Decoder


class Stepper(Protocol):
    """Takes optimizer steps for one model."""

    def step(self, batch: Batch, factor: float) -> float | Tensor:
        """One optimizer step on ``batch`` at ``factor`` times the base learning rates; the loss before it (nats)."""


def make_stepper(model: Decoder, config: RunConfig, *, device: str = "cpu", fused: bool = True) -> Stepper:
    """The stepper for ``model``, which it may move and rearrange in memory.

    The fused step serves float32 training on the CPU wherever there is a C++ compiler; everything else, and everything
    when ``fused`` is off, is PyTorch's. Both compute the same step up to rounding.
    """
    if fused and device == "cpu" and config.training.precision == "float32" and library() is not None:
        return FusedStep(model, config.training)
    return TorchStep(model, config.training, device)


class TorchStep:
    """Forward, backward, clipping and optimizer step in PyTorch."""

    def __init__(self, model: Decoder, training: TrainingConfig, device: str) -> None:
        self.model, self.training, self.device = model.to(device), training, torch.device(device)
        model.compute = getattr(torch, training.precision)
        if training.compiled:
            compile_layers(model)
        self.optimizers = make_optimizers(model, training)

    def step(self, batch: Batch, factor: float) -> Tensor:
        """See :class:`Stepper`; the loss stays on the device, so that nothing waits for it."""
        loss = self.model.loss(batch.tokens.to(self.device, non_blocking=True), batch.scored)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.detach()


def make_optimizers(model: Decoder, training: TrainingConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of the named choice; each parameter group keeps its base rate under ``base``.

    ``adamw``: AdamW for everything. ``muon``: Muon (Jordan et al. 2024, ``torch.optim.Muon``) for the matrices of the
    layers, AdamW for embedding, unembedding and gains. Weight decay touches matrices of the layers only.
    """
    matrices = [p for name, p in model.named_parameters() if name.startswith("layers.") and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    rate, decay = training.learning_rate, training.weight_decay
    others: dict[str, object] = {"params": rest, "lr": training.embedding_learning_rate, "weight_decay": 0.0}
    if training.optimizer == "muon":
        muon = torch.optim.Muon(matrices, lr=rate, weight_decay=decay, momentum=0.95)
        optimizers = [muon, torch.optim.AdamW([others], betas=(0.9, 0.95))]
    else:
        optimizers = [
            torch.optim.AdamW([{"params": matrices, "lr": rate, "weight_decay": decay}, others], betas=(0.9, 0.95))
        ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return optimizers


def compile_layers(model: Decoder) -> None:
    """Compile each layer in place, for batches of any length; all layers share one compilation, cached on disk.

    Without a C++ compiler the model is left as it is and one line says so: the run is slower, its result as good.
    """
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        logging.getLogger(__name__).warning("no C++ compiler (g++ or clang++) found: training without torch.compile")
        return
    for layer in model.layers:
        layer.compile(dynamic=True)
