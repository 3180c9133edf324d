"""fold: what was committed, and what the monitor knows of itself, into incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.delivery import Attempt
from wabawatch.application.incidents import Book
from wabawatch.application.ports import Clock, Store
from wabawatch.domain.correlation import UNWATCHED, fold, monitor_transition
from wabawatch.domain.health import GONE, Reason
from wabawatch.domain.incidents import DESTINATION, MONITOR, Incident, Key
from wabawatch.domain.policy import Policy
from wabawatch.domain.transitions import Transition

_PENDING: Final = 1000


class Folding:
    """Puts incidents into a book. Whatever changes an incident makes it due at once in the same write, so that a crash
    right after it loses no news."""

    def __init__(self, store: Store, book: Book, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._policy = policy

    def pending(self) -> int:
        """Fold until nothing is pending. Incidents are written before their transitions are marked, so that a crash in
        between repeats a fold that changes nothing."""
        total = 0
        while pending := self._store.pending(_PENDING):
            self._book.load({transition.key for transition in pending})
            for transition in pending:
                self._fold(transition)
            self._book.save()
            self._store.mark_folded(pending)
            total += len(pending)
            if len(pending) < _PENDING:
                break
        return total

    def troubles(self, troubles: Mapping[str, Reason | None]) -> None:
        """What the caller knows of the monitor, by name; None: all is well."""
        for name, trouble in troubles.items():
            self._say((MONITOR, name, "working"), trouble)
        self._book.save()

    def deliveries(self, attempts: Sequence[Attempt], backoff: Backoff) -> bool:
        """A destination that fails for good, or for too long, is an incident, told through the others; one that takes
        everything again ends it."""
        self._book.load({_delivery_to(attempt.destination) for attempt in attempts})
        for name in dict.fromkeys(attempt.destination for attempt in attempts):
            errors = [one.error for one in attempts if one.destination == name and one.error is not None]
            lasting = [error for error in errors if error.lasting or self._given_up(name, backoff)]
            if lasting:
                self._say(_delivery_to(name), Reason(description="undeliverable", detail=str(lasting[0])))
            elif not errors:
                self._say(_delivery_to(name), None)
        return bool(self._book.save())

    def close_removed(self, destinations: Iterable[str], incidents: Iterable[Incident]) -> None:
        """A destination that is not configured any more has no trouble any more."""
        configured = set(destinations)
        for incident in incidents:
            if incident.entity_type == DESTINATION and incident.is_open and incident.entity_id not in configured:
                self._book.load({incident.key})
                self._fold(_unwatched(incident, self._clock.now()))

    def _given_up(self, destination: str, backoff: Backoff) -> bool:
        since = backoff.failing_since(destination)
        return since is not None and self._clock.now() - since >= self._policy.retry.give_up_after

    def _say(self, key: Key, trouble: Reason | None) -> None:
        self._book.load({key})
        transition = monitor_transition(self._book.latest(key), key, trouble, self._clock.now())
        if transition is not None:
            self._fold(transition)

    def _fold(self, transition: Transition) -> None:
        latest = self._book.latest(transition.key)
        folded = fold(latest, transition, self._policy)
        if folded is None or folded is latest:
            return
        is_news = latest is None or (folded.id, folded.revision) != (latest.id, latest.revision)
        self._book.put(msgspec.structs.replace(folded, due_at=self._clock.now()) if is_news else folded)


def _delivery_to(destination: str) -> Key:
    return (DESTINATION, destination, "delivery")


def _unwatched(incident: Incident, now: datetime) -> Transition:
    seq = incident.folded.get(incident.entity_id, 0) + 1
    return Transition(
        incident.entity_id, seq, *incident.key, old=incident.status, new=GONE, at=now, since=now, run_id=UNWATCHED
    )
