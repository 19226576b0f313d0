"""The log lines of a worker, with their times in UTC. The last ones are stored with a run that fails."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType

from lgt.core.plain_text import for_terminal
from lgt.core.terminal import PlainFormatter

MAXIMUM_LINES = 60


def utc_formatter() -> logging.Formatter:
    """Log lines with their time in UTC, which they say."""
    form = PlainFormatter("%(asctime)s UTC %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    form.converter = time.gmtime
    return form


def log_in_utc() -> None:
    """Write the warnings of this process to standard error with their times in UTC."""
    handler = logging.StreamHandler()
    handler.setFormatter(utc_formatter())
    logging.basicConfig(handlers=[handler])


def print_in_utc(text: str) -> None:
    """Print a line of a worker's log file with its time in UTC."""
    print(time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), text, flush=True)


class LogTail(logging.Handler):
    """A log handler that collects the newest lines of all loggers in its block and writes *** for ``secrets``."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(utc_formatter())
        self.secrets = [form for secret in secrets if secret for form in (secret, for_terminal(secret))]
        self.lines: deque[str] = deque(maxlen=MAXIMUM_LINES)

    def __enter__(self) -> LogTail:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Add the lines of one record."""
        self.lines.extend(self.redacted(self.format(record)).splitlines())

    def redacted(self, text: str) -> str:
        """``text`` with every secret replaced by ***."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def text(self) -> str:
        """The lines, oldest first."""
        return "\n".join(self.lines)
