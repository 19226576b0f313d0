"""Which code made a number: the package version and a digest of the source that decides results."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from lgt import __version__
from lgt.core import extensions

PACKAGE = Path(__file__).parent.parent
RESULT_PACKAGES = ("core", "tasks", "recipes", "metrics", "model", "evaluation", "training")
"""The packages between a config and its measurements. A change of a page or of the store does not change a result."""


@cache
def code_version() -> str:
    """Such as ``0.2.0+src.3f9a1c2b7d04``: equal digests mean equal source of tasks, model, training and measuring.

    It needs no version control, so an installed copy names its code as well as a checkout does.
    """
    digest = hashlib.sha256()
    for package in RESULT_PACKAGES:
        for path in sorted(path for path in (PACKAGE / package).rglob("*") if path.suffix in (".py", ".hpp", ".cpp")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    added = extensions.digest()
    return f"{__version__}+src.{digest.hexdigest()[:12]}" + (f".ext.{added}" if added else "")
