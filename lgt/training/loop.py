"""The training loop. :func:`train` measures, checks for a stop, takes a step and reports, in this order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lgt.core.config import RunConfig, TrainingConfig
from lgt.core.parts import parts_by_task
from lgt.core.records import LogRow
from lgt.model.decoder import Decoder
from lgt.model.pretrained import begin
from lgt.tasks import check_run, vocabulary_size
from lgt.training.prefetch import batch_source
from lgt.training.recorder import Recorder
from lgt.training.snapshots import measure, snapshot_steps
from lgt.training.state import restore_state, state_to_bytes
from lgt.training.steps import make_stepper

REPORT_SECONDS = 1.0
LOG_ROWS = 200
KEEP_SECONDS = 30.0  # between two stored states; a lost worker loses this much work. A small run's state has 2 MB.
KEEP_PARAMETERS = 10_000_000  # Above so many the time is longer in proportion, so that writing takes no larger share.


class TrainingFailed(RuntimeError):
    """Training cannot continue (the loss is not finite); ``str()`` says at which step and what to change."""


class Stopped(RuntimeError):
    """Training stopped before its last step, because it was asked to. Its recorder has received the training state."""


def learning_rate_factor(training: TrainingConfig, step: int) -> float:
    """The factor in [0, 1] of every learning rate at ``step``: linear warm-up, constant, cosine decay to zero."""
    warmup = round(training.warmup_fraction * training.steps)
    decay = round(training.decay_fraction * training.steps)
    if step < warmup:
        return (step + 1) / warmup
    if step < training.steps - decay:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - (training.steps - decay)) / max(decay, 1)))


def train(
    config: RunConfig, recorder: Recorder, *, device: str = "cpu", should_stop: Callable[[], bool] = lambda: False,
    state: bytes | None = None,
) -> Decoder:  # fmt: skip
    """Train the run that ``config`` describes and send its measurements to ``recorder``; returns the trained decoder.

    Every ``KEEP_SECONDS``, or less often for a large network, the recorder gets a training state. With such a
    ``state``, training continues from its step. On a CPU the final weights are then bit by bit those of an
    uninterrupted run. ``should_stop`` is called before every step. If it returns True, the recorder gets the state of
    that step, and Stopped is raised. Raises ConfigError for a config that its tasks do not allow, TrainingFailed if the
    loss is not finite, and CheckpointError for a state of another run or machinery.
    """
    check_run(config)
    training = config.training
    model = Decoder(config.model, config.model_seed, vocabulary_size(config), parts_by_task(config))
    if state is None:
        begin(model, config)
    stepper = make_stepper(model, config, device=device)
    keep_seconds = KEEP_SECONDS * max(1.0, config.model.parameters(vocabulary_size(config)) / KEEP_PARAMETERS)
    measured_steps = set(snapshot_steps(config))
    report = Reporter(recorder, training.steps)
    first = 0 if state is None else restore_state(state, stepper, report)
    kept = time.monotonic()
    with batch_source(config, device) as batch_of:
        for step in range(first, training.steps + 1):
            if step in measured_steps:
                report.send(step)
                measure(model, config, step, recorder)
            if step == training.steps:
                break
            stop = should_stop()
            if stop or time.monotonic() - kept >= keep_seconds:
                report.send(step)  # first, because a run that resumes from the state does not report these rows again
                recorder.training_state(step, state_to_bytes(step, stepper, report))
                kept = time.monotonic()
            if stop:
                raise Stopped(f"stopped after {step} of {training.steps} steps")
            batch = batch_of(step)
            factor = learning_rate_factor(training, step)
            loss = stepper.step(batch, factor)
            report.step(step + 1, loss, training.learning_rate * factor, int(batch.present.sum()))
    report.send(step)
    return model


class Reporter:
    """Makes log rows from losses at fixed steps. It sends them about once a second, so that the store has few writes.

    ``seconds`` is the time between two sends. It is longer if many runs report at once.
    """

    def __init__(self, recorder: Recorder, steps: int, seconds: float = REPORT_SECONDS) -> None:
        self.recorder, self.seconds = recorder, seconds
        self.every = max(1, steps // LOG_ROWS)
        self.started = self.sent = self.logged = time.perf_counter()
        self.tokens = self.tokens_logged = 0
        self.losses: list[float | Tensor] = []
        self.rows: list[LogRow] = []

    def step(self, step: int, loss: float | Tensor, rate: float, tokens: int) -> None:
        """Record that ``step`` optimizer steps are done. The last had ``tokens`` tokens without padding."""
        self.losses.append(loss)
        self.tokens += tokens
        if step % self.every == 0:
            self.log(step, rate)
        self.send_when_due(step)

    def log(self, step: int, rate: float) -> None:
        """Add the log row of ``step``: mean loss since the last row (nats), learning rate, tokens per second."""
        loss = sum(map(float, self.losses)) / len(self.losses)
        now = time.perf_counter()  # after the losses are read, because that waits for a GPU
        if not math.isfinite(loss):
            raise TrainingFailed(f"the loss is not finite at step {step}; try a lower training.learning_rate")
        speed = (self.tokens - self.tokens_logged) / max(now - self.logged, 1e-9)
        self.rows.append(LogRow(step, loss, rate, speed))
        self.logged, self.tokens_logged, self.losses = now, self.tokens, []

    def state(self) -> dict[str, Any]:
        """The values that a resumed run needs, so that its reports continue as without interruption; ready for JSON."""
        return {
            "tokens": self.tokens,
            "seconds": time.perf_counter() - self.started,
            "losses": [float(loss) for loss in self.losses],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the values of :meth:`state`."""
        self.tokens = self.tokens_logged = int(state["tokens"])
        self.started -= float(state["seconds"])
        self.losses = [float(loss) for loss in state["losses"]]

    def send_when_due(self, step: int) -> None:
        """Send if ``seconds`` have passed since the last send. While other members of an ensemble are measured, this
        shows that the run is alive."""
        if time.perf_counter() - self.sent >= self.seconds:
            self.send(step)

    def send(self, step: int) -> None:
        """Send the progress and the rows collected since the last send."""
        self.sent = time.perf_counter()
        self.recorder.progress(step, self.tokens, self.sent - self.started, self.rows)
        self.rows = []
