"""Stop on SIGINT or SIGTERM: the first signal requests an orderly stop, a second SIGINT interrupts."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, Self


class Stop:
    """A stop request, set by SIGINT and SIGTERM while the context is entered; a second signal raises KeyboardInterrupt.

    `after` sets it after that time."""

    def __init__(self, after: timedelta | None = None) -> None:
        self._requested = threading.Event()
        self._after = after
        self._timer: threading.Timer | None = None
        self._previous_handlers: dict[int, Any] = {}
        self.interrupted = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous_handlers[number] = signal.signal(number, self._on_signal)
        if self._after is not None:
            self._timer = threading.Timer(self._after.total_seconds(), self._requested.set)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self._requested.set()

    def __call__(self) -> bool:
        """Return whether a stop was requested."""
        return self._requested.is_set()

    def wait(self, seconds: float | None) -> bool:
        """Wait until a stop is requested, at most so many seconds. Return whether it was requested."""
        return self._requested.wait(seconds)
