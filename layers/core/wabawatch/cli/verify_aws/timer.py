"""The clock of waits."""

from __future__ import annotations

import time
from collections.abc import Callable


class Timer:
    """A clock that nobody can set, in seconds, and the process's own pause. Tests replace both."""

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self.now = now
        self.sleep = sleep
