"""Standard output and standard error of a command: nothing breaks when their reader ends first, as in ``| head``, and
text has no hidden or controlling characters (:mod:`lgt.core.terminal`)."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from lgt.core.terminal import PlainStream


class Pipe(io.FileIO):
    """An output whose reader may end. What is written after that goes nowhere, and the command ends as usual."""

    def write(self, data: Any) -> int:
        """Write bytes; returns how many."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(memoryview(data).cast("B"))


def outlive_readers() -> None:
    """Let this process outlive the readers of its two outputs, and write only plain text to them. Does nothing where
    they were replaced, as in tests."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            buffer = io.BufferedWriter(Pipe(stream.fileno(), "w", closefd=False))
            by_line = stream.line_buffering or name == "stderr"
            text = PlainStream(buffer, stream.encoding, stream.errors, line_buffering=by_line)
            setattr(sys, name, text)


def is_full(error: OSError) -> bool:
    """Whether the place where the output goes is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
