"""Length Transfer Lab: train, measure and look at length generalization transfer.

Source of the finding: Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, "Extrapolation by Association:
Length Generalization Transfer in Transformers" (arXiv 2506.09251). ``ARCHITECTURE.md`` lists the floors.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """``lgt.record`` (see :mod:`lgt.store.record`), imported when it is used: ``import lgt`` stays quick."""
    if name == "record":
        from lgt.store.record import record

        return record
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
