"""Look up what a command is about: targets, incidents, and the facts around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from wabawatch.application.planner import affected_targets, some_affected_targets
from wabawatch.application.ports import Target
from wabawatch.cli.options import unknown
from wabawatch.cli.target_view import TargetView, has_unconfirmed_failure, view_targets
from wabawatch.domain.coverage import ShardCoverage
from wabawatch.domain.incident import Incident, NotificationState
from wabawatch.domain.notification import IncidentSummary
from wabawatch.domain.routing import OperatorActions
from wabawatch.domain.silence import IncidentFacts
from wabawatch.messages import notification, titles
from wabawatch.messages.notification import NAMED, PendingNotification, TextLimits, fit_incident
from wabawatch.monitor import Monitor

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
