"""Destinations that are down: how long each is left alone, whatever there is to say.

What one notification learned (the destination asks for five minutes) holds for the next one too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import Store
from wabawatch.domain.policy import Retry

_DOCUMENT: Final = "backoff"


class Strain(msgspec.Struct, frozen=True):
    """A destination that did not take the last `attempts` deliveries, the first of them at `since`."""

    attempts: int
    since: datetime
    until: datetime


class Backoff:
    """The strain of every destination, kept in one small document that is written only when it changes."""

    def __init__(self, store: Store, retry: Retry, destinations: Iterable[str]) -> None:
        self._store = store
        self._retry = retry
        body = store.document(_DOCUMENT)
        stored = msgspec.json.decode(body, type=dict[str, Strain]) if body else {}
        self._strains = {name: stored[name] for name in destinations if name in stored}
        self._saved = stored

    def paused(self) -> dict[str, datetime]:
        """Until when each of them is left alone; instants that have passed too."""
        return {name: strain.until for name, strain in self._strains.items()}

    def failing_since(self, destination: str) -> datetime | None:
        strain = self._strains.get(destination)
        return strain.since if strain else None

    def failed(self, destination: str, now: datetime, retry_after: float | None) -> None:
        before = self._strains.get(destination)
        attempts = before.attempts + 1 if before else 1
        until = now + self._retry.wait(attempts, retry_after)
        self._strains[destination] = Strain(attempts, before.since if before else now, until)

    def worked(self, destination: str) -> None:
        self._strains.pop(destination, None)

    def save(self) -> None:
        if self._strains != self._saved:
            self._store.save_document(_DOCUMENT, msgspec.json.encode(self._strains))
            self._saved = dict(self._strains)
