"""The targets of a pass that are still to be probed, those of hosts that asked for a wait set aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from wabawatch.adapters.dialog360.pacing import Pacing
from wabawatch.adapters.dialog360.probe import Place, place_of
from wabawatch.application.ports import Target

PATIENCE: Final = 60.0
"""Seconds that a pass without a deadline waits for hosts that asked for it."""


class Waiting:
    """Gives the targets in their order, as far as their hosts allow. Times are in seconds of a monotonic clock."""

    def __init__(self, targets: Iterable[Target], base_url: str, pacing: Pacing, patience_ends: float) -> None:
        self._rest = deque(targets)
        self._base_url = base_url
        self._pacing = pacing
        self._patience_ends = patience_ends
        self._parked: dict[str, deque[tuple[Target, Place]]] = {}

    def __len__(self) -> int:
        return len(self._rest) + sum(map(len, self._parked.values()))

    def take(self, now: float) -> tuple[Target, Place] | None:
        """The next target that may be probed now, and where; None if there is none at the moment."""
        if self._pacing.wait(now):
            return None
        for host, parked in self._parked.items():
            if parked and self._pacing.resumes_at(host) <= now:
                return parked.popleft()
        while self._rest:
            target = self._rest.popleft()
            place = place_of(target.base_url or self._base_url)
            if self._pacing.resumes_at(place.host) <= now:
                return target, place
            self._parked.setdefault(place.host, deque()).append((target, place))
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until `take` may give another one; None when this pass has none left to give."""
        starts = [now] if self._rest else []
        starts += [at for host, parked in self._parked.items() if parked and (at := self._patient(host)) is not None]
        return max(self._pacing.wait(now), min(starts) - now, 0.0) if starts else None

    def _patient(self, host: str) -> float | None:
        at = self._pacing.resumes_at(host)
        return at if at <= self._patience_ends else None
