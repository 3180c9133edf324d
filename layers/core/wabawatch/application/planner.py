"""Decide what to send to each destination about each incident, and when to look at the incident again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol

import msgspec

from wabawatch.application.ports import DocumentStore, IncidentStore
from wabawatch.domain.decision import Decision, decide
from wabawatch.domain.health import TargetInfo, rank
from wabawatch.domain.incident import DESTINATION, Incident, Key, NotificationState
from wabawatch.domain.notification import QueuedNotification
from wabawatch.domain.routing import OperatorActions, Rules
from wabawatch.domain.sharding import parse_shard_entity_id, shard_of
from wabawatch.domain.silence import IncidentFacts

REMOVED_FOR: Final = timedelta(days=7)
"""How long a destination may be missing from the configuration and then continue where it was."""
_QUEUED: Final = timedelta(hours=1)
"""After which a resolved incident is looked at, though its notification is in the queue."""
_DESTINATIONS: Final = "destinations"
_REVIEW: Final = "review"
_REVIEW_EVERY: Final = timedelta(minutes=10)
"""How often all incidents are looked at, due or not: `due_at` lies far ahead after the clock was set back."""
_REVIEW_PAGE: Final = 2000


class PlannerStore(IncidentStore, DocumentStore, Protocol):
    """What planning reads and writes."""


class Planned(msgspec.Struct, frozen=True):
    """A decision about one incident and one destination, with what it was based on."""

    incident: Incident
    destination: str
    notified: NotificationState
    decision: Decision
    severity: str
    acknowledged_by: str = ""
    queued: QueuedNotification | None = None
    """The notification about it that is not delivered yet; for `explain`."""


class RoundContext(msgspec.Struct, frozen=True):
    """What is the same for every incident of a round."""

    now: datetime
    steering: OperatorActions = OperatorActions()
    paused: Mapping[str, datetime] = {}
    """Until when destinations that are down get nothing."""
    held: Mapping[tuple[str, str], datetime] = {}
    """Until when the failed notification about (incident id, destination) waits for its next attempt."""
    earlier: Mapping[tuple[Key, str], tuple[int, datetime]] = {}
    """For each (key, destination): the generation of the first incident that waits so, and until when. Later incidents
    of the key wait with it."""
    mass_failure: frozenset[tuple[int, int]] = frozenset()
    """The shards (shard, of) most of which could not be read."""
    dead: frozenset[str] = frozenset()
    """The destinations that accept nothing."""
    known_since: Mapping[str, datetime] = {}
    """When each destination was first configured."""
    complete: bool = False
    """A pass over the whole fleet has just ended: waiting for related changes is unnecessary."""


class Planner:
    """Apply the rules to every destination."""

    def __init__(
        self, store: IncidentStore, rules: Rules, destinations: Iterable[str], fleet: Mapping[str, TargetInfo]
    ) -> None:
        self._store = store
        self._rules = rules
        self._destinations = tuple(destinations)
        self._fleet = fleet

    def decide(self, incident: Incident, context: RoundContext) -> list[Planned]:
        """Make one decision for each destination; change nothing."""
        looks = self._rules.needs_targets(context.steering.silences)
        targets = tuple(affected_targets(self._store, incident)) if looks else ()
        facts = self._rules.build_facts(incident, targets, self._fleet)
        facts = msgspec.structs.replace(facts, dead=context.dead)
        return [self._decide_for(destination, incident, facts, context) for destination in self._destinations]

    def _decide_for(self, destination: str, incident: Incident, facts: IncidentFacts, context: RoundContext) -> Planned:
        notified = incident.notification_log.get(destination, NotificationState())
        case = self._rules.case(
            incident,
            destination,
            notified,
            context.steering,
            context.now,
            facts=facts,
            mass_failure=_is_hidden(incident, context.mass_failure),
            complete=context.complete or incident.entity_type == DESTINATION,
            paused_until=context.paused.get(destination),
            retry_at=_held_until(incident, destination, context),
            known_since=context.known_since.get(destination),
        )
        decision = decide(incident, notified, case.situation, self._rules.policy)
        return Planned(
            incident=incident,
            destination=destination,
            notified=notified,
            decision=decision,
            severity=case.severity,
            acknowledged_by=case.acknowledged_by,
        )


def _held_until(incident: Incident, destination: str, context: RoundContext) -> datetime | None:
    """Return until when a queued notification delays it: its own, or that of an earlier incident with the same
    key, whose recovery is sent first."""
    own = context.held.get((incident.id, destination))
    generation, until = context.earlier.get((incident.key, destination), (incident.generation, None))
    return own or (until if generation < incident.generation else None)


def _is_hidden(incident: Incident, mass_failure: frozenset[tuple[int, int]]) -> bool:
    """Return whether the incident is about a target of a shard with a mass failure."""
    return any(shard_of(incident.entity_id, of) == shard for shard, of in mass_failure)


def next_review_at(incident: Incident, decided: Sequence[Planned], context: RoundContext) -> datetime | None:
    """Return when an incident must be looked at again, None for never.

    Queued notifications come back by themselves. But a notify that lost its lease may have removed one: the review of
    all incidents notices that for incidents that are not done. A resolved incident therefore stays due, an hour ahead,
    which is not written again with each attempt."""
    times = [
        context.now if planned.decision.kind is not None else planned.decision.due_at
        for planned in decided
        if (incident.id, planned.destination) not in context.held
    ]
    if not incident.is_open and len(times) < len(decided):
        is_kept = incident.due_at is not None and context.now < incident.due_at <= context.now + _QUEUED
        times.append(incident.due_at if is_kept else context.now + _QUEUED)
    times.append(_retain_until(incident, {planned.destination for planned in decided}, context.now))
    return min((at for at in times if at is not None), default=None)


def first_waiting(
    incidents: Iterable[Incident], held: Mapping[tuple[str, str], datetime]
) -> dict[tuple[Key, str], tuple[int, datetime]]:
    """Return for each (key, destination) the generation of the first incident with a waiting notification, and until
    when it waits."""
    keys = {incident.id: (incident.key, incident.generation) for incident in incidents}
    found: dict[tuple[Key, str], tuple[int, datetime]] = {}
    for (incident_id, destination), until in held.items():
        if incident_id in keys:
            key, generation = keys[incident_id]
            place = (key, destination)
            found[place] = min(found.get(place, (generation, until)), (generation, until))
    return found


def mass_failure_shards(readability: Incident | None) -> list[tuple[int, int]]:
    """Return the shards (shard, of) most of which could not be read."""
    if readability is None or not readability.is_open:
        return []
    affected = (name for name, member in readability.named.items() if member.is_affected)
    return [division for name in affected if (division := parse_shard_entity_id(name)) is not None]


def _retain_until(incident: Incident, configured: Collection[str], now: datetime) -> datetime | None:
    """Return until when a resolved incident is kept for a destination that was notified of it and is no longer
    configured. Configurations are rolled back: then that destination must still get the recovery."""
    if incident.resolved_at is None or now >= (until := incident.resolved_at + REMOVED_FOR):
        return None
    removed = (notified.status for name, notified in incident.notification_log.items() if name not in configured)
    return until if any(status is not None and rank(status) > 0 for status in removed) else None


class _ReviewProgress(msgspec.Struct, frozen=True):
    """`mark` identifies what the review was begun for, `after` is the id of the last incident of the last page (None:
    finished), `counted` how many open incidents were seen so far, `open` how many there are."""

    mark: str = ""
    after: str | None = None
    counted: int = 0
    open: int = 0


class Review:
    """Page through all incidents that are not done: when the rules, the operators' actions or the shards that can't be
    read have changed, and every ten minutes. Progress is stored, so that a round that runs out of time loses
    nothing."""

    def __init__(self, store: PlannerStore) -> None:
        self._store = store
        self._saved = self._now = _ReviewProgress()
        self._has_counted = False

    def load(self) -> None:
        body = self._store.document(_REVIEW)
        self._saved = self._now = msgspec.json.decode(body, type=_ReviewProgress) if body else _ReviewProgress()

    @staticmethod
    def period(now: datetime) -> int:
        """Return a number that changes when the next review is due."""
        return int(now.timestamp() // _REVIEW_EVERY.total_seconds())

    @property
    def is_unfinished(self) -> bool:
        return self._now.after is not None

    def next_page(self, mark: str) -> list[Incident]:
        """Return the next incidents to look at; none where the review for this mark is finished."""
        if mark != self._now.mark:
            self._now = _ReviewProgress(mark, "", 0, self._now.open)
        if self._now.after is None:
            return []
        page = self._store.open_incidents(self._now.after, _REVIEW_PAGE)
        counted = self._now.counted + sum(incident.is_open for incident in page)
        if len(page) < _REVIEW_PAGE:
            self._now = _ReviewProgress(mark, None, counted, counted)
            self._has_counted = True
        else:
            self._now = _ReviewProgress(mark, page[-1].id, counted, self._now.open)
        return page

    def count_open(self, change: int) -> int:
        """Return how many incidents are open: counted by the last review, and changed since by what rounds did."""
        if not self._has_counted:
            self._now = msgspec.structs.replace(self._now, open=max(0, self._now.open + change))
            self.save()
        return self._now.open

    def save(self) -> None:
        """Store the progress; to be called once the decisions about its pages are saved."""
        if self._now != self._saved:
            self._store.save_document(_REVIEW, msgspec.json.encode(self._now))
            self._saved = self._now


def affected_targets(store: IncidentStore, incident: Incident) -> Iterator[str]:
    """Yield the targets that an open incident affects, or that a resolved one affected; none for an incident about the
    monitor. Reads the member rows of a large incident."""
    if incident.about_monitor:
        return
    members = store.members(incident.id) if incident.has_member_rows else iter(incident.named.items())
    for target, member in members:
        if member.is_affected or not incident.is_open:
            yield target


def some_affected_targets(store: IncidentStore, incident: Incident, limit: int) -> tuple[str, ...]:
    """Return up to `limit` affected targets, without reading member rows where the incident itself names enough."""
    if incident.about_monitor:
        return ()
    named = [target for target, member in incident.named.items() if member.is_affected or not incident.is_open]
    total = incident.affected if incident.is_open else incident.total_affected
    if len(named) >= min(limit, total):
        return tuple(named[:limit])
    return tuple(islice(affected_targets(store, incident), limit))


def known_destinations(store: DocumentStore) -> dict[str, datetime]:
    """Return when each destination was first configured, as far as that is known."""
    body = store.document(_DESTINATIONS)
    return msgspec.json.decode(body, type=dict[str, datetime]) if body else {}


def remember_destinations(store: DocumentStore, destinations: Iterable[str], now: datetime) -> dict[str, datetime]:
    """Return since when the destinations configured now are known, and store that when one was added or removed.

    An added destination is not notified of what was over before. An instant in the future was stored before the clock
    was set back, and becomes now."""
    known = known_destinations(store)
    configured = {name: min(known.get(name, now), now) for name in destinations}
    if configured != known:
        store.save_document(_DESTINATIONS, msgspec.json.encode(configured))
    return configured
