"""What `explain` tells, gathered as documents: it prints them, or lays them out for a person."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from wabawatch.application.planner import Planned
from wabawatch.application.ports import Target
from wabawatch.bootstrap import Monitor
from wabawatch.cli.documents import (
    ChangeDocument,
    IncidentDocument,
    LoggedDocument,
    TargetDocument,
    ToldDocument,
    logged_document,
    target_document,
)
from wabawatch.cli.finding import facts, steering
from wabawatch.cli.incidents import incident_document
from wabawatch.cli.picture import pictures
from wabawatch.domain.health import Failure, Observation, status_of
from wabawatch.domain.incident import Incident, Key
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import CapabilityState, Snapshot, Transition

_TARGETS = 20
_LOGGED = 200
_SHOWN = 20


class ObservationDocument(msgspec.Struct, frozen=True):
    """One reading that counted. `cause` is null for one that could be read."""

    observed_at: datetime
    status: str
    cause: str | None


class SeenDocument(msgspec.Struct, frozen=True):
    """A transition with the observations that confirmed it, and how many were needed."""

    transition: LoggedDocument
    needed: int
    evidence: list[ObservationDocument]


class RouteDocument(msgspec.Struct, frozen=True):
    """A route that matches; `number` counts from 1 in the configuration."""

    number: int
    to: list[str]
    stop: bool


class IncidentExplained(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`explain INCIDENT --json`. `routes` null: none is configured, so that everything goes everywhere; empty: none
    matches, and only what the monitor says of itself goes everywhere. Of an incident about a destination, routes that
    lead only there are left out."""

    at: datetime
    incident: IncidentDocument
    seen: list[SeenDocument]
    changes: list[ChangeDocument]
    routes: list[RouteDocument] | None
    destinations: list[ToldDocument]


class TrackDocument(msgspec.Struct, frozen=True):
    """One state machine of a target. `towards` is the status that `count` of `needed` observations speak for."""

    entity_type: str
    entity_id: str
    capability: str
    status: str | None
    since: datetime | None
    caused_by: str | None
    codes: list[int]
    towards: str | None
    count: int
    needed: int


class TargetExplained(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`explain TARGET --json`: the readings that changed something, the latest first, and what it is part of."""

    at: datetime
    target: TargetDocument
    states: list[TrackDocument]
    observations: list[ObservationDocument]
    transitions: list[LoggedDocument]
    incidents: list[IncidentExplained]


def explain_incident(app: Monitor, incident: Incident) -> IncidentExplained:
    """The whole chain: what was seen, what became of it, and what each destination knows of that."""
    said = steering(app)
    plans = app.notify.consider(incident)
    return IncidentExplained(
        app.clock.now(),
        incident_document(app, incident, said),
        [_seen(one, app.rules.policy.thresholds) for one in _transitions(app, incident)],
        [ChangeDocument(one.at, one.status, one.affected, list(one.codes)) for one in incident.changes],
        _routes(app, incident),
        [_told(one) for one in plans],
    )


def _transitions(app: Monitor, incident: Incident) -> list[Transition]:
    """The log's lines that were folded into the incident, the earliest first; of a large one, some targets' only."""
    end = incident.resolved_at + timedelta(microseconds=1) if incident.resolved_at else None
    found = [
        one
        for target in list(incident.named)[:_TARGETS]
        for one in app.store.history(target, incident.opened_at, end, _LOGGED)
        if one.key == incident.key
    ]
    return sorted(found, key=lambda one: (one.at, one.target, one.seq))


def _seen(one: Transition, thresholds: Thresholds) -> SeenDocument:
    cause = one.reasons[0].description if one.reasons else ""
    needed = thresholds.of_failure(cause) if one.new == "UNKNOWN" else thresholds.of(one.new)
    evidence = [ObservationDocument(each.observed_at, each.status, None) for each in one.evidence[-needed:]]
    return SeenDocument(logged_document(one), needed, evidence)


def _routes(app: Monitor, incident: Incident) -> list[RouteDocument] | None:
    rules = app.rules
    if not rules.routes:
        return None
    taken = rules.matching_routes(facts(app, incident))
    return [
        RouteDocument(number, list(route.to), route.stop)
        for number, route in enumerate(rules.routes, 1)
        if any(route is one for one in taken)
    ]


def _told(planned: Planned) -> ToldDocument:
    notified, decision, queued = planned.notified, planned.decision, planned.queued
    return ToldDocument(
        planned.destination,
        notified.status,
        notified.at,
        notified.count,
        decision.kind,
        decision.why,
        decision.due_at,
        queued.attempts if queued else 0,
        queued.failing_since if queued else None,
        queued.retry_at if queued else None,
        (queued.error if queued else "") or None,
    )


def explain_target(app: Monitor, target: Target) -> TargetExplained:
    """How a target stands, what speaks for a change, and the open incidents that it is part of."""
    snapshot = app.store.snapshots([target.id]).get(target.id) or Snapshot(target.id)
    keys = [Key(*state.key) for state in snapshot.states]
    mine = [one for one in app.store.latest_incidents(keys).values() if _affects(app, one, target.id)]
    return TargetExplained(
        app.clock.now(),
        target_document(pictures([target], {target.id: snapshot}, {}, app.store.coverages(), app.clock.now())[0]),
        [_track(one, app.rules.policy.thresholds) for one in snapshot.states],
        [_observation(one) for one in app.store.observations(target.id, limit=_SHOWN)],
        [logged_document(one) for one in app.store.history(target.id, limit=_SHOWN)],
        [explain_incident(app, one) for one in mine],
    )


def _affects(app: Monitor, incident: Incident, target: str) -> bool:
    if not incident.is_open:
        return False
    if not incident.has_member_rows:
        return target in incident.named and incident.named[target].is_affected
    row = app.store.members_of([(incident.id, target)]).get((incident.id, target))
    return row is not None and row.is_affected


def _track(one: CapabilityState, thresholds: Thresholds) -> TrackDocument:
    towards = one.streak[-1].status if one.streak else None
    return TrackDocument(
        *one.key,
        one.status,
        one.since,
        one.caused_by,
        [reason.code for reason in one.reasons if reason.code is not None],
        towards,
        len(one.streak),
        thresholds.of(towards) if towards else 0,
    )


def _observation(one: Observation) -> ObservationDocument:
    if isinstance(one.outcome, Failure):
        return ObservationDocument(one.observed_at, "UNKNOWN", one.outcome.cause)
    return ObservationDocument(one.observed_at, status_of(one.outcome), None)
