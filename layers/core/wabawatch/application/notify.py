"""notify: fold what is pending into incidents, plan what each destination should hear, deliver it, record it.

The only writer of incidents. Everything it does can be done again: folding is idempotent, and a notification is recorded
only after it was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.delivery import Attempt, Deliverer
from wabawatch.application.incidents import Book
from wabawatch.application.ports import Clock, Notifier, Store
from wabawatch.domain.composition import Audience, News, compose
from wabawatch.domain.correlation import fold, monitor_transition, settle
from wabawatch.domain.health import READABLE, Reason
from wabawatch.domain.incidents import DESTINATION, MONITOR, Incident, Told
from wabawatch.domain.planning import Decision, plan, record_failed, record_sent
from wabawatch.domain.rules import Rules, Steering
from wabawatch.domain.transitions import Transition

LEASE: Final = "notify"
_LEASE_FOR: Final = timedelta(seconds=60)
_PENDING: Final = 1000
SIGHT: Final = (MONITOR, "sight", READABLE)
_DIGESTED: Final = frozenset({"opened", "escalated", "eased", "resolved", "brief", "reminder"})


class Notified(msgspec.Struct, frozen=True):
    """What one round did. `worked` is False where another notify held the lease. `oldest_undelivered` is the age of the
    longest wait of a notification that failed; `lag` the longest time from a change to its delivery in this round."""

    worked: bool
    folded: int = 0
    opened: int = 0
    resolved: int = 0
    open: int = 0
    sent: int = 0
    failed: int = 0
    pending: int = 0
    oldest_undelivered: timedelta = timedelta(0)
    lag: timedelta = timedelta(0)
    attempts: tuple[Attempt, ...] = ()


class Planned(msgspec.Struct, frozen=True):
    """A decision about one incident and one destination, with what it was made from."""

    incident: Incident
    destination: str
    told: Told
    decision: Decision
    severity: str
    acknowledged_by: str = ""


class Notify:
    """One round of notify."""

    def __init__(
        self, store: Store, notifiers: Mapping[str, Notifier], clock: Clock, rules: Rules, audience: Audience
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock
        self._rules = rules
        self._audience = audience

    def __call__(
        self,
        owner: str,
        *,
        troubles: Mapping[str, Reason | None] | None = None,
        complete: bool = False,
        until: datetime | None = None,
    ) -> Notified:
        """Do one round, unless somebody else is at it.

        `troubles` says what the caller knows of the monitor itself (`configuration`: a reason, or None for all is well).
        `complete` tells that a pass over the whole fleet has just ended, so that waiting for company is needless."""
        if not self._store.acquire_lease(LEASE, owner, self._clock.now(), _LEASE_FOR):
            return Notified(worked=False)
        try:
            return self._round(troubles or {}, complete=complete, until=until)
        finally:
            self._store.release_lease(LEASE, owner)

    def _round(self, troubles: Mapping[str, Reason | None], *, complete: bool, until: datetime | None) -> Notified:
        book = Book(self._store)
        folded = self._fold_pending(book)
        self._fold_monitor(book, troubles)
        steering = self._steering()
        self._gather(book, steering)
        plans = self._plans(book, steering, complete=complete)
        attempts = self._deliver(book, plans, until)
        if self._note_destinations(book, attempts):
            again = self._plans(book, steering, complete=True)
            attempts += self._deliver(book, [one for one in again if one.incident.entity_type == DESTINATION], until)
        self._set_alarms(book, steering, complete=complete)
        return self._concluded(book, folded, attempts)

    # --- correlate

    def _fold_pending(self, book: Book) -> int:
        """Fold until nothing is pending. Incidents are written before their transitions are marked, so that a crash in
        between repeats a fold that changes nothing."""
        total = 0
        while pending := self._store.pending(_PENDING):
            book.load({transition.key for transition in pending})
            for transition in pending:
                self._fold(book, transition)
            book.save()
            self._store.mark_folded(pending)
            total += len(pending)
            if len(pending) < _PENDING:
                break
        return total

    def _fold(self, book: Book, transition: Transition) -> None:
        latest = book.latest(transition.key)
        folded = fold(latest, transition, self._rules.policy)
        if folded is not None and folded is not latest:
            book.put(folded)

    def _fold_monitor(self, book: Book, troubles: Mapping[str, Reason | None]) -> None:
        for name, trouble in troubles.items():
            self._say_of_monitor(book, (MONITOR, name, "working"), trouble)
        book.save()

    def _say_of_monitor(self, book: Book, key: tuple[str, str, str], trouble: Reason | None) -> None:
        book.load({key})
        transition = monitor_transition(book.latest(key), key, trouble, self._clock.now())
        if transition is not None:
            self._fold(book, transition)

    # --- plan

    def _steering(self) -> Steering:
        return Steering(tuple(self._store.silences()), self._store.acknowledgements())

    def _gather(self, book: Book, steering: Steering) -> None:
        """The incidents to plan: those just folded, those that are due, and all of them after a change of rules."""
        now = self._clock.now()
        mark = self._rules.fingerprint(steering).encode()
        changed = self._store.document("rules") != mark
        found = self._store.open_incidents() if changed else self._store.due_incidents(now)
        book.load({SIGHT, *(incident.key for incident in found)})
        for incident in found:
            book.keep(incident)
        if changed:
            self._store.save_document("rules", mark)
        for incident in book.all():
            book.put(settle(incident, now, self._rules.policy.flapping))
        book.save()

    def _plans(self, book: Book, steering: Steering, *, complete: bool) -> list[Planned]:
        sight = book.latest(SIGHT)
        blind = sight is not None and sight.is_open
        return [
            planned
            for incident in book.all()
            for planned in self.consider(incident, steering, blind=blind, complete=complete)
        ]

    def consider(
        self, incident: Incident, steering: Steering, *, blind: bool = False, complete: bool = False
    ) -> Iterable[Planned]:
        """What each destination should hear of an incident now, and why; changes nothing."""
        now = self._clock.now()
        fleet = self._audience.fleet
        for destination in self._notifiers:
            told = incident.ledger.get(destination, Told())
            case = self._rules.case(incident, destination, told, steering, fleet, now, blind=blind, complete=complete)
            decision = plan(incident, told, case.situation, self._rules.policy)
            yield Planned(incident, destination, told, decision, case.severity, case.acknowledged_by)

    # --- deliver

    def _deliver(self, book: Book, plans: Sequence[Planned], until: datetime | None) -> list[Attempt]:
        """Send what is to be said, a thread for each destination, and record every outcome as it comes in."""
        now = self._clock.now()
        speaking = [one for one in plans if one.decision.kind is not None]
        batches = [batch for name in self._notifiers for batch in self._batches(name, speaking)]
        deliverer = Deliverer(self._notifiers, self._clock)
        attempts = []
        for attempt in deliverer(
            [
                (compose(batch[0].destination, news, now, self._audience), dict(batch[0].told.thread), batch)
                for batch in batches
                if (news := [_news(one) for one in batch])
            ],
            until,
        ):
            self._record(book, attempt)
            attempts.append(attempt)
        return attempts

    def _batches(self, destination: str, plans: Iterable[Planned]) -> list[list[Planned]]:
        """One message for each incident, or one digest of them all where they would be a storm."""
        mine = [one for one in plans if one.destination == destination]
        together = [one for one in mine if one.decision.kind in _DIGESTED]
        if len(together) <= self._rules.policy.digest_over:
            return [[one] for one in mine]
        return [together, *([one] for one in mine if one.decision.kind not in _DIGESTED)]

    def _record(self, book: Book, attempt: Attempt) -> None:
        now = self._clock.now()
        for planned in attempt.planned:
            incident = book.current(planned.incident)
            told = incident.ledger.get(attempt.destination, Told())
            if attempt.error is None:
                line = record_sent(planned.incident, told, planned.decision.kind or "", now, dict(attempt.thread))
            else:
                line = record_failed(told, str(attempt.error), now, self._rules.policy, attempt.error.retry_after)
            ledger = {**incident.ledger, attempt.destination: line}
            book.put(msgspec.structs.replace(incident, ledger=ledger))
        book.save()

    def _note_destinations(self, book: Book, attempts: Sequence[Attempt]) -> bool:
        """A destination that fails for good, or for too long, is an incident, told through the others."""
        now = self._clock.now()
        for attempt in attempts:
            key = (DESTINATION, attempt.destination, "delivery")
            if attempt.error is None:
                self._say_of_monitor(book, key, None)
            elif attempt.error.lasting or self._given_up(book, attempt, now):
                trouble = Reason(description="undeliverable", detail=str(attempt.error))
                self._say_of_monitor(book, key, trouble)
        return bool(book.save())

    def _given_up(self, book: Book, attempt: Attempt, now: datetime) -> bool:
        since = [
            told.failing_since
            for planned in attempt.planned
            if (told := book.current(planned.incident).ledger.get(attempt.destination)) and told.failing_since
        ]
        return bool(since) and now - min(since) >= self._rules.policy.retry.give_up_after

    # --- conclude

    def _set_alarms(self, book: Book, steering: Steering, *, complete: bool) -> None:
        """Write down when each incident must be looked at again."""
        due: dict[str, list[datetime]] = {}
        for planned in self._plans(book, steering, complete=complete):
            soon = self._clock.now() if planned.decision.kind is not None else planned.decision.due_at
            if soon is not None:
                due.setdefault(planned.incident.id, []).append(soon)
        for incident in book.all():
            at = min(due[incident.id]) if incident.id in due else None
            if at != incident.due_at:
                book.put(msgspec.structs.replace(incident, due_at=at))
        book.save()

    def _concluded(self, book: Book, folded: int, attempts: Sequence[Attempt]) -> Notified:
        now = self._clock.now()
        failing = [told for incident in book.all() for told in incident.ledger.values() if told.failing_since]
        sent = [one for one in attempts if one.error is None]
        return Notified(
            worked=True,
            folded=folded,
            opened=len(book.opened),
            resolved=len(book.resolved),
            open=self._count_open(recount=bool(folded or attempts)),
            sent=len(sent),
            failed=len(attempts) - len(sent),
            pending=len(failing),
            oldest_undelivered=max(
                (now - one.failing_since for one in failing if one.failing_since), default=timedelta(0)
            ),
            lag=max(
                (now - one.incident.changed_at for attempt in sent for one in attempt.planned), default=timedelta(0)
            ),
            attempts=tuple(attempts),
        )

    def _count_open(self, *, recount: bool) -> int:
        """Counted again only after a change: reading every open incident each minute would cost more than the alerts."""
        known = self._store.document("open")
        if known is not None and not recount:
            return int(known)
        count = sum(1 for incident in self._store.open_incidents() if incident.is_open)
        if known != str(count).encode():
            self._store.save_document("open", str(count).encode())
        return count


def _news(planned: Planned) -> News:
    kind = planned.decision.kind or ""
    return News(planned.incident, planned.told, kind, planned.severity, planned.acknowledged_by)
