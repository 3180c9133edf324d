"""`explain`: show why each destination was notified, waits, or was not notified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import click
from rich.text import Text

from wabawatch.application.planner import Planned
from wabawatch.application.ports import Target
from wabawatch.cli.json_output import (
    ChangeDocument,
    EvidenceDocument,
    IncidentExplained,
    LoggedDocument,
    NotifiedDocument,
    ObservationDocument,
    RouteDocument,
    TargetExplained,
    TrackDocument,
    incident_document,
    logged_document,
    target_document,
)
from wabawatch.cli.options import Command, as_json, complete_incident, unknown
from wabawatch.cli.output import change_text, codes_text, decided, document, moment, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import find_incident, load_facts, operator_actions, view_targets
from wabawatch.domain.health import UNKNOWN, Failure, Observation, status_of
from wabawatch.domain.incident import DESTINATION, MONITOR, Incident, Key
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import CapabilityState, Snapshot, Transition
from wabawatch.messages.text import humanize_duration, pluralize
from wabawatch.monitor import Monitor

_MAX_CHANGES: Final = 20
_MAX_NAMES: Final = 10
_MAX_TARGETS: Final = 20
"""Targets of a large incident whose transitions are shown."""
_MAX_LOGGED: Final = 200
"""Log rows that are read of each target of an incident."""
_MAX_SHOWN: Final = 20
"""Observations and transitions that are shown of a target."""


@click.command(
    cls=Command,
    short_help="Show why each destination was notified, or was not.",
    examples="""
    $ wabawatch explain 3f2a91c0d7e4     # an incident, by its ID or the beginning of it
    $ wabawatch explain support-de       # a target and its open incidents
    $ wabawatch explain 3f2a --json
    """,
)
@click.argument("what", metavar="INCIDENT|TARGET", shell_complete=complete_incident)
@as_json
def explain(what: str, as_json: bool) -> None:
    """Show how the state of an incident or a target came about: observations, thresholds, transitions, and for each
    destination what was sent, what is waiting, why, and when that ends."""
    app = session().application()
    targets = {target.id: target for target in app.settings.targets}
    incident = None if what in targets else find_incident(app, what)
    if incident is None and what not in targets:
        raise unknown("incident or target", what, [*targets, *(found.id for found in app.store.open_incidents())])
    found = explain_target(app, targets[what]) if incident is None else explain_incident(app, incident)
    if as_json:
        document(found)
    elif isinstance(found, TargetExplained):
        show(*_target_lines(found))
    else:
        show(*_incident_lines(found))


def explain_incident(app: Monitor, incident: Incident) -> IncidentExplained:
    """Collect the transitions, changes, routes and notifications of an incident."""
    thresholds = app.rules.policy.thresholds
    return IncidentExplained(
        at=app.clock.now(),
        incident=incident_document(app, incident, operator_actions(app)),
        seen=[_evidence(transition, thresholds) for transition in _transitions(app, incident)],
        changes=[
            ChangeDocument(change.at, change.status, change.affected, list(change.codes)) for change in incident.changes
        ],
        routes=_routes(app, incident),
        destinations=[_notified(planned) for planned in app.explain(incident)],
    )


def _transitions(app: Monitor, incident: Incident) -> list[Transition]:
    """Return the transitions of the incident, the earliest first; of a large incident only some targets'."""
    end = incident.resolved_at + timedelta(microseconds=1) if incident.resolved_at else None
    found = [
        transition
        for target in list(incident.named)[:_MAX_TARGETS]
        for transition in app.store.history(target, incident.opened_at, end, _MAX_LOGGED)
        if transition.key == incident.key
    ]
    return sorted(found, key=lambda transition: (transition.at, transition.target, transition.seq))


def _evidence(transition: Transition, thresholds: Thresholds) -> EvidenceDocument:
    cause = transition.reasons[0].description if transition.reasons else ""
    needed = thresholds.of_failure(cause) if transition.new == UNKNOWN else thresholds.of(transition.new)
    evidence = [ObservationDocument(seen.observed_at, seen.status, None) for seen in transition.evidence[-needed:]]
    return EvidenceDocument(logged_document(transition), needed, evidence)


def _routes(app: Monitor, incident: Incident) -> list[RouteDocument] | None:
    rules = app.rules
    if not rules.routes:
        return None
    matching = rules.matching_routes(load_facts(app, incident))
    return [
        RouteDocument(number, list(route.to), route.stop)
        for number, route in enumerate(rules.routes, 1)
        if any(route is match for match in matching)
    ]


def _notified(planned: Planned) -> NotifiedDocument:
    notified, decision, queued = planned.notified, planned.decision, planned.queued
    return NotifiedDocument(
        destination=planned.destination,
        notified=notified.status,
        notified_at=notified.at,
        times=notified.count,
        decision=decision.kind,
        why=decision.why,
        due_at=decision.due_at,
        attempts=queued.attempts if queued else 0,
        failing_since=queued.failing_since if queued else None,
        retry_at=queued.retry_at if queued else None,
        error=(queued.error if queued else "") or None,
    )


def explain_target(app: Monitor, target: Target) -> TargetExplained:
    """Collect the state of a target, its stored observations and transitions, and its open incidents."""
    snapshot = app.store.snapshots([target.id]).get(target.id) or Snapshot(target.id)
    incidents = app.store.latest_incidents([Key(*state.key) for state in snapshot.states]).values()
    now = app.clock.now()
    (view,) = view_targets([target], {target.id: snapshot}, {}, app.store.coverages(), now)
    thresholds = app.rules.policy.thresholds
    return TargetExplained(
        at=now,
        target=target_document(view),
        states=[_track(state, thresholds) for state in snapshot.states],
        observations=[_observation(found) for found in app.store.observations(target.id, limit=_MAX_SHOWN)],
        transitions=[logged_document(found) for found in app.store.history(target.id, limit=_MAX_SHOWN)],
        incidents=[explain_incident(app, incident) for incident in incidents if _affects(app, incident, target.id)],
    )


def _affects(app: Monitor, incident: Incident, target: str) -> bool:
    if not incident.is_open:
        return False
    if not incident.has_member_rows:
        return target in incident.named and incident.named[target].is_affected
    row = app.store.members_of([(incident.id, target)]).get((incident.id, target))
    return row is not None and row.is_affected


def _track(state: CapabilityState, thresholds: Thresholds) -> TrackDocument:
    towards = state.streak[-1].status if state.streak else None
    return TrackDocument(
        *state.key,
        status=state.status,
        since=state.since,
        caused_by=state.caused_by,
        codes=[reason.code for reason in state.reasons if reason.code is not None],
        towards=towards,
        count=len(state.streak),
        needed=thresholds.of(towards) if towards else 0,
    )


def _observation(observation: Observation) -> ObservationDocument:
    if isinstance(observation.outcome, Failure):
        return ObservationDocument(observation.observed_at, UNKNOWN, observation.outcome.cause)
    return ObservationDocument(observation.observed_at, status_of(observation.outcome), None)


def _incident_lines(found: IncidentExplained) -> Iterator[Text]:
    incident, now = found.incident, found.at
    status = status_text(incident.status) + Text(f"  {incident.severity}")
    yield Text("incident ") + words(f"{incident.id}  ", "bold") + status
    yield words(f"  {incident.title}")
    yield words(f"  {incident.entity_type} {incident.entity_id}, {incident.capability}", "dim")
    yield words(f"  {_duration(incident.opened_at, incident.resolved_at, incident.resolution, now)}")
    if incident.affected:
        yield words(f"  affects {pluralize(len(incident.affected), 'target')}: {_join_names(incident.affected)}")
    for reason in incident.reasons:
        yield Text("  ") + words(codes_text(reason.code, reason.description))
    if incident.acknowledged_by:
        yield words(f"  acknowledged by {incident.acknowledged_by}")
    yield from _section("Transitions", [line for seen in found.seen for line in _evidence_lines(seen, now)])
    yield from _section("Changes", [_change_line(change, now) for change in found.changes[-_MAX_CHANGES:]])
    lines = [*_route_lines(found), *(line for row in found.destinations for line in _destination_lines(row, now))]
    yield from _section("Notifications", lines)


def _duration(opened_at: datetime, resolved_at: datetime | None, resolution: str | None, now: datetime) -> str:
    if resolved_at is None:
        return f"since {moment(opened_at, now)} UTC, for {humanize_duration(now - opened_at)}"
    duration = humanize_duration(resolved_at - opened_at)
    return (
        f"from {moment(opened_at, now)} to {moment(resolved_at, now)} UTC, for {duration}: {resolution or 'resolved'}"
    )


def _join_names(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_NAMES]) + (f" +{len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else "")


def _section(title: str, lines: Sequence[Text]) -> Iterator[Text]:
    if lines:
        yield Text("")
        yield Text(title, "bold")
        yield from lines


def _evidence_lines(found: EvidenceDocument, now: datetime) -> Iterator[Text]:
    transition = found.transition
    change = change_text(transition.old, transition.new)
    target = words(transition.target.removeprefix("~"))
    yield Text(f"  {moment(transition.at, now)}  ") + target + Text("  ") + change
    if found.evidence:
        evidence = ", ".join(f"{seen.status} at {moment(seen.observed_at, now)}" for seen in found.evidence)
        count = pluralize(len(found.evidence), "observation")
        yield words(f"            {count} of {found.needed} needed: {evidence}", "dim")


def _change_line(change: ChangeDocument, now: datetime) -> Text:
    effect = " ".join([f"{change.affected} affected", *(code.lstrip(":") for code in change.codes)])
    return Text(f"  {moment(change.at, now)}  ") + status_text(change.status) + words(f"  {effect}")


def _route_lines(found: IncidentExplained) -> Iterator[Text]:
    if found.routes is None:
        yield Text("  no routes are configured: every destination gets every notification", "dim")
    elif not found.routes:
        yield Text(f"  {_unrouted_text(found.incident.entity_type)}", "dim")
    else:
        routes = "; ".join(
            f"{route.number} to {', '.join(route.to)}{' (stop)' if route.stop else ''}" for route in found.routes
        )
        yield words(f"  matching routes: {routes}", "dim")


def _unrouted_text(entity_type: str) -> str:
    if entity_type == DESTINATION:
        return "no matching route leads to another destination: all others are notified"
    if entity_type == MONITOR:
        return "no route matches: incidents of the monitor itself are then sent to every destination"
    return "no route matches"


def _destination_lines(row: NotifiedDocument, now: datetime) -> Iterator[Text]:
    name = words(f"  {row.destination}", "bold")
    if row.notified is None:
        yield name + Text("  not notified yet")
    else:
        at = f" at {moment(row.notified_at, now)}" if row.notified_at else ""
        yield name + words(f"  notified of {row.notified}{at}, {pluralize(row.times, 'time')} in all")
    yield Text("    ") + _decision_text(row, now)
    if row.error:
        since = f" since {moment(row.failing_since, now)}" if row.failing_since else ""
        yield words(f"    {pluralize(row.attempts, 'delivery', 'deliveries')} failed{since}: {row.error}", "yellow")


def _decision_text(row: NotifiedDocument, now: datetime) -> Text:
    if row.decision is not None:
        return words(f"next round sends: {row.decision} ({row.why})", "bold")
    due = f"; next check at {moment(row.due_at, now)}, in {humanize_duration(row.due_at - now)}" if row.due_at else ""
    return words(f"nothing to send now: {decided(row.why)}{due}")


def _target_lines(found: TargetExplained) -> Iterator[Text]:
    target, now = found.target, found.at
    yield words(f"{target.target}  ", "bold") + status_text(target.status) + words(f"  {target.name}")
    if target.cause or target.detail:
        yield words("  " + ": ".join(part for part in (target.cause, target.detail) if part))
    yield from _section("Entities", [line for state in found.states for line in _track_lines(state, now)])
    yield from _section(
        "Stored observations, latest first", [_observation_line(seen, now) for seen in found.observations]
    )
    yield from _section("Transitions, latest first", [_logged_line(logged, now) for logged in found.transitions])
    for incident in found.incidents:
        yield Text("")
        yield from _incident_lines(incident)


def _observation_line(seen: ObservationDocument, now: datetime) -> Text:
    return Text(f"  {moment(seen.observed_at, now)}  ") + status_text(seen.status) + words(f"  {seen.cause or ''}")


def _logged_line(logged: LoggedDocument, now: datetime) -> Text:
    entity = words(f"{logged.entity_type} {logged.entity_id} {logged.capability}  ")
    return Text(f"  {moment(logged.at, now)}  ") + entity + change_text(logged.old, logged.new)


def _track_lines(state: TrackDocument, now: datetime) -> Iterator[Text]:
    codes = " ".join(str(code) for code in state.codes)
    since = f"since {moment(state.since, now)}" if state.since else ""
    line = words(f"  {state.entity_type} {state.entity_id} {state.capability}")
    yield line + Text("  ") + status_text(state.status or "not confirmed") + words(f"  {since}  {codes}")
    if state.caused_by:
        yield words(f"    caused by {state.caused_by}", "dim")
    if state.towards:
        yield words(f"    {state.count} of {state.needed} observations in a row for {state.towards}", "dim")
