"""Hook points: named places in a network where values can be read or changed.

A :class:`HookPoint` returns its input. :func:`edited` installs a function that changes what passes; it is removed on
context exit, also after an exception. The idea of named hook points is TransformerLens's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]


class HookPoint(nn.Module):
    """Returns its input unless edits are installed; then the result of all edits, in order of installation."""

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
    """Apply ``edit`` to everything that passes ``hook`` inside the block."""
    hook.edits.append(edit)
    try:
        yield
    finally:
        hook.edits.remove(edit)


@contextmanager
def recorded(hook: HookPoint) -> Iterator[list[Tensor]]:
    """A list that receives, detached, every value that passes ``hook`` inside the block."""
    values: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        values.append(value.detach())
        return value

    with edited(hook, keep):
        yield values
