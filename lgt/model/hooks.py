"""Named identity points in the network, and the one way to edit or read what passes through them.

A :class:`HookPoint` returns its input. :func:`edited` installs a function for the length of a ``with`` block and always
removes it, also after an exception. The idea of named hook points is TransformerLens's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]


class HookPoint(nn.Module):
    """Returns its input unless an edit is installed; then the edits' result, in order of installation."""

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
def edited(tap: HookPoint, edit: Edit) -> Iterator[None]:
    """Apply ``edit`` to everything that passes ``tap`` inside the block; removed at its end, whatever happens."""
    tap.edits.append(edit)
    try:
        yield
    finally:
        tap.edits.remove(edit)


@contextmanager
def recorded(tap: HookPoint) -> Iterator[list[Tensor]]:
    """A list that receives, detached, every value that passes ``tap`` inside the block."""
    values: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        values.append(value.detach())
        return value

    with edited(tap, keep):
        yield values


def replace_head(head: int, replacement: Tensor) -> Edit:
    """An edit for per-head outputs [B, H, T, dh]: ``replacement`` ([T, dh] or [B, T, dh]) instead of one head."""

    def edit(value: Tensor) -> Tensor:
        value = value.clone()
        value[:, head] = replacement.to(value.dtype)
        return value

    return edit


def ensure_no_edits(model: nn.Module) -> None:
    """Raise RuntimeError when any tap of ``model`` still carries an edit (a bug, never a user's mistake)."""
    left = [name for name, module in model.named_modules() if isinstance(module, HookPoint) and module.edits]
    if left:
        raise RuntimeError("taps still edited: " + ", ".join(left))
