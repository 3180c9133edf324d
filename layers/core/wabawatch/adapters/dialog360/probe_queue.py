"""The queue of targets to probe in one pass. Targets whose key or host is rate-limited wait in it."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wabawatch.adapters.dialog360.rate_limit import RateLimiter
from wabawatch.application.credentials import explain_bad_key
from wabawatch.application.ports import Target
from wabawatch.errors import SecretError

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
