"""The training loop: measure, stop?, step, report. One function, read top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from torch import Tensor

from lgt.config import RunConfig, TrainingConfig
from lgt.model import Decoder
from lgt.prefetch import batch_source
from lgt.records import LogRow
from lgt.sinks import Sink
from lgt.snapshots import measure, snapshot_steps
from lgt.steps import make_stepper
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


def train(
    config: RunConfig, sink: Sink, *, device: str = "cpu", should_stop: Callable[[], bool] = lambda: False
) -> Decoder:
    """Train the run described by ``config``, sending measurements to ``sink``; returns the trained decoder.

    ``should_stop`` is asked before every step; when it says yes the loop ends early and the caller decides what the
    run is called. Raises ConfigError for a config no task accepts and TrainingFailed when the loss is not finite.
    """
    check_run(config)
    training = config.training
    model = Decoder(config.model, config.model_seed)
    stepper = make_stepper(model, config, device=device)
    measured_steps = set(snapshot_steps(config))
    report = Reporter(sink, training.steps)
    with batch_source(config, device) as batch_of:
        for step in range(training.steps + 1):
            if step in measured_steps:
                report.send(step)
                measure(model, config, step, sink)
            if step == training.steps or should_stop():
                break
            batch = batch_of(step)
            factor = learning_rate_factor(training, step)
            loss = stepper.step(batch, factor)
            report.step(step + 1, loss, training.learning_rate * factor, int(batch.present.sum()))
    report.send(step)
    return model


class Reporter:
    """Turns losses into log rows at fixed steps and sends them about once a second, so that a store sees few writes.

    ``seconds`` between sends is more where many runs report at once.
    """

    def __init__(self, sink: Sink, steps: int, seconds: float = REPORT_SECONDS) -> None:
        self.sink, self.seconds = sink, seconds
        self.every = max(1, steps // LOG_ROWS)
        self.started = self.sent = self.logged = time.perf_counter()
        self.tokens = self.tokens_logged = 0
        self.losses: list[float | Tensor] = []
        self.rows: list[LogRow] = []

    def step(self, step: int, loss: float | Tensor, rate: float, tokens: int) -> None:
        """Note that ``step`` optimizer steps are done, the last over ``tokens`` real (unpadded) tokens."""
        self.losses.append(loss)
        self.tokens += tokens
        if step % self.every == 0:
            self.log(step, rate)
        self.send_when_due(step)

    def log(self, step: int, rate: float) -> None:
        """Add the row of ``step``: mean loss since the last row (nats), learning rate, tokens per second."""
        loss = sum(map(float, self.losses)) / len(self.losses)
        now = time.perf_counter()  # after the losses were read: a GPU has done these steps only now
        if not math.isfinite(loss):
            raise TrainingFailed(f"the loss is not finite at step {step}; try a lower training.learning_rate")
        speed = (self.tokens - self.tokens_logged) / max(now - self.logged, 1e-9)
        self.rows.append(LogRow(step, loss, rate, speed))
        self.logged, self.tokens_logged, self.losses = now, self.tokens, []

    def send_when_due(self, step: int) -> None:
        """Send if the last time is long enough ago; also says that the run is alive while others are measured."""
        if time.perf_counter() - self.sent >= self.seconds:
            self.send(step)

    def send(self, step: int) -> None:
        """Send progress and the rows collected since the last time."""
        self.sent = time.perf_counter()
        self.sink.progress(step, self.tokens, self.sent - self.started, self.rows)
        self.rows = []
