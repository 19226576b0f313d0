"""The last log lines of a worker. They are stored with a run that fails."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType

MAXIMUM_LINES = 60


class LogTail(logging.Handler):
    """A log handler that collects the newest lines of all loggers in its block and writes *** for ``secrets``."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        super().__init__(logging.INFO)
        form = logging.Formatter("%(asctime)s UTC %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        form.converter = time.gmtime
        self.setFormatter(form)
        self.secrets = [secret for secret in secrets if secret]
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
