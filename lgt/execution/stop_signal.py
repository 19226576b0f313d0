"""A worker that is asked to go: it stops at the next step, keeps the state of its run and gives its lease back."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


class StopSignal:
    """True, once called, after SIGTERM, SIGINT (Ctrl-C) or SIGHUP came inside its ``with`` block.

    A second SIGINT interrupts at once. Signals reach only the main thread; elsewhere nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self.before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.asked

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            # What the process was started deaf to (nohup, a shell's background jobs) it stays deaf to.
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self.before = {number: signal.signal(number, self._take) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
