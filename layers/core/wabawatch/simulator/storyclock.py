"""How far the story has come: a stopwatch that can be paused and set."""

import time
from collections.abc import Callable
from datetime import timedelta


class StoryClock:
    """Runs from its creation; `now` returns seconds that never go back."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, paused: bool = False) -> None:
        self._now = now
        self._before = timedelta()
        self._resumed_at: float | None = None if paused else now()

    @property
    def paused(self) -> bool:
        return self._resumed_at is None

    def elapsed(self) -> timedelta:
        running = 0.0 if self._resumed_at is None else self._now() - self._resumed_at
        return self._before + timedelta(seconds=running)

    def pause(self) -> None:
        self._before, self._resumed_at = self.elapsed(), None

    def resume(self) -> None:
        if self._resumed_at is None:
            self._resumed_at = self._now()

    def go_to(self, elapsed: timedelta) -> None:
        self._before = elapsed
        self._resumed_at = None if self.paused else self._now()
