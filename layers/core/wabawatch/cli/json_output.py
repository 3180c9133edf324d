"""The JSON documents that commands print: a versioned public interface.

Every field is always present; instants are RFC 3339 in UTC, durations are seconds. Within a version fields may be
added, but never removed or given another meaning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from wabawatch.application.planner import affected_targets
from wabawatch.cli.target_view import TargetView, acknowledged_by, incident_severity, incident_title
from wabawatch.domain.health import Reason
from wabawatch.domain.incident import Incident
from wabawatch.domain.routing import OperatorActions
from wabawatch.domain.snapshot import Transition
from wabawatch.monitor import Monitor


class ReasonDocument(msgspec.Struct, frozen=True):
    """A reason; one without a code has a null code."""

    code: int | None
    description: str
    possible_solution: str
    capability: str


class EntityDocument(msgspec.Struct, frozen=True):
    """An entity of a report."""

    entity_type: str
    id: str
    capabilities: dict[str, str]
    reasons: list[ReasonDocument]


class ProbeDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`probe --json`. `cause` and `detail` say why a target could not be read, and are null otherwise."""

    target: str
    observed_at: datetime
    status: str
    cause: str | None
    detail: str | None
    capabilities: dict[str, str]
    entities: list[EntityDocument]
    contradictions: list[str]


class TransitionDocument(msgspec.Struct, frozen=True):
    """A transition."""

    target: str
    entity_type: str
    entity_id: str
    capability: str
    old: str | None
    new: str
    seq: int
    at: datetime


class LoggedDocument(TransitionDocument, frozen=True, kw_only=True):
    """A transition as the log stores it. `caused_by` names the entity that is its root cause."""

    since: datetime
    reasons: list[ReasonDocument]
    caused_by: str | None
    run_id: str


class TargetDocument(msgspec.Struct, frozen=True):
    """A target in `status --json`.

    `entity` is the entity at fault. `last_known` is the status of an UNKNOWN target before it could not be read, or
    before its latest reading was older than two intervals. `last_read_at` is the start of the last run that read the
    target, or null. `cause` and `detail` say why the latest reading failed, whether that is confirmed (then `status` is
    UNKNOWN) or not."""

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
    """`status --json`: the targets, the worst first. `read_at` is the end of the latest run. `warning` says that the
    monitor has stopped or cannot read most targets; it is null otherwise."""

    at: datetime
    deployment: str
    status: str
    read_at: datetime | None
    counts: dict[str, int]
    targets: list[TargetDocument]
    warning: str | None


class RunTargets(msgspec.Struct, frozen=True):
    """How many targets a run was to read, and how many it read, failed to read and skipped."""

    expected: int
    answered: int
    unknown: int
    skipped: int


class RunIncidents(msgspec.Struct, frozen=True):
    """How many incidents are open, and how many the run opened and resolved."""

    open: int
    opened: int
    resolved: int


class RunDeliveries(msgspec.Struct, frozen=True):
    """How many notifications were sent, failed and are pending."""

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


class NotifiedDocument(msgspec.Struct, frozen=True):
    """What a destination was sent about an incident. `decision` is the notification it would get now (null: none),
    `why` the reason, `due_at` when the decision is due to change."""

    destination: str
    notified: str | None
    notified_at: datetime | None
    times: int
    decision: str | None
    why: str
    due_at: datetime | None
    attempts: int
    failing_since: datetime | None
    retry_at: datetime | None
    error: str | None


class ChangeDocument(msgspec.Struct, frozen=True):
    """A change of an incident."""

    at: datetime
    status: str
    affected: int
    codes: list[str]


class IncidentDocument(msgspec.Struct, frozen=True):
    """An incident in `incidents --json`. `affected` holds the IDs of the targets that it affects now."""

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
    """`history --json`, the latest transition first."""

    transitions: list[LoggedDocument]


class ObservationDocument(msgspec.Struct, frozen=True):
    """An observation. `cause` says why the target could not be read, and is null otherwise."""

    observed_at: datetime
    status: str
    cause: str | None


class EvidenceDocument(msgspec.Struct, frozen=True):
    """A transition with the observations that confirmed it. `needed` is the number of observations required."""

    transition: LoggedDocument
    needed: int
    evidence: list[ObservationDocument]


class RouteDocument(msgspec.Struct, frozen=True):
    """A matching route. `number` is its position in the configuration, from 1."""

    number: int
    to: list[str]
    stop: bool


class IncidentExplained(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`explain INCIDENT --json`.

    `routes` is null if none is configured (every destination gets everything), and empty if none matches (only
    incidents of the monitor itself are sent, to every destination). Routes that lead only to the destination that the
    incident is about are left out."""

    at: datetime
    incident: IncidentDocument
    seen: list[EvidenceDocument]
    changes: list[ChangeDocument]
    routes: list[RouteDocument] | None
    destinations: list[NotifiedDocument]


class TrackDocument(msgspec.Struct, frozen=True):
    """The state of one capability of an entity. `count` of `needed` observations in a row confirm `towards`."""

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
    """`explain TARGET --json`: stored observations and transitions, the latest first, and the open incidents."""

    at: datetime
    target: TargetDocument
    states: list[TrackDocument]
    observations: list[ObservationDocument]
    transitions: list[LoggedDocument]
    incidents: list[IncidentExplained]


def reason_documents(reasons: Iterable[Reason]) -> list[ReasonDocument]:
    """Return reasons as documents."""
    return [
        ReasonDocument(reason.code, reason.description, reason.possible_solution, reason.capability)
        for reason in reasons
    ]


def transition_document(transition: Transition) -> TransitionDocument:
    """Return a transition as `run --json` prints it."""
    return TransitionDocument(
        target=transition.target,
        entity_type=transition.entity_type,
        entity_id=transition.entity_id,
        capability=transition.capability,
        old=transition.old,
        new=transition.new,
        seq=transition.seq,
        at=transition.at,
    )


def logged_document(transition: Transition) -> LoggedDocument:
    """Return a transition as `history --json` and `explain --json` print it."""
    return LoggedDocument(
        **msgspec.structs.asdict(transition_document(transition)),
        since=transition.since,
        reasons=reason_documents(transition.reasons),
        caused_by=transition.caused_by,
        run_id=transition.run_id,
    )


def target_document(view: TargetView) -> TargetDocument:
    """Return a target as `status --json` prints it."""
    failure = view.unconfirmed
    return TargetDocument(
        target=view.target.id,
        name=view.target.name,
        labels=dict(view.target.labels),
        status=view.status,
        since=view.since,
        cause=view.cause or (failure.cause if failure else None),
        detail=(failure.detail if failure and not view.is_stale else view.detail) or None,
        last_known=view.last_known,
        entity={"entity_type": view.entity[0], "id": view.entity[1]} if view.entity else None,
        reasons=reason_documents(view.reasons if view.cause is None else ()),
        capabilities=dict(view.capabilities),
        contradictions=list(view.contradictions),
        last_read_at=view.last_read_at,
    )


def incident_document(app: Monitor, incident: Incident, actions: OperatorActions) -> IncidentDocument:
    """Return an incident as `incidents --json` and `explain --json` print it."""
    return IncidentDocument(
        id=incident.id,
        entity_type=incident.key[0],
        entity_id=incident.key[1],
        capability=incident.key[2],
        title=incident_title(app, incident),
        status=incident.notified_status,
        worst=incident.worst,
        severity=incident_severity(app, incident),
        opened_at=incident.opened_at,
        changed_at=incident.changed_at,
        resolved_at=incident.resolved_at,
        resolution=incident.resolution or None,
        preexisting=incident.preexisting,
        flapping_since=incident.flapping_since,
        acknowledged_by=acknowledged_by(incident, actions),
        affected=sorted(affected_targets(app.store, incident)) if incident.is_open else [],
        reasons=reason_documents(incident.reasons),
    )
