"""The lease that keeps two rounds of notify from working at once."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import Final

from wabawatch.application.ports import Clock, Store
from wabawatch.errors import StoreError

logger = logging.getLogger(__name__)

_FOR: Final = timedelta(seconds=60)
_RENEW_EVERY: Final = timedelta(seconds=15)
"""Three renewals may fail before the lease ends."""


class Lease:
    """Taken for a minute and renewed while the work goes on: by a thread, because the work may wait for a destination
    or a store for longer than that minute. Whoever dies with it is replaced after that minute."""

    def __init__(
        self, store: Store, clock: Clock, name: str, owner: str, *, renew_every: timedelta = _RENEW_EVERY
    ) -> None:
        self._store = store
        self._clock = clock
        self._name = name
        self._owner = owner
        self._renew_every = renew_every
        self._taken_at: datetime | None = None
        self._is_lost = False
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def take(self) -> bool:
        """Take the lease, and renew it from now on; False where somebody else has it."""
        with self._lock:
            is_taken = self._acquire()
        if is_taken:
            threading.Thread(target=self._renew_until_it_ends, name=f"renew-{self._name}", daemon=True).start()
        return is_taken

    def keep(self) -> None:
        """Renew it where that is due. Raises StoreError where somebody else has taken it."""
        with self._lock:
            is_due = self._taken_at is not None and abs(self._clock.now() - self._taken_at) >= self._renew_every
            if self._is_lost or (is_due and not self._acquire()):
                raise StoreError("this notify was too slow, and another one took over; this one stops")

    def release(self) -> None:
        self._ended.set()
        with self._lock:  # a renewal that is under way must not come after the release
            self._store.release_lease(self._name, self._owner)

    def _acquire(self) -> bool:
        now = self._clock.now()
        is_taken = self._store.acquire_lease(self._name, self._owner, now, _FOR)
        if is_taken:
            self._taken_at = now
        else:
            self._is_lost = True
        return is_taken

    def _renew_until_it_ends(self) -> None:
        while not self._ended.wait(self._renew_every.total_seconds()):
            with self._lock:
                if self._ended.is_set() or self._is_lost:
                    return
                try:
                    if not self._acquire():
                        return
                except Exception as error:  # noqa: BLE001 - a thread's border; the next renewal may work
                    logger.warning("the lease of %s could not be renewed: %s", self._name, type(error).__name__)
