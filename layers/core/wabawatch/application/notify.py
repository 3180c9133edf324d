"""notify: correlate, decide, deliver, record, schedule the next review. The only writer of incidents.

Every step can be repeated after a crash: a change is folded exactly once, a changed incident is due until it has been
looked at, and a notification is stored before it is sent and removed once it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.correlate import (
    STORAGE,
    Correlator,
    delivery_key,
    monitor_key,
    refusals_key,
)
from wabawatch.application.delivery import Attempt
from wabawatch.application.lease import Lease
from wabawatch.application.outbox import Outbox
from wabawatch.application.planner import (
    Planned,
    Planner,
    Review,
    RoundContext,
    first_waiting,
    known_destinations,
    mass_failure_shards,
    next_review_at,
    remember_destinations,
)
from wabawatch.application.ports import (
    Clock,
    DocumentStore,
    IncidentStore,
    LeaseStore,
    Notifier,
    OperatorActionStore,
    Topic,
)
from wabawatch.application.subscriptions import SubscriptionCheck
from wabawatch.application.unit_of_work import IncidentUnitOfWork
from wabawatch.domain.correlation import end_flapping
from wabawatch.domain.health import READABLE, Reason
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.domain.incident import MONITOR, Incident, Key
from wabawatch.domain.routing import OperatorActions, Rules
from wabawatch.messages.notification import RenderContext

LEASE: Final = "notify"
READABILITY: Final = Key(MONITOR, "readability", READABLE)

_FOLDING_SLICE: Final = timedelta(seconds=15)
"""After which notifications are sent for what is folded so far; the rest is folded afterwards."""
_LONGEST_ROUND: Final = timedelta(minutes=2)
"""Where the caller gives no deadline."""
_DUE_AT_ONCE: Final = 2000


class NotifyResult(msgspec.Struct, frozen=True):
    """The outcome of one round. `worked` is False where another notify held the lease."""

    worked: bool
    folded: int = 0
    opened: int = 0
    resolved: int = 0
    open: int = 0
    sent: int = 0
    failed: int = 0
    pending: int = 0
    """Notifications that failed and are still to be delivered."""
    oldest_undelivered: timedelta = timedelta(0)
    """How long the first of them has been failing."""
    lag: timedelta = timedelta(0)
    """The longest time from a change to its delivery in this round."""
    attempts: tuple[Attempt, ...] = ()
    heartbeat: HeartbeatPing | None = None
    """The heartbeat that was sent."""
    more: bool = False
    """The time was over before everything was done."""
    unread_for: timedelta | None = None
    """How long the whole fleet has not been read; None where the caller does not say."""
    unheard: int = 0
    """Topics without a subscriber."""


class NotifyStore(IncidentStore, OperatorActionStore, LeaseStore, DocumentStore, Protocol):
    """What notify reads and writes."""


class Notify:
    """Run rounds of notify, one at a time across all processes."""

    def __init__(
        self,
        store: NotifyStore,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        rules: Rules,
        audience: RenderContext,
        *,
        alarm_topics: Sequence[Topic] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._parts = RoundParts(
            store=store, notifiers=notifiers, clock=clock, rules=rules, audience=audience, alarm_topics=alarm_topics
        )

    def run(
        self,
        owner: str,
        *,
        troubles: Mapping[str, Reason | None] | None = None,
        complete: bool = False,
        until: datetime | None = None,
    ) -> NotifyResult:
        """Run one round, unless another process is running one.

        `troubles` is what the caller knows about the monitor (`configuration`: a reason, or None without a problem).
        `complete`: a pass over the whole fleet has just ended, so that waiting for related changes is unnecessary.
        Raises StoreError where another notify took over meanwhile: what was sent and not recorded is sent again, with
        the same notification id."""
        lease = Lease(self._store, self._clock, LEASE, owner)
        if not lease.take():
            return NotifyResult(worked=False)
        try:
            until = until or self._clock.now() + _LONGEST_ROUND
            return Round(self._parts, lease.renew, complete=complete, until=until).run(troubles or {})
        finally:
            lease.release()

    def explain(self, incident: Incident) -> list[Planned]:
        """Return what each destination would be sent about an incident now, and why; change nothing."""
        return Round(self._parts, lambda: None, complete=False, until=self._clock.now()).explain(incident)


class RoundParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that a round works with."""

    store: NotifyStore
    notifiers: Mapping[str, Notifier]
    clock: Clock
    rules: Rules
    audience: RenderContext
    alarm_topics: Sequence[Topic]


class Round:
    """One round; used once. `renew_lease` is called now and then; it raises StoreError where the round must stop."""

    def __init__(self, parts: RoundParts, renew_lease: Callable[[], None], *, complete: bool, until: datetime) -> None:
        store, clock, policy = parts.store, parts.clock, parts.rules.policy
        self._store = store
        self._notifiers = parts.notifiers
        self._clock = clock
        self._rules = parts.rules
        self._renew_lease = renew_lease
        self._complete = complete
        self._until = until
        self._incidents = IncidentUnitOfWork(store)
        self._correlator = Correlator(store, self._incidents, clock, policy)
        self._steering = OperatorActions()
        self._backoff = Backoff(store, policy.retry, parts.notifiers)
        self._planner = Planner(store, parts.rules, parts.notifiers, parts.audience.fleet)
        self._outbox = Outbox(
            store,
            parts.notifiers,
            clock,
            policy=policy,
            audience=parts.audience,
            incidents=self._incidents,
            backoff=self._backoff,
            renew_lease=renew_lease,
        )
        self._known_since: Mapping[str, datetime] = {}
        self._review = Review(store)
        self._subscriptions = SubscriptionCheck(store, parts.notifiers, parts.alarm_topics, clock)
        self._unheard = 0
        self._examined: dict[str, Incident] = {}
        self._has_more_due = False
        self._attempts: list[Attempt] = []

    def run(self, troubles: Mapping[str, Reason | None]) -> NotifyResult:
        """Repeat the five steps in slices until nothing is left or the time is over, so that people are notified of the
        first changes before the last ones are correlated."""
        self._load()
        self._outbox.drop_removed()
        self._incidents.load([READABILITY, STORAGE, *(monitor_key(name) for name in troubles)])
        self._known_since = remember_destinations(self._store, self._notifiers, self._clock.now())
        self._correlator.report_all(troubles)
        self._unheard = self._subscriptions.run(self._correlator.report, self._renew_lease)
        more = True
        while more and not self._is_over():
            pending = self._correlate()
            decided = self._decide()
            self._deliver(decided)
            self._record()
            saved = self._schedule(decided)
            more = pending or self._has_more() or not saved
        self._backoff.save()
        return self._summarize(more=more)

    def explain(self, incident: Incident) -> list[Planned]:
        """Return the decisions about one incident; change nothing."""
        self._load()
        return [
            msgspec.structs.replace(planned, queued=self._outbox.find(incident.id, planned.destination))
            for planned in self._planner.decide(incident, self._round_context())
        ]

    def _load(self) -> None:
        self._steering = OperatorActions(tuple(self._store.silences()), self._store.acknowledgements())
        self._backoff.load()
        self._known_since = known_destinations(self._store)
        self._review.load()
        self._outbox.load()

    # --- the five steps

    def _correlate(self) -> bool:
        """Fold committed changes into incidents; return whether there are more."""
        slice_ends = min(self._until, self._clock.now() + _FOLDING_SLICE)
        more = self._correlator.fold_pending(lambda: self._clock.now() >= slice_ends)
        self._correlator.report_storage()
        self._renew_lease()
        return more

    def _decide(self) -> list[Planned]:
        """Decide what to send to each destination about the incidents that were just changed, that are due, whose
        notification failed and is retried, and about one page of the review of all incidents."""
        now = self._clock.now()
        self._incidents.load([READABILITY])
        due = self._incidents.take(self._store.due_incidents(now, _DUE_AT_ONCE))
        self._has_more_due = len(due) == _DUE_AT_ONCE
        failed = self._outbox.take_failed(now)
        reviewed = self._incidents.take(self._review.next_page(self._mark(now)))
        self._correlator.close_removed(self._notifiers, reviewed)
        examined = [*due, *failed, *reviewed, *self._correlator.take_touched()]
        examined += self._incidents.take_unfinished_before(examined)  # a recovery is sent before the next problem
        self._examined = {incident.id: self._settle(self._incidents.current(incident)) for incident in examined}
        context = self._round_context()
        return [
            decision for incident in self._examined.values() for decision in self._planner.decide(incident, context)
        ]

    def _deliver(self, decided: Sequence[Planned]) -> None:
        """Store the notifications, and send them."""
        self._attempts += self._outbox.deliver(self._outbox.compose(decided), self._until)

    def _record(self) -> None:
        """Record what was sent, and report destinations that accept nothing, or refuse a message."""
        self._outbox.record()
        now = self._clock.now()
        for name in self._outbox.take_attempted():
            trouble = self._backoff.trouble(name, now)
            reason = Reason(description="undeliverable", detail=trouble) if trouble else None
            self._correlator.report(delivery_key(name), reason)
            self._correlator.report(refusals_key(name), self._outbox.refused(name))

    def _schedule(self, decided: Sequence[Planned]) -> bool:
        """Store when each incident must be looked at again; return False where the time was over before that. Incidents
        with a notification or a change in this slice are decided again: it was sent, or it waits."""
        context = self._round_context()
        decisions: dict[str, list[Planned]] = {incident_id: [] for incident_id in self._examined}
        for planned in decided:
            decisions[planned.incident.id].append(planned)
        for incident_id, before in decisions.items():
            incident = self._incidents.current(self._examined[incident_id])
            had_news = any(planned.decision.kind is not None for planned in before)
            has_changed = incident is not self._examined[incident_id]
            after = self._planner.decide(incident, context) if had_news or has_changed else before
            due_at = next_review_at(incident, after, context)
            if due_at != incident.due_at:
                self._incidents.put(msgspec.structs.replace(incident, due_at=due_at))
        if not self._incidents.save(self._is_over):
            return False
        self._outbox.finish()
        self._review.save()
        return True

    # --- parts of the steps

    def _has_more(self) -> bool:
        """Return whether more can be done at once: due incidents or a review that were cut off, a digest that was
        halved, changed incidents about a destination or the monitor."""
        retries = self._outbox.has_failed(self._clock.now())
        return self._has_more_due or self._review.is_unfinished or retries or self._correlator.has_touched

    def _is_over(self) -> bool:
        self._renew_lease()
        return self._clock.now() >= self._until

    def _round_context(self) -> RoundContext:
        now = self._clock.now()
        self._incidents.load([READABILITY])
        held = self._outbox.held(now)
        return RoundContext(
            now=now,
            steering=self._steering,
            paused=self._backoff.paused(now),
            held=held,
            earlier=first_waiting(self._examined.values(), held),
            mass_failure=frozenset(mass_failure_shards(self._incidents.latest(READABILITY))),
            dead=self._backoff.dead(now),
            known_since=self._known_since,
            complete=self._complete,
        )

    def _mark(self, now: datetime) -> str:
        """Return what a review of all incidents is done for; a changed mark starts a new one."""
        mass_failure = sorted(mass_failure_shards(self._incidents.latest(READABILITY)))
        dead = sorted(self._backoff.dead(now))
        return f"{self._rules.fingerprint(self._steering)} {mass_failure} {dead} {self._review.period(now)}"

    def _settle(self, incident: Incident) -> Incident:
        """End the flapping of an incident that has been steady for long enough."""
        settled = end_flapping(incident, self._clock.now(), self._rules.policy.flapping)
        if settled is not incident:
            self._incidents.put(settled)
        return settled

    def _summarize(self, *, more: bool) -> NotifyResult:
        now = self._clock.now()
        sent = [attempt for attempt in self._attempts if attempt.error is None]
        failing = self._outbox.failing()
        since = min((queued.failing_since for queued in failing if queued.failing_since), default=now)
        counts = self._incidents.counts
        return NotifyResult(
            worked=True,
            folded=self._correlator.folded,
            opened=counts.opened,
            resolved=counts.resolved,
            open=self._review.count_open(counts.opened - counts.resolved),
            sent=len(sent),
            failed=len(self._attempts) - len(sent),
            pending=len(failing),
            oldest_undelivered=now - since,
            lag=self._outbox.lag,
            attempts=tuple(self._attempts),
            more=more,
            unheard=self._unheard,
        )
