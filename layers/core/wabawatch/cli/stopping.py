"""Ending in order: the first SIGINT or SIGTERM asks for an end, the second insists."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, Self


class Stop:
    """While entered, SIGINT and SIGTERM set it; a second SIGINT raises KeyboardInterrupt as usual.

    `after` sets it by itself."""

    def __init__(self, after: timedelta | None = None) -> None:
        self._asked = threading.Event()
        self._after = after
        self._timer: threading.Timer | None = None
        self._before: dict[int, Any] = {}
        self.interrupted = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._heard)
        if self._after is not None:
            self._timer = threading.Timer(self._after.total_seconds(), self._asked.set)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self._asked.set()

    def __call__(self) -> bool:
        """Whether somebody asked for an end."""
        return self._asked.is_set()

    def wait(self, seconds: float | None) -> bool:
        """Wait so long, or until somebody asks for an end; whether one did."""
        return self._asked.wait(seconds)
