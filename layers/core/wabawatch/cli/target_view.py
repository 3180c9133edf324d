"""Look up what a command is about: targets with their current state, incidents, and the facts around them.

The state of a target is a pure function of what is stored, the same for people and for `status --json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.planner import affected_targets, some_affected_targets
from wabawatch.application.ports import Target
from wabawatch.cli.options import unknown
from wabawatch.domain.coverage import LastReadings, ShardCoverage
from wabawatch.domain.health import (
    AVAILABLE,
    BLOCKED,
    LIMITED,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    Failure,
    Observation,
    Reason,
    rank,
    upstream_rank,
    worst,
)
from wabawatch.domain.incident import Incident, NotificationState
from wabawatch.domain.notification import IncidentSummary
from wabawatch.domain.policy import MassFailure
from wabawatch.domain.routing import OperatorActions
from wabawatch.domain.silence import IncidentFacts
from wabawatch.domain.snapshot import CapabilityState, Key, Snapshot
from wabawatch.messages import notification, titles
from wabawatch.messages.notification import NAMED, PendingNotification, TextLimits, fit_incident
from wabawatch.messages.text import humanize_duration
from wabawatch.monitor import Monitor

NOT_READ: Final = "not read yet"
_EXIT_CODES: Final = {AVAILABLE: 0, LIMITED: 1, BLOCKED: 2, UNKNOWN: 3}


class TargetView(msgspec.Struct, frozen=True):
    """The current state of a target.

    `entity` is the (type, ID) at fault; `since` is when the status was first seen. For an UNKNOWN target, `detail` says
    why and `last_known` is the status before. `other_problems` are capabilities that worked once and don't now;
    `unconfirmed` is the latest reading if it failed and the failure is not confirmed yet.

    `last_read_at` is the start of the last pass that read the target; `stale_at` is when that reading is too old (None
    if unknown). `is_stale`: it is too old, and so the target is UNKNOWN."""

    target: Target
    status: str
    since: datetime | None = None
    entity: tuple[str, str] | None = None
    reasons: tuple[Reason, ...] = ()
    cause: str | None = None
    detail: str = ""
    last_known: str | None = None
    capabilities: Mapping[str, str] = {}
    contradictions: tuple[str, ...] = ()
    observed_at: datetime | None = None
    other_problems: tuple[CapabilityState, ...] = ()
    unconfirmed: Failure | None = None
    last_read_at: datetime | None = None
    stale_at: datetime | None = None
    is_stale: bool = False


def view_targets(
    targets: Sequence[Target],
    snapshots: Mapping[str, Snapshot],
    latest: Mapping[str, Observation],
    coverages: Sequence[ShardCoverage],
    now: datetime,
) -> list[TargetView]:
    """Return all targets, the worst first; then the latest change, then by name."""
    readings = LastReadings(coverages)
    views = [view_target(target, snapshots.get(target.id), latest.get(target.id)) for target in targets]
    return sorted((mark_stale(add_last_reading(view, readings), now) for view in views), key=_worst_first)


def view_target(target: Target, snapshot: Snapshot | None, latest: Observation | None = None) -> TargetView:
    """Return a target's state. A target that was never read, or can't be read now, is UNKNOWN.

    `latest` is the latest observation of a target that `has_unconfirmed_failure`."""
    if snapshot is None or not (snapshot.states or snapshot.observed_at):
        return TargetView(target, UNKNOWN, detail=NOT_READ)
    capabilities = _capabilities(snapshot)
    last_known = capabilities.get(MESSAGING)
    view = TargetView(
        target,
        last_known or UNKNOWN,
        capabilities=capabilities,
        contradictions=snapshot.contradictions,
        observed_at=snapshot.observed_at,
        detail="" if last_known else "not confirmed yet",
        other_problems=_other_problems(snapshot),
    )
    readable = snapshot.state(Key(TARGET, target.id, READABLE))
    if readable is not None and readable.status == UNKNOWN:
        reason = readable.reasons[0] if readable.reasons else Reason()
        return msgspec.structs.replace(
            view,
            status=UNKNOWN,
            since=readable.since,
            reasons=readable.reasons,
            cause=reason.description or None,
            detail=reason.detail,
            last_known=last_known,
        )
    if latest is not None and isinstance(latest.outcome, Failure) and has_unconfirmed_failure(snapshot):
        view = msgspec.structs.replace(view, unconfirmed=latest.outcome)
    return _add_entity_at_fault(view, snapshot)


def _capabilities(snapshot: Snapshot) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for state in snapshot.states:
        if state.capability != READABLE and state.status is not None:
            found.setdefault(state.capability, []).append(state.status)
    return {capability: worst(statuses) for capability, statuses in sorted(found.items())}


def _other_problems(snapshot: Snapshot) -> tuple[CapabilityState, ...]:
    return tuple(
        state
        for state in snapshot.states
        if state.capability not in {MESSAGING, READABLE} and state.was_available and rank(state.status or AVAILABLE) > 0
    )


def _add_entity_at_fault(view: TargetView, snapshot: Snapshot) -> TargetView:
    """Add the worst messaging entity without a root cause elsewhere; for a healthy target, only its last change."""
    states = [state for state in snapshot.states if state.capability == MESSAGING and state.status is not None]
    if not states:
        return view
    if all(rank(state.status or "") == 0 for state in states):
        changed_last = max(states, key=lambda state: state.since.timestamp() if state.since else 0.0)
        return msgspec.structs.replace(view, since=changed_last.since)
    fault = min(
        states,
        key=lambda state: (-rank(state.status or ""), state.caused_by is not None, upstream_rank(state.entity_type)),
    )
    if rank(view.status) == 0:
        return msgspec.structs.replace(view, since=fault.since)
    entity = (fault.entity_type, fault.entity_id)
    return msgspec.structs.replace(view, since=fault.since, entity=entity, reasons=fault.reasons)


def has_unconfirmed_failure(snapshot: Snapshot | None) -> bool:
    """Return whether the latest readings failed, but too few of them to confirm UNKNOWN."""
    readable = snapshot.state(Key(TARGET, snapshot.target, READABLE)) if snapshot else None
    return readable is not None and readable.status != UNKNOWN and bool(readable.streak)


def add_last_reading(view: TargetView, readings: LastReadings) -> TargetView:
    """Add when the target was last read. A target without any result was not read, whatever the coverage says."""
    row = readings.coverage(view.target.id)
    if row is None or view.detail == NOT_READ:
        return view
    read_at = row.unread.get(view.target.id, row.started_at)
    stale_at = (read_at or row.started_at) + row.stale_after
    return msgspec.structs.replace(view, last_read_at=read_at, stale_at=stale_at)


def mark_stale(view: TargetView, now: datetime) -> TargetView:
    """Make the target UNKNOWN if its latest reading is too old; return the same object otherwise."""
    if view.stale_at is None or now <= view.stale_at or view.status == UNKNOWN:
        return view
    since = view.last_read_at or view.stale_at
    return msgspec.structs.replace(
        view,
        status=UNKNOWN,
        since=since,
        entity=None,
        reasons=(),
        detail=f"not read for {humanize_duration(now - since)}",
        last_known=view.status,
        is_stale=True,
    )


def mark_all_stale(views: Sequence[TargetView], now: datetime) -> Sequence[TargetView]:
    """Apply `mark_stale` to all and sort them again; return the same list if nothing changed."""
    marked = [mark_stale(view, now) for view in views]
    if all(before is after for before, after in zip(views, marked, strict=True)):
        return views
    return sorted(marked, key=_worst_first)


def _worst_first(view: TargetView) -> tuple[int, int, float, str]:
    since = view.since.timestamp() // 1 if view.since and rank(view.status) else 0.0
    return (-rank(view.status), -bool(view.other_problems), -since, view.target.name.casefold())


def fleet_warning(
    views: Sequence[TargetView], coverages: Sequence[ShardCoverage], limits: MassFailure, now: datetime
) -> str:
    """Return a warning if no pass has ended for too long, or most targets are not read; otherwise an empty text."""
    latest = max(coverages, key=lambda row: row.finished_at, default=None)
    if latest is not None and now - latest.finished_at > latest.stale_after:
        return f"no run has ended for {humanize_duration(now - latest.finished_at)}: the monitor has stopped or is late"
    known = {view.target.id for view in views}
    unread = {target for row in coverages for target in row.unread if target in known}
    if len(unread) >= limits.at_least and len(unread) > limits.share * len(views):
        return f"{len(unread)} of {len(views)} targets could not be read by the last run; their status is out of date"
    return ""


def count_statuses(views: Iterable[TargetView]) -> dict[str, int]:
    """Return how many targets have each status, the worst first."""
    counts: dict[str, int] = {}
    for view in views:
        counts[view.status] = counts.get(view.status, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -rank(item[0])))


def fleet_status(views: Iterable[TargetView]) -> str:
    """Return the worst status; AVAILABLE for an empty fleet."""
    return worst([AVAILABLE, *(view.status for view in views)])


def status_exit_code(status: str) -> int:
    """Return the exit code of a monitoring plugin: 0 AVAILABLE, 1 LIMITED, 2 BLOCKED, 3 UNKNOWN or an unknown word."""
    return _EXIT_CODES.get(status, _EXIT_CODES[UNKNOWN])


_LIMITS: Final = TextLimits(short=120, names=1)
_MAX_SEARCHED: Final = 1000
_MIN_PREFIX: Final = 3
_MAX_FAILURES: Final = 50
"""For so many targets the cause of an unconfirmed failure is looked up: each costs a query."""


def find_incident(app: Monitor, wanted: str) -> Incident | None:
    """Return the incident with this ID, or the only one whose ID begins with it."""
    exact = app.store.incident(wanted)
    if exact is not None or len(wanted) < _MIN_PREFIX:
        return exact
    searched = [*app.store.open_incidents(), *app.store.incidents(_MAX_SEARCHED)]
    matching = {incident.id: incident for incident in searched if incident.id.startswith(wanted)}
    return next(iter(matching.values())) if len(matching) == 1 else None


def require_incident(app: Monitor, wanted: str) -> Incident:
    """As `find_incident`; raise UsageError if there is none."""
    incident = find_incident(app, wanted)
    if incident is None:
        raise unknown("incident", wanted, (found.id for found in app.store.open_incidents() if found.is_open))
    return incident


def list_open_incidents(app: Monitor) -> list[Incident]:
    """Return the open incidents, the latest change first."""
    incidents = [incident for incident in app.store.open_incidents() if incident.is_open]
    return sorted(incidents, key=lambda incident: incident.changed_at, reverse=True)


def operator_actions(app: Monitor) -> OperatorActions:
    """Load silences and acknowledgements."""
    return OperatorActions(tuple(app.store.silences()), app.store.acknowledgements())


def acknowledged_by(incident: Incident, actions: OperatorActions) -> str | None:
    """Return who acknowledged the incident, or None."""
    acknowledgement = actions.acknowledgements.get(incident.id)
    return acknowledgement.author if acknowledgement else None


def load_facts(app: Monitor, incident: Incident) -> IncidentFacts:
    """Return the facts that routes and matchers are compared with."""
    targets = affected_targets(app.store, incident) if app.rules.needs_targets(()) else ()
    return app.rules.build_facts(incident, targets, app.audience.fleet)


def incident_severity(app: Monitor, incident: Incident) -> str:
    """Return the severity that the configuration gives the incident."""
    return load_facts(app, incident).severity


def summarize_incident(app: Monitor, incident: Incident, kind: str = "opened") -> IncidentSummary:
    """Summarize the incident as for a destination that was not notified of it."""
    targets = some_affected_targets(app.store, incident, NAMED)
    return notification.summarize_incident(
        PendingNotification(incident, targets, NotificationState(), kind, incident_severity(app, incident)),
        app.audience,
    )


def incident_title(app: Monitor, incident: Incident) -> str:
    """Return the title, `40 numbers cannot send messages`; in the past tense for a resolved incident."""
    is_over = not incident.is_open
    summary = summarize_incident(app, incident, "brief" if is_over else "opened")
    return titles.incident_title(fit_incident(summary, _LIMITS), past=is_over)


def view_fleet(app: Monitor, coverages: Sequence[ShardCoverage], now: datetime) -> list[TargetView]:
    """Return the current state of every configured target, the worst first."""
    targets: Sequence[Target] = app.settings.targets
    snapshots = app.store.snapshots([target.id for target in targets])
    failing = [target.id for target in targets if has_unconfirmed_failure(snapshots.get(target.id))][:_MAX_FAILURES]
    latest = {name: observation for name in failing for observation in app.store.observations(name, limit=1)}
    return view_targets(targets, snapshots, latest, coverages, now)
