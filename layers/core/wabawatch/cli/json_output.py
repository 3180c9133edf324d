"""The JSON documents that commands print: versioned public interface. Every field is always there; instants are RFC
3339 in UTC, durations seconds. Within a version fields are added, never removed or given another meaning."""

from __future__ import annotations

from datetime import datetime

import msgspec

from wabawatch.application.membership import affected_targets
from wabawatch.bootstrap import Application
from wabawatch.cli.lookups import severity, title_of
from wabawatch.cli.target_view import Picture
from wabawatch.domain.health import Reason
from wabawatch.domain.incident import Incident
from wabawatch.domain.rules import OperatorActions
from wabawatch.domain.snapshot import Transition


class ReasonDocument(msgspec.Struct, frozen=True):
    """Why; an additional info has a null code."""

    code: int | None
    description: str
    possible_solution: str
    capability: str


class EntityDocument(msgspec.Struct, frozen=True):
    entity_type: str
    id: str
    capabilities: dict[str, str]
    reasons: list[ReasonDocument]


class ProbeDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`probe --json`. `cause` and `detail` are null unless the target could not be read."""

    target: str
    observed_at: datetime
    status: str
    cause: str | None
    detail: str | None
    capabilities: dict[str, str]
    entities: list[EntityDocument]
    contradictions: list[str]


class TransitionDocument(msgspec.Struct, frozen=True):
    """One line of the transition log."""

    target: str
    entity_type: str
    entity_id: str
    capability: str
    old: str | None
    new: str
    seq: int
    at: datetime


class LoggedDocument(TransitionDocument, frozen=True, kw_only=True):
    """A transition with everything that the log holds of it. `caused_by` names the entity that explains it."""

    since: datetime
    reasons: list[ReasonDocument]
    caused_by: str | None
    run_id: str


class TargetDocument(msgspec.Struct, frozen=True):
    """One target in `status --json`. `entity` is the one at fault; `last_known` is the status before it was UNKNOWN,
    because it could not be read or because its latest reading is older than two intervals; `last_read_at` is the start
    of the last run that read it, null where none did.

    `cause` and `detail` say why the latest reading failed, confirmed (then `status` is UNKNOWN) or not yet."""

    target: str
    name: str
    labels: dict[str, str]
    status: str
    since: datetime | None
    cause: str | None
    detail: str | None
    last_known: str | None
    entity: dict[str, str] | None
    reasons: list[ReasonDocument]
    capabilities: dict[str, str]
    contradictions: list[str]
    last_read_at: datetime | None


class StatusDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`status --json`: the targets, the worst first. `read_at` is when the latest run ended; `warning` says that the
    monitor has stopped or cannot read most targets, and is null otherwise."""

    at: datetime
    deployment: str
    status: str
    read_at: datetime | None
    counts: dict[str, int]
    targets: list[TargetDocument]
    warning: str | None


class RunTargets(msgspec.Struct, frozen=True):
    expected: int
    answered: int
    unknown: int
    skipped: int


class RunIncidents(msgspec.Struct, frozen=True):
    open: int
    opened: int
    resolved: int


class RunDeliveries(msgspec.Struct, frozen=True):
    sent: int
    failed: int
    pending: int


class RunDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`run --json`: one line for each run."""

    run_id: str
    started_at: datetime
    finished_at: datetime | None
    targets: RunTargets
    transitions: list[TransitionDocument]
    incidents: RunIncidents
    deliveries: RunDeliveries


class ToldDocument(msgspec.Struct, frozen=True):
    """What a destination knows of an incident. `decision` is what it would be told now (null: nothing), `why` the
    reason, `due_at` when that changes by itself."""

    destination: str
    notified: str | None
    told_at: datetime | None
    times: int
    decision: str | None
    why: str
    due_at: datetime | None
    attempts: int
    failing_since: datetime | None
    retry_at: datetime | None
    error: str | None


class ChangeDocument(msgspec.Struct, frozen=True):
    at: datetime
    status: str
    affected: int
    codes: list[str]


class IncidentDocument(msgspec.Struct, frozen=True):
    """One incident, as `incidents --json` lists it. `affected` holds the ids of the targets it touches now."""

    id: str
    entity_type: str
    entity_id: str
    capability: str
    title: str
    status: str
    worst: str
    severity: str
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    preexisting: bool
    flapping_since: datetime | None
    acknowledged_by: str | None
    affected: list[str]
    reasons: list[ReasonDocument]


class IncidentsDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    at: datetime
    incidents: list[IncidentDocument]


class HistoryDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`history --json`, the latest first."""

    transitions: list[LoggedDocument]


def reasons_document(reasons: tuple[Reason, ...]) -> list[ReasonDocument]:
    return [ReasonDocument(one.code, one.description, one.possible_solution, one.capability) for one in reasons]


def transition_document(one: Transition) -> TransitionDocument:
    return TransitionDocument(
        one.target, one.entity_type, one.entity_id, one.capability, one.old, one.new, one.seq, one.at
    )


def logged_document(one: Transition) -> LoggedDocument:
    return LoggedDocument(
        one.target,
        one.entity_type,
        one.entity_id,
        one.capability,
        one.old,
        one.new,
        one.seq,
        one.at,
        since=one.since,
        reasons=reasons_document(one.reasons),
        caused_by=one.caused_by,
        run_id=one.run_id,
    )


def target_document(one: Picture) -> TargetDocument:
    return TargetDocument(
        one.target.id,
        one.target.name,
        dict(one.target.labels),
        one.status,
        one.since,
        one.cause or (one.missed.cause if one.missed else None),
        (one.missed.detail if one.missed and not one.is_stale else one.detail) or None,
        one.last_known,
        {"entity_type": one.entity[0], "id": one.entity[1]} if one.entity else None,
        reasons_document(one.reasons if one.cause is None else ()),
        dict(one.capabilities),
        list(one.contradictions),
        one.last_read_at,
    )


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
    tracks: list[TrackDocument]
    observations: list[ObservationDocument]
    transitions: list[LoggedDocument]
    incidents: list[IncidentExplained]


def incident_document(app: Application, one: Incident, said: OperatorActions) -> IncidentDocument:
    """One incident, as `incidents --json` and `explain --json` print it."""
    return IncidentDocument(
        one.id,
        *one.key,
        title=title_of(app, one),
        status=one.notified_status,
        worst=one.worst,
        severity=severity(app, one),
        opened_at=one.opened_at,
        changed_at=one.changed_at,
        resolved_at=one.resolved_at,
        resolution=one.resolution or None,
        preexisting=one.preexisting,
        flapping_since=one.flapping_since,
        acknowledged_by=_acknowledged_by(one, said),
        affected=sorted(affected_targets(app.store, one)) if one.is_open else [],
        reasons=reasons_document(one.reasons),
    )


def _acknowledged_by(one: Incident, said: OperatorActions) -> str | None:
    acknowledgement = said.acknowledgements.get(one.id)
    return acknowledgement.author if acknowledgement else None
