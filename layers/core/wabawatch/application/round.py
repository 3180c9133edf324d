"""One round of notify, step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.delivery import Attempt
from wabawatch.application.folding import Folding
from wabawatch.application.incidents import Book
from wabawatch.application.planner import Outlook, Planned, Planner
from wabawatch.application.ports import Clock, Notifier, Store
from wabawatch.application.sending import Sending
from wabawatch.application.tally import tally
from wabawatch.domain.composition import Audience
from wabawatch.domain.correlation import settle
from wabawatch.domain.health import READABLE, Reason, rank
from wabawatch.domain.heartbeat import Pulse
from wabawatch.domain.incidents import DESTINATION, MONITOR, Incident
from wabawatch.domain.ledger import withdrawn
from wabawatch.domain.rules import Rules, Steering

SIGHT: Final = (MONITOR, "sight", READABLE)
_MARK: Final = "rules"
_REVIEW_EVERY: Final = timedelta(minutes=10)
"""How often all open incidents are planned anew, due or not: `due_at` lies far ahead after the clock was set back."""

_ABSENCE: Final = timedelta(days=7)


class Notified(msgspec.Struct, frozen=True):
    """What one round did. `worked` is False where another notify held the lease. `pending` counts the notifications
    that failed and are still to be delivered, `oldest_undelivered` is how long the first of them has been failing;
    `lag` is the longest time from a change to its delivery in this round; `pulse` is the heartbeat that was sent."""

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
    pulse: Pulse | None = None


class World(msgspec.Struct, frozen=True):
    """What a round works with. `keep_going` is called now and then; it raises where the round must stop."""

    store: Store
    notifiers: Mapping[str, Notifier]
    clock: Clock
    rules: Rules
    audience: Audience
    keep_going: Callable[[], None] = lambda: None

    def steering(self) -> Steering:
        return Steering(tuple(self.store.silences()), self.store.acknowledgements())

    def backoff(self) -> Backoff:
        return Backoff(self.store, self.rules.policy.retry, self.notifiers)

    def planner(self) -> Planner:
        return Planner(self.rules, self.notifiers, self.audience.fleet)

    def outlook(
        self, steering: Steering, backoff: Backoff, sight: Incident | None, *, complete: bool = False
    ) -> Outlook:
        blind = sight is not None and sight.is_open
        return Outlook(self.clock.now(), steering, backoff.paused(), blind=blind, complete=complete)


class Round:
    """Used once."""

    def __init__(self, world: World, *, complete: bool, until: datetime | None) -> None:
        self._world = world
        self._complete = complete
        self._until = until
        self._store = world.store
        self._book = Book(world.store)
        self._folding = Folding(world.store, self._book, world.clock, world.rules.policy)
        self._steering = world.steering()
        self._backoff = world.backoff()
        self._planner = world.planner()
        self._sending = Sending(
            world.notifiers,
            world.clock,
            world.rules.policy,
            world.audience,
            self._book,
            self._backoff,
            world.keep_going,
        )

    def __call__(self, troubles: Mapping[str, Reason | None]) -> Notified:
        folded = self._folding.pending()
        self._folding.troubles(troubles)
        mark = self._gather()
        planned = self._plans(self._book.live(), complete=self._complete)
        attempts = self._sending(planned, self._until)
        if self._folding.deliveries(attempts, self._backoff):
            found = self._plans(self._of_destinations(), complete=True)
            attempts += self._sending(found, self._until)
            planned = [one for one in planned if one.incident.entity_type != DESTINATION] + found
        self._set_alarms(planned)
        self._backoff.save()
        if mark is not None:
            self._store.save_document(_MARK, mark)
        return self._concluded(folded, attempts, changed=mark is not None)

    def _gather(self) -> bytes | None:
        """The incidents to plan: those just folded, those that are due, and all of them when the rules, the steering or
        the monitor's sight have changed, and from time to time. The mark is remembered once all were planned."""
        now = self._world.clock.now()
        self._book.load({SIGHT})
        mark = self._mark(now)
        changed = self._store.document(_MARK) != mark
        for incident in self._store.open_incidents() if changed else self._store.due_incidents(now):
            self._book.keep(incident)
        for incident in self._book.live():
            settled = settle(incident, now, self._world.rules.policy.flapping)
            if settled is not incident:
                self._book.put(settled)
        if changed:
            self._folding.close_removed(self._world.notifiers, self._book.live())
        self._book.save()
        return mark if changed else None

    def _mark(self, now: datetime) -> bytes:
        sight = self._book.latest(SIGHT)
        blind = sight is not None and sight.is_open
        review = int(now.timestamp() // _REVIEW_EVERY.total_seconds())
        return f"{self._world.rules.fingerprint(self._steering)} {review} {blind}".encode()

    def _plans(self, incidents: Sequence[Incident], *, complete: bool) -> list[Planned]:
        outlook = self._world.outlook(self._steering, self._backoff, self._book.latest(SIGHT), complete=complete)
        return self._planner(incidents, outlook)

    def _of_destinations(self) -> list[Incident]:
        return [one for one in self._book.live() if one.entity_type == DESTINATION]

    def _set_alarms(self, planned: Sequence[Planned]) -> None:
        """Write down when each incident must be looked at again. Who was to hear something is asked anew: it was told,
        or it waits."""
        spoke = {one.incident.id for one in planned if one.decision.kind is not None}
        live = self._book.live()
        again = self._plans([one for one in live if one.id in spoke], complete=self._complete)
        now = self._world.clock.now()
        decisions: dict[str, list[Planned]] = {}
        for one in (*(one for one in planned if one.incident.id not in spoke), *again):
            decisions.setdefault(one.incident.id, []).append(one)
        for incident in live:
            after = _alarmed(incident, decisions.get(incident.id, []), now)
            if after != incident:
                self._book.put(after)
        self._book.save()

    def _concluded(self, folded: int, attempts: Sequence[Attempt], *, changed: bool) -> Notified:
        now = self._world.clock.now()
        sent = [one for one in attempts if one.error is None]
        counted = tally(self._store, recount=bool(folded or attempts or changed or self._book.opened))
        return Notified(
            worked=True,
            folded=folded,
            opened=len(self._book.opened),
            resolved=len(self._book.resolved),
            open=counted.open,
            sent=len(sent),
            failed=len(attempts) - len(sent),
            pending=counted.pending,
            oldest_undelivered=now - counted.failing_since if counted.failing_since else timedelta(0),
            lag=max((_lag(one, now) for each in sent for one in each.planned), default=timedelta(0)),
            attempts=tuple(attempts),
        )


def _alarmed(incident: Incident, planned: Sequence[Planned], now: datetime) -> Incident:
    """When it must be looked at again; and what failed and needs no telling any more is not waited for."""
    times = [now if one.decision.kind is not None else one.decision.due_at for one in planned]
    ledger = dict(incident.ledger)
    for one in planned:
        if one.decision.kind is None and one.decision.why != "retry_wait" and one.told.failing_since is not None:
            ledger[one.destination] = withdrawn(one.told)
    times.append(_kept_for_the_absent(incident, {one.destination for one in planned}, now))
    due_at = min((at for at in times if at is not None), default=None)
    return msgspec.structs.replace(incident, due_at=due_at, ledger=ledger)


def _kept_for_the_absent(incident: Incident, configured: Collection[str], now: datetime) -> datetime | None:
    """Until when an incident that is over is kept at hand for a destination that was told of it and is not configured
    any more: configurations are rolled back, and then its last word would never be corrected."""
    if incident.resolved_at is None or now >= (until := incident.resolved_at + _ABSENCE):
        return None
    absent = (told.status for name, told in incident.ledger.items() if name not in configured)
    return until if any(status is not None and rank(status) > 0 for status in absent) else None


def _lag(planned: Planned, now: datetime) -> timedelta:
    """Reminders are about nothing new."""
    return timedelta(0) if planned.decision.kind == "reminder" else now - planned.incident.changed_at
