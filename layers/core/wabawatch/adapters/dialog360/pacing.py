"""When the next probe may start: requests per second, and the waits that a host asked for."""

from __future__ import annotations

from typing import Final

_UNNAMED_WAIT: Final = 5.0
"""Seconds to leave a host alone that is throttling and does not say for how long."""
_LONGEST_WAIT: Final = 300.0
"""Seconds after which a host is asked again, whatever it said: a mistaken header must not blind the monitor."""
_CATCH_UP: Final = 0.02
"""Seconds of delay that later starts may make up for; otherwise each late wake-up would lower the rate."""


class Pacing:
    """Times are in seconds of a monotonic clock. Waits outlive the pass that was told of them."""

    def __init__(self, requests_per_second: float | None) -> None:
        self._gap = 1 / requests_per_second if requests_per_second else 0.0
        self._next_start = 0.0
        self._resumes: dict[str, float] = {}

    def wait(self, now: float) -> float:
        """Seconds until a request may start at all."""
        return max(0.0, self._next_start - now)

    def started(self, now: float) -> None:
        if self._gap:
            self._next_start = max(self._next_start, now - _CATCH_UP) + self._gap

    def resumes_at(self, host: str) -> float:
        """When this host may be asked again; in the past where it never asked for a wait."""
        return self._resumes.get(host, 0.0)

    def throttled(self, host: str, now: float, seconds: float | None) -> float:
        """Leave the host alone for as long as it asked, and return for how long that is."""
        wait = min(_UNNAMED_WAIT if seconds is None else seconds, _LONGEST_WAIT)
        self._resumes[host] = max(self.resumes_at(host), now + wait)
        return wait
