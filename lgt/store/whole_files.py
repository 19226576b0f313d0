"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def _write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    with _beside(path) as beside:
        write(beside)
        os.replace(beside, path)
    return path


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A free path in the folder of ``path``; whatever is left there afterwards is removed."""
    with tempfile.TemporaryDirectory(prefix=".lgt-", dir=path.parent) as folder:
        yield Path(folder) / path.name
