"""Training of several seeds of one config together: stacked parameters, one batch and one optimizer step for all.

With a small model most of a GPU is idle, and starting the operations takes most of a step's time. Therefore k models of
the same shape take little more time than one. The data order does not depend on the model seed, so every member gets
the batches that it would get alone. Members do not affect each other: the numbers of each equal those of
:func:`lgt.training.loop.train` up to rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ParamSpec, Protocol, TypeVar

import torch
from torch import Tensor, nn

from lgt.core.checks import ConfigError
from lgt.core.config import LABELS, RunConfig, TrainingConfig
from lgt.core.notices import warn_once
from lgt.core.parts import parts_by_task
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.tasks import check_run, vocabulary_size
from lgt.training.loop import REPORT_SECONDS, Reporter, Stopped, learning_rate_factor
from lgt.training.optimizers import clip_each_member, freeze, make_optimizers, take_step
from lgt.training.prefetch import batch_source
from lgt.training.recorder import Recorder
from lgt.training.snapshots import measure, snapshot_steps
from lgt.training.steps import TorchStep, faster_products, on_device

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """One run of an ensemble. ``should_stop`` is called before every step.

    ``ended`` is called once, as soon as this run is over; the others may continue. Its argument is None if the run was
    trained to its last step, else the error that ended it (Stopped, TrainingFailed, an error of its recorder, ...).
    """

    config: RunConfig
    recorder: Recorder
    should_stop: Callable[[], bool] = lambda: False
    ended: Callable[[Exception | None], None] = lambda error: None


def differ_only_in_seed(first: RunConfig, other: RunConfig) -> bool:
    """Whether two runs differ only in their model seed and labels, so that they can be trained together."""
    same = replace(first, model_seed=0).hash() == replace(other, model_seed=0).hash()
    return same and not settings_for_one(first)


def settings_for_one(config: RunConfig) -> dict[str, object]:
    """The settings of ``config``, by path, with which a run is never trained together with others: members start from
    random weights and share their batches."""
    training = config.training
    found: dict[str, object] = {"training.start": training.start, "training.own_order": training.own_order}
    return {path: value for path, value in found.items() if value}


def common_config(configs: Sequence[RunConfig]) -> RunConfig:
    """The first of ``configs``. Raises ConfigError if there is none, or if they differ in more than the model seed."""
    if not configs:
        raise ConfigError("runs", [], "at least one run")
    for path, value in settings_for_one(configs[0]).items():
        raise ConfigError(path, value, "its default in runs trained together")
    for other in configs[1:]:
        if not differ_only_in_seed(configs[0], other):
            names = (f.name for f in fields(RunConfig) if f.name not in (*LABELS, "model_seed"))
            name = next(name for name in names if getattr(other, name) != getattr(configs[0], name))
            raise ConfigError(name, getattr(other, name), "the same in runs trained together, all but model_seed")
    return configs[0]


def train_together(members: Sequence[Member], *, device: str = "cpu") -> list[Decoder]:
    """Train all ``members`` in one process; returns their decoders after the last step.

    An error of one member is passed to its ``ended`` and ends only that member. An error in the step, in the batch or
    in ``ended`` itself is raised, and training stops for all members. Raises ConfigError for configs that differ in
    more than the model seed, or that their tasks do not allow.
    """
    config = common_config([member.config for member in members])
    check_run(config)
    training, measured_steps = config.training, set(snapshot_steps(config))
    models = [
        Decoder(config.model, member.config.model_seed, vocabulary_size(config), parts_by_task(config))
        for member in members
    ]
    stepper = make_ensemble_stepper(models, config, device)
    slots = [MemberSlot(number, member, len(members)) for number, member in enumerate(members)]
    with batch_source(config, device) as batch_of:
        for step in range(training.steps + 1):
            if step in measured_steps:
                measure_in_turn(stepper, slots, step)
            for slot in running(slots):
                slot.stop_if_over(step)
            if not running(slots):
                break
            batch = batch_of(step)
            factor = learning_rate_factor(training, step)
            losses = stepper.step(batch, factor).unbind()
            rate, tokens = training.learning_rate * factor, int(batch.present.sum())
            for slot in running(slots):
                slot.attempt(slot.report.step, step + 1, losses[slot.number], rate, tokens)
    return [stepper.decoder(number) for number in range(len(members))]


def measure_in_turn(stepper: EnsembleStepper, slots: list[MemberSlot], step: int) -> None:
    """Measure every running member after ``step`` steps. Before each measurement, all members send due progress."""
    for slot in running(slots):
        for waiting in running(slots):
            waiting.attempt(waiting.report.send_when_due, step)
        if slot.running:
            slot.attempt(slot.measure, stepper, step)


class MemberSlot:
    """The place of a member in the stack, and whether the member is still being trained."""

    def __init__(self, number: int, member: Member, count: int) -> None:
        self.number, self.member, self.running = number, member, True
        # Many members together would write to the store too often. Ten seconds are short compared with the time after
        # which a run without a heartbeat counts as lost.
        self.report = Reporter(member.recorder, member.config.training.steps, min(REPORT_SECONDS * count, 10.0))

    def attempt(self, action: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
        """The result of ``action``. An error ends this member, and the result is None."""
        try:
            return action(*arguments, **named)
        except Exception as error:
            self.leave(error)
            return None

    def leave(self, error: Exception | None) -> None:
        """End this member. Its place in the stack is still computed, which does not affect the others."""
        self.running = False
        self.member.ended(error)

    def measure(self, stepper: EnsembleStepper, step: int) -> None:
        """Report and measure after ``step`` steps, as in :func:`lgt.training.loop.train`."""
        self.report.send(step)
        measure(stepper.decoder(self.number), self.member.config, step, self.member.recorder)

    def stop_if_over(self, step: int) -> None:
        """End this member after its last step, or with Stopped if its ``should_stop`` returns True."""
        last = self.member.config.training.steps
        if step == last or self.attempt(self.member.should_stop):
            self.attempt(self.report.send, step)
            if self.running:
                self.leave(None if step == last else Stopped(f"stopped after {step} of {last} steps"))


def running(slots: list[MemberSlot]) -> list[MemberSlot]:
    """The slots whose member is still being trained."""
    return [slot for slot in slots if slot.running]


class MemberLoss(nn.Module):
    """A module whose forward is the loss of one decoder; ``torch.func.functional_call`` calls a module's forward."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor, places: Tensor, drawn: Tensor | None) -> Tensor:
        return self.decoder.loss_at(tokens, places, drawn)


ENCODINGS = ("rope", "nope", "alibi", "fire")
"""The positional encodings that :class:`EnsembleStep` supports."""


class EnsembleStepper(Protocol):
    """Takes optimizer steps for several models of one shape on the same batches."""

    def step(self, batch: Batch, factor: float) -> Tensor:
        """One step of every member on ``batch``; the losses before it [members] (nats), on the device."""

    def decoder(self, number: int) -> Decoder:
        """Member ``number`` with its current weights. Use it before the next step."""


def make_ensemble_stepper(models: list[Decoder], config: RunConfig, device: str) -> EnsembleStepper:
    """The stacked step if it supports the run. Else PyTorch's step of one model after another, which is logged once."""
    if EnsembleStep.supports(config):
        return EnsembleStep(models, config.training, device)
    reason = f"model.position={config.model.position}"
    warn_once(logger, f"{reason}: cannot be trained as a stack, members take their steps one after another")
    return StepsInTurn(models, config.training, device)


class StepsInTurn:
    """The training step of ``models`` in PyTorch. One model after another takes its step, as if trained alone."""

    def __init__(self, models: list[Decoder], training: TrainingConfig, device: str) -> None:
        self.steppers = [TorchStep(model, training, device) for model in models]

    def step(self, batch: Batch, factor: float) -> Tensor:
        """See :class:`EnsembleStepper`."""
        return torch.stack([stepper.step(batch, factor) for stepper in self.steppers])

    def decoder(self, number: int) -> Decoder:
        """See :class:`EnsembleStepper`."""
        return self.steppers[number].model


class EnsembleStep:
    """The training step of ``models`` as a stack. The first dimension of every parameter is the member.

    The gradient of the sum of all losses is, for each member, the gradient of its own loss, because no loss depends on
    another member's parameters. The gradient is computed outside ``vmap``. Therefore only the forward pass must consist
    of operations that ``vmap`` can batch.
    """

    @staticmethod
    def supports(config: RunConfig) -> bool:
        """Whether decoders of this run can be stacked: their encoding is in :data:`ENCODINGS`, with any schedule."""
        return config.model.position in ENCODINGS

    def __init__(self, models: list[Decoder], training: TrainingConfig, device: str) -> None:
        self.models, self.training, self.device = [model.to(device) for model in models], training, torch.device(device)
        stacked, _ = torch.func.stack_module_state(self.models)
        self.parameters: dict[str, Tensor] = stacked
        first = models[0]
        like = Decoder(first.config, vocabulary=first.embedding.num_embeddings, by_task=first.by_task)
        self.loss = MemberLoss(like.to(device))
        self.loss.decoder.compute = getattr(torch, training.precision)
        freeze(self.parameters, training)
        self.optimizers = make_optimizers(models[0], training, self.parameters)

    def step(self, batch: Batch, factor: float) -> Tensor:
        """One step of every member on ``batch``; the losses before it [members] (nats), on the device."""
        with faster_products(self.device):
            losses = self.losses(*on_device(batch, self.device))
            losses.sum().backward()  # type: ignore[no-untyped-call]
        clip_each_member(self.parameters.values(), self.training.gradient_clip)
        take_step(self.optimizers, factor)
        return losses.detach()

    def losses(self, tokens: Tensor, places: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Losses [members] (nats) of tokens [B, T] at ``places`` [N], see :meth:`lgt.model.decoder.Decoder.loss_at`."""

        def of_one(parameters: dict[str, Tensor]) -> Tensor:
            named = {f"decoder.{name}": value for name, value in parameters.items()}
            loss: Tensor = torch.func.functional_call(self.loss, named, (tokens, places, drawn))
            return loss

        losses: Tensor = torch.func.vmap(of_one)(self.parameters)
        return losses

    def decoder(self, number: int) -> Decoder:
        """Member ``number`` as a decoder with a copy of its current weights."""
        model = self.models[number]
        model.load_state_dict({name: value[number].detach() for name, value in self.parameters.items()})
        return model
