"""The outputs of a process: what commands and workers print and log has no hidden or controlling characters.

Standard output and standard error of a command are :class:`PlainStream` (:mod:`lgt.cli.output`), so no place that
prints can forget it. Only :func:`console` writes colours and moves the cursor of a terminal, and it cleans the text of
what it prints.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, Any

from lgt.core.plain_text import for_terminal, visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult


class PlainStream(io.TextIOWrapper):
    """A stream of text that writes hidden and controlling characters as escapes (:func:`visible`)."""

    def write(self, text: str, /) -> int:
        """Write ``text``; returns its number of characters, as other streams do."""
        super().write(visible(text))
        return len(text)

    def write_control(self, text: str) -> int:
        """Write ``text`` as it is; for what controls the terminal on purpose."""
        return super().write(text)


class _Controlled:
    """A file on a :class:`PlainStream` for a rich console, which colours text."""

    def __init__(self, stream: PlainStream) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write ``text`` as it is."""
        return self.stream.write_control(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Visible:
    """What a console prints, with the text of every piece of it cleaned."""

    def __init__(self, content: RenderableType) -> None:
        self.content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for piece in console.render(self.content, options):
            yield piece if piece.control else Segment(visible(piece.text), piece.style)


class _Cleaner:
    """The hook of a console through which all that is printed passes."""

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        """Let each of ``renderables`` be printed with visible text."""
        return [_Visible(content) for content in renderables]


def console() -> Console:
    """A rich console on standard output. The text that it prints is cleaned, its own colours are not."""
    from rich.console import Console

    stream = sys.stdout
    made = Console(file=_Controlled(stream)) if isinstance(stream, PlainStream) else Console()  # type: ignore[arg-type]
    made.push_render_hook(_Cleaner())  # type: ignore[arg-type]
    return made


class PlainFormatter(logging.Formatter):
    """A format of log lines in which a message is one line; the lines of a traceback follow it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record, before its traceback."""
        record.message = for_terminal(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """The traceback of a record."""
        return visible(super().formatException(ei))


def log_plainly(name: str, form: logging.Formatter | None = None) -> None:
    """Write the warnings of the logger ``name`` to standard error through a :class:`PlainFormatter`; once."""
    logger = logging.getLogger(name)
    if not any(isinstance(handler.formatter, PlainFormatter) for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(form or PlainFormatter("%(message)s"))
        logger.addHandler(handler)
