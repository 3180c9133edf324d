"""When the next probe may start: requests per second, and the waits that throttled answers ask for."""

from __future__ import annotations

from typing import Final

_UNNAMED_WAIT: Final = 5.0
"""Seconds to leave a key alone that is throttled and not told for how long."""
_LONGEST_WAIT: Final = 300.0
"""Seconds after which a key is used again, whatever was asked: a mistaken header must not blind the monitor."""
_LONGEST_HOST_WAIT: Final = 60.0
_WINDOW: Final = 30.0
_KEYS_OF_A_HOST: Final = 3
"""So many different keys, throttled within the window without an answer in between, mean that the host throttles."""
_CATCH_UP: Final = 0.02
"""Seconds of delay that later starts may make up for; otherwise each late wake-up would lower the rate."""


class Pacing:
    """Times are in seconds of a monotonic clock. Waits outlive the pass in which they were asked for.

    A key stands for itself by its reference. 360dialog's limits belong to a key; a gateway's may belong to the host.
    """

    def __init__(self, requests_per_second: float | None) -> None:
        self._gap = 1 / requests_per_second if requests_per_second else 0.0
        self._next_start = 0.0
        self._hosts: dict[str, float] = {}
        self._keys: dict[tuple[str, str], float] = {}
        self._throttled: dict[str, list[tuple[str, float]]] = {}

    def wait(self, now: float) -> float:
        """Seconds until a request may start at all."""
        return max(0.0, self._next_start - now)

    def started(self, now: float) -> None:
        if self._gap:
            self._next_start = max(self._next_start, now - _CATCH_UP) + self._gap

    def host_resumes_at(self, host: str) -> float:
        """When this host may be asked again; in the past where it is not to be left alone."""
        return self._hosts.get(host, 0.0)

    def key_resumes_at(self, host: str, key: str) -> float:
        """When this key may be used again at this host, as far as it is for the key."""
        return self._keys.get((host, key), 0.0)

    def answered(self, host: str) -> None:
        """Note an answer to some key: the host as such does not throttle."""
        self._throttled.pop(host, None)
        self._hosts.pop(host, None)

    def throttled(self, host: str, key: str, now: float, seconds: float | None) -> float:
        """Leave the key alone for as long as was asked, and the host too once several keys were throttled. Returns the
        key's wait."""
        wait = min(_UNNAMED_WAIT if seconds is None else seconds, _LONGEST_WAIT)
        self._keys[host, key] = max(self.key_resumes_at(host, key), now + wait)
        others = [(other, at) for other, at in self._throttled.get(host, ()) if other != key and at > now - _WINDOW]
        self._throttled[host] = [*others, (key, now)][-_KEYS_OF_A_HOST:]
        if len(self._throttled[host]) == _KEYS_OF_A_HOST:
            self._hosts[host] = max(self.host_resumes_at(host), now + min(wait, _LONGEST_HOST_WAIT))
        return wait
