"""Which code made a number: the package version and a digest of the source that decides results."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from lgt import __version__

PACKAGE = Path(__file__).parent
# Floors 0 to 4: everything between a config and its measurements. A change on a page does not change a result.
RESULT_SOURCES = (
    "checks.py", "config.py", "presets.py", "groups.py", "seeding.py", "vocabulary.py", "statistics.py", "tasks/*.py",
    "model.py", "taps.py", "batches.py", "fused/*.?pp", "fused/*.py", "evaluate.py", "attribution/*.py",
    "checkpoint.py", "snapshots.py", "steps.py", "optimizers.py", "prefetch.py", "train.py", "resume.py", "ensemble.py",
)  # fmt: skip


@cache
def code_version() -> str:
    """Such as ``0.1.0+src.3f9a1c2b7d04``: equal digests mean equal source of tasks, model, training and measuring.

    It needs no version control, so an installed copy names its code as well as a checkout does.
    """
    digest = hashlib.sha256()
    for pattern in RESULT_SOURCES:
        for path in sorted(PACKAGE.glob(pattern)):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+src.{digest.hexdigest()[:12]}"
