"""Hook points: modules in a network at which values can be read or changed.

A :class:`HookPoint` returns its input. :func:`edited` installs a function that changes the value. The function is
removed on context exit, also after an exception. The idea of hook points comes from TransformerLens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]


class HookPoint(nn.Module):
    """Returns its input. If edits are installed, returns the result of all edits, applied in order of installation."""

    def __init__(self) -> None:
        super().__init__()
        self.edits: list[Edit] = []

    def forward(self, value: Tensor) -> Tensor:
        for edit in self.edits:
            edited_value = edit(value)
            if edited_value.shape != value.shape:
                raise ValueError(f"an edit changed the shape {tuple(value.shape)} to {tuple(edited_value.shape)}")
            value = edited_value
        return value


@contextmanager
def edited(hook: HookPoint, edit: Edit) -> Iterator[None]:
    """Inside the block, apply ``edit`` to every value at ``hook``."""
    hook.edits.append(edit)
    try:
        yield
    finally:
        hook.edits.remove(edit)


@contextmanager
def recorded(hook: HookPoint) -> Iterator[list[Tensor]]:
    """A list to which every value at ``hook`` inside the block is appended, detached."""
    values: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        values.append(value.detach())
        return value

    with edited(hook, keep):
        yield values
