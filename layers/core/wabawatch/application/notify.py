"""notify: correlate, decide, deliver, record, schedule the next review. The only writer of incidents.

Everything it does can be done again: a change is folded exactly once, what was folded is due until it has been looked
at, and a notification is stored before it is sent and removed once it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.correlate import Correlator, delivery_to, messages_to, subscribers_of, trouble_of
from wabawatch.application.delivery import Attempt
from wabawatch.application.dispatch import ABSENCE, Dispatch
from wabawatch.application.known_destinations import known_destinations, remember_destinations
from wabawatch.application.lease import Lease
from wabawatch.application.planner import Planned, Planner, RoundContext
from wabawatch.application.ports import Clock, Notifier, Store, Topic
from wabawatch.application.review import Review
from wabawatch.application.subscriptions import SubscriptionCheck, Topics
from wabawatch.application.unit_of_work import IncidentUnitOfWork
from wabawatch.domain.correlation import end_flapping
from wabawatch.domain.health import READABLE, Reason, rank
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.domain.incident import MONITOR, Incident, Key
from wabawatch.domain.routing import OperatorActions, Rules
from wabawatch.domain.sharding import parse_shard_entity_id
from wabawatch.messages.notification import RenderContext

LEASE: Final = "notify"
READABILITY: Final = Key(MONITOR, "readability", READABLE)
_STORAGE: Final = trouble_of("storage")
_ALARMS: Final = trouble_of("alarms")

_FOLDING_SLICE: Final = timedelta(seconds=15)
"""After which people are told of what is folded so far, and the rest is folded afterwards."""
_LONGEST_ROUND: Final = timedelta(minutes=2)
"""Where the caller gives no deadline."""
_DUE_AT_ONCE: Final = 2000
_SET_ASIDE_FOR: Final = timedelta(days=1)
"""How long a row that was set aside is an open incident."""
_QUEUED: Final = timedelta(hours=1)
"""After which an incident that is over is looked at, though what is to be said of it is in the queue."""


class NotifyResult(msgspec.Struct, frozen=True):
    """What one round did. `worked` is False where another notify held the lease. `pending` counts the notifications
    that failed and are still to be delivered, `oldest_undelivered` is how long the first of them has been failing;
    `lag` is the longest time from a change to its delivery in this round; `pulse` is the heartbeat that was sent.
    `more` tells that the time was over before all was done. `unread_for` is how long the whole fleet has not been read,
    None where the caller does not say; `unheard` counts the topics that nobody has subscribed to."""

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
    pulse: HeartbeatPing | None = None
    more: bool = False
    unread_for: timedelta | None = None
    unheard: int = 0


class Notify:
    """Rounds of notify, one at a time whoever else is at it."""

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        rules: Rules,
        audience: RenderContext,
        *,
        alarm_topics: Sequence[Topic] = (),
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock
        self._rules = rules
        self._audience = audience
        self._alarm_topics = alarm_topics

    def run(
        self,
        owner: str,
        *,
        troubles: Mapping[str, Reason | None] | None = None,
        complete: bool = False,
        until: datetime | None = None,
    ) -> NotifyResult:
        """Do one round, unless somebody else is at it.

        `troubles` says what the caller knows of the monitor (`configuration`: a reason; None: all is well).
        `complete` tells that a pass over the whole fleet has just ended, so that waiting for related changes is
        needless. Raises StoreError where another notify took over meanwhile: what was sent and not recorded is sent
        again, with the same notification id."""
        lease = Lease(self._store, self._clock, LEASE, owner)
        if not lease.take():
            return NotifyResult(worked=False)
        try:
            until = until or self._clock.now() + _LONGEST_ROUND
            context = self._context(lease.keep)
            return Round(context, complete=complete, until=until).run(troubles or {})
        finally:
            lease.release()

    def consider(self, incident: Incident) -> list[Planned]:
        """Return what each destination should hear of an incident now, and why; change nothing."""
        return Round(self._context(), complete=False, until=self._clock.now()).consider(incident)

    def _context(self, renew_lease: Callable[[], None] = lambda: None) -> Context:
        return Context(
            self._store, self._notifiers, self._clock, self._rules, self._audience, self._alarm_topics, renew_lease
        )


class Context(msgspec.Struct, frozen=True):
    """What a round works with. `renew_lease` is called now and then; it raises where the round must stop."""

    store: Store
    notifiers: Mapping[str, Notifier]
    clock: Clock
    rules: Rules
    audience: RenderContext
    alarm_topics: Sequence[Topic] = ()
    renew_lease: Callable[[], None] = lambda: None


class Round:
    """One round. Used once."""

    def __init__(self, context: Context, *, complete: bool, until: datetime) -> None:
        self._store = context.store
        self._notifiers = context.notifiers
        self._clock = context.clock
        self._rules = context.rules
        self._renew_lease = context.renew_lease
        self._complete = complete
        self._until = until
        self._incidents = IncidentUnitOfWork(self._store)
        policy = self._rules.policy
        self._correlator = Correlator(self._store, self._incidents, self._clock, policy)
        self._steering = OperatorActions(tuple(self._store.silences()), self._store.acknowledgements())
        self._backoff = Backoff(self._store, policy.retry, self._notifiers)
        self._planner = Planner(self._store, self._rules, self._notifiers, context.audience.fleet)
        self._dispatch = Dispatch(
            self._store,
            self._notifiers,
            self._clock,
            policy,
            context.audience,
            self._incidents,
            self._backoff,
            self._renew_lease,
        )
        self._known_since = known_destinations(self._store)
        self._review = Review(self._store)
        self._subscriptions = SubscriptionCheck(self._store, _topics(context), self._clock)
        self._unheard = 0
        self._looked_at: dict[str, Incident] = {}
        self._has_more_due = False
        self._attempts: list[Attempt] = []

    def run(self, troubles: Mapping[str, Reason | None]) -> NotifyResult:
        """Work in slices until nothing is left or the time is over: people are told of what is known so far, and the
        rest is done afterwards."""
        self._dispatch.load()
        self._dispatch.drop_removed()
        self._incidents.load([READABILITY, _STORAGE, *(trouble_of(name) for name in troubles)])
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

    def consider(self, incident: Incident) -> list[Planned]:
        """Return the decisions about one incident; change nothing."""
        self._dispatch.load()
        decided = self._planner.decide(incident, self._outlook())
        return [
            msgspec.structs.replace(planned, queued=self._dispatch.find(incident.id, planned.destination))
            for planned in decided
        ]

    # --- the five steps

    def _correlate(self) -> bool:
        """Fold what was committed into incidents; whether there is more of it."""
        slice_ends = min(self._until, self._clock.now() + _FOLDING_SLICE)
        more = self._correlator.fold_pending(lambda: self._clock.now() >= slice_ends)
        self._correlator.report(_STORAGE, self._storage_trouble())
        self._renew_lease()
        return more

    def _decide(self) -> list[Planned]:
        """Decide what each destination is to be sent about each incident that is to be looked at now: what was just
        changed, what is due, what failed and is tried again, and a page of the review of all."""
        now = self._clock.now()
        self._incidents.load([READABILITY])
        due = self._incidents.take(self._store.due_incidents(now, _DUE_AT_ONCE))
        self._has_more_due = len(due) == _DUE_AT_ONCE
        failed = self._dispatch.take_failed(now)
        reviewed = self._incidents.take(self._review.next_page(self._mark(now)))
        self._correlator.close_removed(self._notifiers, reviewed)
        looked_at = [*due, *failed, *reviewed, *self._correlator.take_touched()]
        looked_at += self._incidents.take_unfinished_before(looked_at)  # the end of one is told before the next begins
        self._looked_at = {one.id: self._settle(self._incidents.current(one)) for one in looked_at}
        outlook = self._outlook()
        return [decision for one in self._looked_at.values() for decision in self._planner.decide(one, outlook)]

    def _deliver(self, decided: Sequence[Planned]) -> None:
        """Store what is to be said, and send it."""
        self._attempts += self._dispatch.deliver(self._dispatch.compose(decided), self._until)

    def _record(self) -> None:
        """Record what was sent, and report destinations that take nothing, or refuse a message."""
        self._dispatch.record()
        now = self._clock.now()
        for name in self._dispatch.take_attempted():
            trouble = self._backoff.trouble(name, now)
            reason = Reason(description="undeliverable", detail=trouble) if trouble else None
            self._correlator.report(delivery_to(name), reason)
            self._correlator.report(messages_to(name), self._dispatch.refused(name))

    def _schedule(self, decided: Sequence[Planned]) -> bool:
        """Write down when each incident must be looked at again; False where the time was over before that. What was to
        be said, or was recorded as said, is decided anew: it was sent, or it waits."""
        outlook = self._outlook()
        decisions: dict[str, list[Planned]] = {incident_id: [] for incident_id in self._looked_at}
        for planned in decided:
            decisions[planned.incident.id].append(planned)
        for incident_id, before in decisions.items():
            incident = self._incidents.current(self._looked_at[incident_id])
            had_news = any(planned.decision.kind is not None for planned in before)
            has_changed = incident is not self._looked_at[incident_id]
            after = self._planner.decide(incident, outlook) if had_news or has_changed else before
            due_at = _next_review(incident, after, outlook)
            if due_at != incident.due_at:
                self._incidents.put(msgspec.structs.replace(incident, due_at=due_at))
        if not self._incidents.save(self._is_over):
            return False
        self._dispatch.finish()
        self._review.save()
        return True

    # --- what the steps are made of

    def _has_more(self) -> bool:
        """Whether something can be done at once: due incidents or a review that were cut off, a digest that was halved,
        news about a destination or the monitor."""
        retries = self._dispatch.has_failed(self._clock.now())
        return self._has_more_due or self._review.is_unfinished or retries or self._correlator.has_touched

    def _is_over(self) -> bool:
        self._renew_lease()
        return self._clock.now() >= self._until

    def _outlook(self) -> RoundContext:
        now = self._clock.now()
        self._incidents.load([READABILITY])
        readability = self._incidents.latest(READABILITY)
        mass_failure = (
            frozenset(_mass_failure_shards(readability))
            if readability is not None and readability.is_open
            else frozenset[tuple[int, int]]()
        )
        held = self._dispatch.held(now)
        return RoundContext(
            now,
            self._steering,
            self._backoff.paused(now),
            held,
            self._earlier(held),
            mass_failure,
            self._backoff.dead(now),
            self._known_since,
            complete=self._complete,
        )

    def _earlier(self, held: Mapping[tuple[str, str], datetime]) -> dict[tuple[Key, str], tuple[int, datetime]]:
        """Return the first incident of each cause about which a notification waits, for each destination."""
        found: dict[tuple[Key, str], tuple[int, datetime]] = {}
        for incident in self._looked_at.values():
            for name in self._notifiers:
                until = held.get((incident.id, name))
                if until is not None:
                    place = (incident.key, name)
                    found[place] = min(found.get(place, (incident.generation, until)), (incident.generation, until))
        return found

    def _mark(self, now: datetime) -> str:
        readability = self._incidents.latest(READABILITY)
        mass_failure = (
            sorted(_mass_failure_shards(readability)) if readability is not None and readability.is_open else []
        )
        dead = sorted(self._backoff.dead(now))
        return f"{self._rules.fingerprint(self._steering)} {mass_failure} {dead} {self._review.period(now)}"

    def _settle(self, incident: Incident) -> Incident:
        settled = end_flapping(incident, self._clock.now(), self._rules.policy.flapping)
        if settled is not incident:
            self._incidents.put(settled)
        return settled

    def _storage_trouble(self) -> Reason | None:
        set_aside = self._store.set_aside(self._clock.now() - _SET_ASIDE_FOR)
        names = [f"{row.kind} {row.name}" for row in set_aside] + [f"incident {one}" for one in self._incidents.refused]
        if not names:
            return None
        some = ", ".join(sorted(set(names))[:5])
        return Reason(
            description="set_aside", detail=f"{len(names)} rows could not be used, and were set aside: {some}"
        )

    def _summarize(self, *, more: bool) -> NotifyResult:
        now = self._clock.now()
        sent = [attempt for attempt in self._attempts if attempt.error is None]
        failing = self._dispatch.failing()
        since = min((one.failing_since for one in failing if one.failing_since), default=now)
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
            lag=self._dispatch.lag,
            attempts=tuple(self._attempts),
            more=more,
            unheard=self._unheard,
        )


def _topics(context: Context) -> Topics:
    destinations = {
        subscribers_of(name): (one,) if isinstance(one, Topic) else () for name, one in context.notifiers.items()
    }
    return {**destinations, _ALARMS: context.alarm_topics}


def _next_review(incident: Incident, decided: Sequence[Planned], outlook: RoundContext) -> datetime | None:
    """When an incident must be looked at again. What is in the queue comes back by itself when its time has come.

    A notify that was too slow may have taken it out of there. The review of all incidents finds that, unless nothing is
    left to do for the incident: so one that is over stays due, and is not written anew with each attempt."""
    times = [
        outlook.now if planned.decision.kind is not None else planned.decision.due_at
        for planned in decided
        if (incident.id, planned.destination) not in outlook.held
    ]
    if not incident.is_open and len(times) < len(decided):
        is_kept = incident.due_at is not None and outlook.now < incident.due_at <= outlook.now + _QUEUED
        times.append(incident.due_at if is_kept else outlook.now + _QUEUED)
    times.append(_kept_for_the_absent(incident, {planned.destination for planned in decided}, outlook.now))
    return min((at for at in times if at is not None), default=None)


def _kept_for_the_absent(incident: Incident, configured: Collection[str], now: datetime) -> datetime | None:
    """Until when a resolved incident is kept at hand for a destination that was notified of it and is not configured
    any more: configurations are rolled back, and then its last word would never be corrected."""
    if incident.resolved_at is None or now >= (until := incident.resolved_at + ABSENCE):
        return None
    absent = (notified.status for name, notified in incident.notification_log.items() if name not in configured)
    return until if any(status is not None and rank(status) > 0 for status in absent) else None


def _mass_failure_shards(readability: Incident) -> list[tuple[int, int]]:
    """The shards (shard, of) most of which could not be read."""
    affected = (name for name, member in readability.named.items() if member.is_affected)
    return [division for name in affected if (division := parse_shard_entity_id(name)) is not None]
