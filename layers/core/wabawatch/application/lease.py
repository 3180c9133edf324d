"""The lease that keeps two rounds of notify from working at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from wabawatch.application.errors import StoreError
from wabawatch.application.ports import Clock, Store

_FOR: Final = timedelta(seconds=60)
_EXTEND_AFTER: Final = timedelta(seconds=15)
"""A delivery takes ten seconds at most, or little more: there is time to extend the lease before it ends."""


class Lease:
    """Taken for a minute and extended while the work goes on; whoever dies with it is replaced after that minute."""

    def __init__(self, store: Store, clock: Clock, name: str, owner: str) -> None:
        self._store = store
        self._clock = clock
        self._name = name
        self._owner = owner
        self._taken_at: datetime | None = None

    def take(self) -> bool:
        self._taken_at = self._clock.now()
        return self._store.acquire_lease(self._name, self._owner, self._taken_at, _FOR)

    def keep(self) -> None:
        """Extend it where that is due. Raises StoreError where somebody else has taken it."""
        taken_at = self._taken_at
        if taken_at is not None and abs(self._clock.now() - taken_at) >= _EXTEND_AFTER and not self.take():
            raise StoreError("this notify was too slow, and another one took over; this one stops")

    def release(self) -> None:
        self._store.release_lease(self._name, self._owner)
