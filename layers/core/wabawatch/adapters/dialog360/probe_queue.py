"""The queue of targets to probe in one pass, and the limits of its rate.

The rate is a number of requests per second. Targets whose key or host a throttled response has limited wait in the
queue, for as long as the response asks for.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wabawatch.application.credentials import explain_bad_key
from wabawatch.application.ports import Target
from wabawatch.errors import SecretError

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


_PATH: Final = "/health_status"
PATIENCE: Final = 60.0
"""Seconds that a pass without a deadline waits for rate-limited keys and hosts."""


class Endpoint(msgspec.Struct, frozen=True):
    """The URL of a target's health. `host` includes the port; rate limits are kept by it."""

    url: str
    host: str


@lru_cache(maxsize=1024)
def find_endpoint(base_url: str) -> Endpoint:
    """Split the base URL. For an invalid one, which libcurl will refuse, the host is the whole text."""
    try:
        host = urlsplit(base_url).netloc.rpartition("@")[2].lower()
    except ValueError:
        host = base_url
    return Endpoint(base_url.rstrip("/") + _PATH, host)


class Probe:
    """A target that is being probed. Not a struct, so that no repr shows the key."""

    __slots__ = ("endpoint", "key", "target")

    def __init__(self, target: Target, endpoint: Endpoint, key: str) -> None:
        self.target, self.endpoint, self.key = target, endpoint, key


def check_key(key: str, reference: str) -> str:
    """Return the key. Raises SecretError for one that would not fit into a single header."""
    if why := explain_bad_key(key):
        raise SecretError(f"{reference}: {why}")
    return key


class ProbeQueue:
    """Returns targets in order, as the rate limits of keys and hosts allow. Times are seconds of a monotonic clock."""

    def __init__(self, targets: Iterable[Target], base_url: str, limiter: RateLimiter, patience_ends: float) -> None:
        self._targets = deque(targets)
        self._base_url = base_url
        self._limiter = limiter
        self._patience_ends = patience_ends
        self._by_host: dict[str, deque[Target]] = {}
        self._by_key: list[tuple[float, int, Target]] = []
        self._parked = 0

    def __len__(self) -> int:
        return len(self._targets) + len(self._by_key) + sum(map(len, self._by_host.values()))

    def take(self, now: float) -> tuple[Target, Endpoint] | None:
        """Return the next target that may be probed now, and its endpoint; None where there is none at the moment."""
        if self._limiter.wait(now):
            return None
        while (target := self._next(now)) is not None:
            endpoint = find_endpoint(target.base_url or self._base_url)
            resumes_at = self._limiter.key_resumes_at(endpoint.host, target.api_key)
            if self._limiter.host_resumes_at(endpoint.host) > now:
                self._by_host.setdefault(endpoint.host, deque()).append(target)
            elif resumes_at > now:
                self._parked += 1
                heapq.heappush(self._by_key, (resumes_at, self._parked, target))
            else:
                return target, endpoint
        return None

    def wait(self, now: float) -> float | None:
        """Return the seconds until `take` may return another target; None where this pass has none left."""
        starts = [now] if self._targets else []
        starts += [self._limiter.host_resumes_at(host) for host, parked in self._by_host.items() if parked]
        starts += [self._by_key[0][0]] if self._by_key else []
        patient = [at for at in starts if at <= self._patience_ends]
        return max(self._limiter.wait(now), min(patient) - now, 0.0) if patient else None

    def _next(self, now: float) -> Target | None:
        """Return the next target whose wait is over, or that has not been looked at yet."""
        if self._by_key and self._by_key[0][0] <= now:
            return heapq.heappop(self._by_key)[2]
        for host, parked in self._by_host.items():
            if parked and self._limiter.host_resumes_at(host) <= now:
                return parked.popleft()
        return self._targets.popleft() if self._targets else None
