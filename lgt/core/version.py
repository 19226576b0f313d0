"""The code version of a result: the package version and a digest of the source code that decides results."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from lgt import __version__
from lgt.core import extensions

PACKAGE = Path(__file__).parent.parent
RESULT_PACKAGES = ("core", "tasks", "recipes", "metrics", "model", "fused", "evaluation", "training")
"""The packages that turn a config into measurements. Code of pages or of the store does not change a result."""


def code_version() -> str:
    """The code version, such as ``0.2.0+src.3f9a1c2b7d04``.

    Equal digests mean equal source code of tasks, model, training and measuring. With extensions, ``.ext.`` and a
    digest of their sources in their order follow. The version does not depend on version control, so an installed copy
    and a checkout of the same code have the same version.
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
