"""The state of a run in training as bytes, and back: tensors as safetensors, the rest as JSON in their header.

A batch is a function of (config, step), so weights, the optimizers' memory, the step and what the log has yet to report
are all there is to keep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from safetensors import SafetensorError
from safetensors.torch import load, save

from lgt.model.checkpoint import CheckpointError, header_texts
from lgt.training.steps import Stepper

FORMAT = "lgt-training-state-1"


class Resumable(Protocol):
    """Something with plain values to be kept beside the tensors."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


def state_to_bytes(step: int, stepper: Stepper, report: Resumable) -> bytes:
    """The state after ``step`` steps."""
    # Clones: safetensors refuses tensors that share memory, as a fused model's parameters do.
    tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in stepper.state().items()}
    scalars = {"step": step, "machinery": stepper.machinery, "report": report.state()}
    return save(tensors, metadata={"format": FORMAT, "scalars": json.dumps(scalars)})


def restore_state(data: bytes, stepper: Stepper, report: Resumable) -> int:
    """Put a state back; returns how many steps had been taken. Raises CheckpointError when it does not belong here."""
    try:
        tensors = load(data)  # first: it checks the header that is read below
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
