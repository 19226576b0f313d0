"""The code version of a result: the package version and a digest of the source code that decides results."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from lgt import __version__
from lgt.core import extensions

PACKAGE = Path(__file__).parent.parent
RESULT_PACKAGES = ("core", "tasks", "recipes", "metrics", "model", "evaluation", "training")
"""The packages between a config and its measurements. Code of pages or of the store does not change a result."""


def code_version() -> str:
    """Such as ``0.2.0+src.3f9a1c2b7d04``: equal digests mean equal source of tasks, model, training and measuring.

    With extensions ``.ext.`` and a digest of their sources, in their order, follow. It needs no version control, so an
    installed copy names its code as a checkout does.
    """
    added = extensions.digest()
    return f"{__version__}+src.{_package_digest()}" + (f".ext.{added}" if added else "")


@cache
def _package_digest() -> str:
    digest = hashlib.sha256()
    for package in RESULT_PACKAGES:
        for path in sorted(path for path in (PACKAGE / package).rglob("*") if path.suffix in (".py", ".hpp", ".cpp")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
