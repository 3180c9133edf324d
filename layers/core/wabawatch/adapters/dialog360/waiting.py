"""The targets of a pass that are still to be probed, those set aside whose key or host is to be left alone."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final

from wabawatch.adapters.dialog360.pacing import Pacing
from wabawatch.adapters.dialog360.probe import Place, place_of
from wabawatch.application.ports import Target

PATIENCE: Final = 60.0
"""Seconds that a pass without a deadline waits for keys and hosts that are to be left alone."""


class Waiting:
    """Gives the targets in their order, as far as their keys and hosts allow. Times are in seconds of a monotonic
    clock."""

    def __init__(self, targets: Iterable[Target], base_url: str, pacing: Pacing, patience_ends: float) -> None:
        self._rest = deque(targets)
        self._base_url = base_url
        self._pacing = pacing
        self._patience_ends = patience_ends
        self._by_host: dict[str, deque[Target]] = {}
        self._by_key: list[tuple[float, int, Target]] = []
        self._parked = 0

    def __len__(self) -> int:
        return len(self._rest) + len(self._by_key) + sum(map(len, self._by_host.values()))

    def take(self, now: float) -> tuple[Target, Place] | None:
        """The next target that may be probed now, and where; None if there is none at the moment."""
        if self._pacing.wait(now):
            return None
        while (target := self._next(now)) is not None:
            place = place_of(target.base_url or self._base_url)
            resumes_at = self._pacing.key_resumes_at(place.host, target.api_key)
            if self._pacing.host_resumes_at(place.host) > now:
                self._by_host.setdefault(place.host, deque()).append(target)
            elif resumes_at > now:
                self._parked += 1
                heapq.heappush(self._by_key, (resumes_at, self._parked, target))
            else:
                return target, place
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until `take` may give another one; None when this pass has none left to give."""
        starts = [now] if self._rest else []
        starts += [self._pacing.host_resumes_at(host) for host, parked in self._by_host.items() if parked]
        starts += [self._by_key[0][0]] if self._by_key else []
        patient = [at for at in starts if at <= self._patience_ends]
        return max(self._pacing.wait(now), min(patient) - now, 0.0) if patient else None

    def _next(self, now: float) -> Target | None:
        """The next target whose wait is over, or that has not been looked at."""
        if self._by_key and self._by_key[0][0] <= now:
            return heapq.heappop(self._by_key)[2]
        for host, parked in self._by_host.items():
            if parked and self._pacing.host_resumes_at(host) <= now:
                return parked.popleft()
        return self._rest.popleft() if self._rest else None
