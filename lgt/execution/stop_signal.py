"""Signals that ask a worker to stop: it ends after the current step, stores a training state and releases its run."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Schedulers warn a job by one of these before they end it: Slurm by the one of ``--signal``, submitit by SIGUSR2."""
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class StopSignal:
    """A context manager that notes the signals of ``NAMES``. Calling it returns whether one has come.

    A second SIGINT raises KeyboardInterrupt. Outside the main thread it does nothing, because Python handles signals
    only there.
    """

    def __init__(self) -> None:
        self.received = False
        self.old_handlers: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.received

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            # Signals that the process ignores from its start (nohup, a shell's background jobs) stay ignored.
            handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self.old_handlers = {number: signal.signal(number, self._receive) for number in handled}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.old_handlers.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = True
