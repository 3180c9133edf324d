"""Decide what each destination should hear of each incident now, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from wabawatch.application.membership import affected_targets
from wabawatch.application.ports import Store
from wabawatch.domain.decision import Decision, decide
from wabawatch.domain.incident import DESTINATION, Incident, Key, NotificationState
from wabawatch.domain.matching import IncidentFacts
from wabawatch.domain.notification import TargetInfo
from wabawatch.domain.notification_log import QueuedNotification
from wabawatch.domain.routing import OperatorActions, Rules
from wabawatch.domain.sharding import shard_of


class Planned(msgspec.Struct, frozen=True):
    """A decision about one incident and one destination, with what it was made from."""

    incident: Incident
    destination: str
    notified: NotificationState
    decision: Decision
    severity: str
    acknowledged_by: str = ""
    queued: QueuedNotification | None = None
    """The notification about it that is not delivered yet; for people who ask."""


class RoundContext(msgspec.Struct, frozen=True):
    """What is the same for every incident of a round.

    `paused` says until when destinations that are down are left alone; `held` until when a failed notification
    about an incident (incident id, destination) waits for its next attempt; `earlier` holds the first incident of a
    cause (key, destination) that waits so, by its generation, and until when: later ones wait with it; `mass_failure`
    holds the shards (shard, of) most of which could not be read; `dead` the destinations that take nothing;
    `known_since` says when each destination was first configured; `complete` tells that a pass over the whole fleet
    has just ended, so that waiting for related changes is needless."""

    now: datetime
    steering: OperatorActions = OperatorActions()
    paused: Mapping[str, datetime] = {}
    held: Mapping[tuple[str, str], datetime] = {}
    earlier: Mapping[tuple[Key, str], tuple[int, datetime]] = {}
    mass_failure: frozenset[tuple[int, int]] = frozenset()
    dead: frozenset[str] = frozenset()
    known_since: Mapping[str, datetime] = {}
    complete: bool = False


class Planner:
    """The rules, applied to every destination."""

    def __init__(
        self, store: Store, rules: Rules, destinations: Iterable[str], fleet: Mapping[str, TargetInfo]
    ) -> None:
        self._store = store
        self._rules = rules
        self._destinations = tuple(destinations)
        self._fleet = fleet

    def decide(self, incident: Incident, outlook: RoundContext) -> list[Planned]:
        """Make one decision for each destination; change nothing."""
        looks = self._rules.needs_targets(outlook.steering.silences)
        targets = tuple(affected_targets(self._store, incident)) if looks else ()
        facts = self._rules.build_facts(incident, targets, self._fleet)
        facts = msgspec.structs.replace(facts, dead=outlook.dead)
        return [self._decide_for(destination, incident, facts, outlook) for destination in self._destinations]

    def _decide_for(self, destination: str, incident: Incident, facts: IncidentFacts, outlook: RoundContext) -> Planned:
        notified = incident.notification_log.get(destination, NotificationState())
        case = self._rules.case(
            incident,
            destination,
            notified,
            outlook.steering,
            outlook.now,
            facts=facts,
            mass_failure=_is_hidden(incident, outlook.mass_failure),
            complete=outlook.complete or incident.entity_type == DESTINATION,
            paused_until=outlook.paused.get(destination),
            retry_at=_held_until(incident, destination, outlook),
            known_since=outlook.known_since.get(destination),
        )
        decision = decide(incident, notified, case.situation, self._rules.policy)
        return Planned(incident, destination, notified, decision, case.severity, case.acknowledged_by)


def _held_until(incident: Incident, destination: str, outlook: RoundContext) -> datetime | None:
    """Until when its own notification waits, or one about an earlier incident of its cause: the end of that one is told
    before."""
    own = outlook.held.get((incident.id, destination))
    generation, until = outlook.earlier.get((incident.key, destination), (incident.generation, None))
    return own or (until if generation < incident.generation else None)


def _is_hidden(incident: Incident, mass_failure: frozenset[tuple[int, int]]) -> bool:
    """Whether the incident is about a target of a shard most of which could not be read."""
    return any(shard_of(incident.entity_id, of) == shard for shard, of in mass_failure)
