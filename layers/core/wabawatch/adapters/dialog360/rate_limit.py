"""Limit the rate of probes: requests per second, and the waits that throttled responses ask for."""

from __future__ import annotations

from typing import Final

_DEFAULT_WAIT: Final = 5.0
"""Seconds for which a throttled key is not used where the response names no wait."""
_MAX_WAIT: Final = 300.0
"""Seconds after which a key is used again, whatever was asked for: a wrong header must not stop the monitor."""
_MAX_HOST_WAIT: Final = 60.0
_WINDOW: Final = 30.0
_KEYS_FOR_HOST: Final = 3
"""The host counts as throttled after so many different keys are, within the window and with no success in between."""
_CATCH_UP: Final = 0.02
"""Seconds of delay that later starts may catch up; otherwise each late wake-up would lower the rate."""


class RateLimiter:
    """Decides when a probe may start. Times are seconds of a monotonic clock; waits outlast a pass.

    Keys are known by their references. 360dialog limits each key; a gateway may limit the host."""

    def __init__(self, requests_per_second: float | None) -> None:
        self._gap = 1 / requests_per_second if requests_per_second else 0.0
        self._next_start = 0.0
        self._hosts: dict[str, float] = {}
        self._keys: dict[tuple[str, str], float] = {}
        self._throttled: dict[str, list[tuple[str, float]]] = {}

    def wait(self, now: float) -> float:
        """Return the seconds until any request may start."""
        return max(0.0, self._next_start - now)

    def record_start(self, now: float) -> None:
        if self._gap:
            self._next_start = max(self._next_start, now - _CATCH_UP) + self._gap

    def host_resumes_at(self, host: str) -> float:
        """Return when this host may be used again; a time in the past where it is not throttled."""
        return self._hosts.get(host, 0.0)

    def key_resumes_at(self, host: str, key: str) -> float:
        """Return when this key may be used again at this host, by the key's own limit."""
        return self._keys.get((host, key), 0.0)

    def record_success(self, host: str) -> None:
        """Record a report for any key: the host is not throttled."""
        self._throttled.pop(host, None)
        self._hosts.pop(host, None)

    def record_throttled(self, host: str, key: str, now: float, seconds: float | None) -> float:
        """Pause the key for `seconds`, and the host too once several keys are throttled. Return the key's wait."""
        wait = min(_DEFAULT_WAIT if seconds is None else seconds, _MAX_WAIT)
        self._keys[host, key] = max(self.key_resumes_at(host, key), now + wait)
        others = [(other, at) for other, at in self._throttled.get(host, ()) if other != key and at > now - _WINDOW]
        self._throttled[host] = [*others, (key, now)][-_KEYS_FOR_HOST:]
        if len(self._throttled[host]) == _KEYS_FOR_HOST:
            self._hosts[host] = max(self.host_resumes_at(host), now + min(wait, _MAX_HOST_WAIT))
        return wait
