"""The conversion of a training state to bytes and back: tensors as safetensors, the rest as JSON in the header.

A batch depends on (config, step) only. Therefore a state needs no data: it has the weights, the state of the
optimizers, the step and the losses that are not logged yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lgt.model.checkpoint import CheckpointError, header_texts
from lgt.training.steps import Stepper

FORMAT = "lgt-training-state-1"


class Resumable(Protocol):
    """An object whose plain values are stored together with the tensors."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


def state_to_bytes(step: int, stepper: Stepper, report: Resumable) -> bytes:
    """The state after ``step`` steps."""
    tensors = {name: _alone(value) for name, value in stepper.state().items()}
    scalars = {"step": step, "machinery": stepper.machinery, "report": report.state()}
    return save(tensors, metadata={"format": FORMAT, "scalars": json.dumps(scalars)})


def _alone(value: Tensor) -> Tensor:
    """``value`` on the CPU in memory of its own, because safetensors refuses tensors that share memory. It is copied
    only if it is a part of a larger memory: the state of a large network would need as much memory again."""
    found = value.detach().cpu().contiguous()
    return found if found.untyped_storage().nbytes() == found.nbytes else found.clone()


def restore_state(data: bytes, stepper: Stepper, report: Resumable) -> int:
    """Restore a state; returns its number of steps. Raises CheckpointError when it is not of this run and machinery."""
    try:
        tensors = load(data)  # before the metadata are read, because it checks the header
        scalars = json.loads(header_texts(data)["scalars"])
        if scalars["machinery"] != stepper.machinery:
            raise CheckpointError(
                f"the training state is of a {scalars['machinery']} step, not a {stepper.machinery} one"
            )
        stepper.restore(tensors, int(scalars["step"]))
        report.restore(scalars["report"])
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"not a training state of this run: {error}") from error
    return int(scalars["step"])
