"""The training loop: measure, stop?, step, report. One function, read top to bottom."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from lgt.batches import make_batch
from lgt.config import RunConfig, TrainingConfig
from lgt.model import Decoder
from lgt.records import LogRow
from lgt.sinks import Sink
from lgt.snapshots import measure, snapshot_steps
from lgt.tasks import check_run

REPORT_SECONDS = 1.0
LOG_ROWS = 200


class TrainingFailed(RuntimeError):
    """Training cannot go on (the loss is not finite); ``str()`` says at which step and what to change."""


def learning_rate_factor(training: TrainingConfig, step: int) -> float:
    """Warm-up, constant, cosine decay to zero: the factor in [0, 1] applied to every learning rate at ``step``."""
    warmup = round(training.warmup_fraction * training.steps)
    decay = round(training.decay_fraction * training.steps)
    if step < warmup:
        return (step + 1) / warmup
    if step < training.steps - decay:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - (training.steps - decay)) / max(decay, 1)))


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


def train(
    config: RunConfig, sink: Sink, *, device: str = "cpu", should_stop: Callable[[], bool] = lambda: False
) -> Decoder:
    """Train the run described by ``config``, sending measurements to ``sink``; returns the trained decoder.

    ``should_stop`` is asked before every step; when it says yes the loop ends early and the caller decides what the
    run is called. Raises ConfigError for a config no task accepts and TrainingFailed when the loss is not finite.
    """
    check_run(config)
    training = config.training
    model = Decoder(config.model, config.model_seed).to(device)
    model.compute = getattr(torch, training.precision)
    if training.compiled:
        compile_layers(model)
    optimizers = make_optimizers(model, training)
    measured_steps = set(snapshot_steps(config))
    report = Reporter(sink, training.steps)
    for step in range(training.steps + 1):
        if step in measured_steps:
            report.send(step)
            measure(model, config, step, sink)
        if step == training.steps or should_stop():
            break
        batch = make_batch(config, step).to(torch.device(device))
        factor = learning_rate_factor(training, step)
        loss = model.loss(batch.tokens, batch.scored)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        apply(optimizers, factor)
        report.step(step + 1, loss.detach(), training.learning_rate * factor, int(batch.present.sum()))
    report.send(step)
    return model


def apply(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """One step of every optimizer at ``factor`` times its base rates; gradients are cleared."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


class Reporter:
    """Turns losses into log rows at fixed steps and sends them about once a second, so that a store sees few writes."""

    def __init__(self, sink: Sink, steps: int) -> None:
        self.sink = sink
        self.every = max(1, steps // LOG_ROWS)
        self.started = self.sent = self.logged = time.perf_counter()
        self.tokens = self.tokens_logged = 0
        self.losses: list[Tensor] = []
        self.rows: list[LogRow] = []

    def step(self, step: int, loss: Tensor, rate: float, tokens: int) -> None:
        """Note that ``step`` optimizer steps are done, the last over ``tokens`` real (unpadded) tokens."""
        self.losses.append(loss)
        self.tokens += tokens
        if step % self.every == 0:
            self.log(step, rate)
        if time.perf_counter() - self.sent >= REPORT_SECONDS:
            self.send(step)

    def log(self, step: int, rate: float) -> None:
        """Add the row of ``step``: mean loss since the last row (nats), learning rate, tokens per second."""
        now, loss = time.perf_counter(), float(torch.stack(self.losses).mean())
        if not math.isfinite(loss):
            raise TrainingFailed(f"the loss is not finite at step {step}; try a lower training.learning_rate")
        speed = (self.tokens - self.tokens_logged) / max(now - self.logged, 1e-9)
        self.rows.append(LogRow(step, loss, rate, speed))
        self.logged, self.tokens_logged, self.losses = now, self.tokens, []

    def send(self, step: int) -> None:
        """Send progress and the rows collected since the last time."""
        self.sent = time.perf_counter()
        self.sink.progress(step, self.tokens, self.sent - self.started, self.rows)
        self.rows = []
