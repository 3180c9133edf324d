"""`explain`: why each destination was told, waits, or was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import click
from rich.text import Text

from wabawatch.application.planner import Planned
from wabawatch.application.ports import Target
from wabawatch.bootstrap import Application
from wabawatch.cli.json_output import (
    ChangeDocument,
    IncidentExplained,
    LoggedDocument,
    ObservationDocument,
    RouteDocument,
    SeenDocument,
    TargetExplained,
    ToldDocument,
    TrackDocument,
    incident_document,
    logged_document,
    target_document,
)
from wabawatch.cli.labels import codes_text, decided, moment
from wabawatch.cli.lookups import facts, find_incident, steering
from wabawatch.cli.options import Command, as_json, complete_incident, unknown
from wabawatch.cli.output import document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import pictures
from wabawatch.domain.health import Failure, Observation, status_of
from wabawatch.domain.incident import DESTINATION, MONITOR, Incident, Key
from wabawatch.domain.phrases import counted, lasted
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import CapabilityState, Snapshot, Transition

_STORY = 20


@click.command(
    cls=Command,
    short_help="Tell why each destination was told, or was not.",
    examples="""
    $ wabawatch explain 3f2a91c0d7e4     # an incident, by its id or the beginning of it
    $ wabawatch explain support-de       # a target, and the open incidents it is part of
    $ wabawatch explain 3f2a --json
    """,
)
@click.argument("what", metavar="INCIDENT|TARGET", shell_complete=complete_incident)
@as_json
def explain(what: str, as_json: bool) -> None:
    """Tell the whole chain of an incident or a target: the observations, the thresholds that confirmed them, the
    transitions, and for each destination what it was told, what it waits for and why, and when that ends."""
    app = session().application()
    targets = {one.id: one for one in app.settings.targets}
    incident = None if what in targets else find_incident(app, what)
    if incident is None and what not in targets:
        raise unknown("incident or target", what, [*targets, *(one.id for one in app.store.open_incidents())])
    found = explain_target(app, targets[what]) if incident is None else explain_incident(app, incident)
    if as_json:
        document(found)
    elif isinstance(found, TargetExplained):
        show(*_target_lines(found))
    else:
        show(*_incident_lines(found))


def _incident_lines(found: IncidentExplained) -> Iterator[Text]:
    one, now = found.incident, found.at
    yield Text("incident ") + words(f"{one.id}  ", "bold") + status_text(one.status) + Text(f"  {one.severity}")
    yield words(f"  {one.title}")
    yield words(f"  {one.entity_type} {one.entity_id}, {one.capability}", "dim")
    yield words(f"  {_span(one.opened_at, one.resolved_at, one.resolution, now)}")
    if one.affected:
        yield words(f"  affects {counted(len(one.affected), 'target')}: {_some(one.affected)}")
    for reason in one.reasons:
        yield Text("  ") + words(codes_text(reason.code, reason.description))
    if one.acknowledged_by:
        yield words(f"  {one.acknowledged_by} has it")
    yield from _part("What was seen", [line for seen in found.seen for line in _seen_lines(seen, now)])
    changes = found.changes[-_STORY:]
    yield from _part(
        "How it went",
        [
            Text(f"  {moment(each.at, now)}  ")
            + status_text(each.status)
            + words(f"  {_weight(each.affected, each.codes)}")
            for each in changes
        ],
    )
    yield from _part(
        "Who is told",
        [*_route_lines(found), *(line for notified in found.destinations for line in _told_lines(notified, now))],
    )


def _span(opened_at: datetime, resolved_at: datetime | None, resolution: str | None, now: datetime) -> str:
    if resolved_at is None:
        return f"since {moment(opened_at, now)} UTC, for {lasted(now - opened_at)}"
    permanent = lasted(resolved_at - opened_at)
    return f"from {moment(opened_at, now)} to {moment(resolved_at, now)} UTC, for {permanent}: {resolution or 'over'}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" +{len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004 - a line's worth


def _weight(affected: int, codes: Sequence[str]) -> str:
    return " ".join([f"{affected} affected", *(code.lstrip(":") for code in codes)])


def _part(title: str, lines: Sequence[Text]) -> Iterator[Text]:
    if lines:
        yield Text("")
        yield Text(title, "bold")
        yield from lines


def _seen_lines(seen: SeenDocument, now: datetime) -> Iterator[Text]:
    one = seen.transition
    yield Text(f"  {moment(one.at, now)}  ") + words(one.target.removeprefix("~")) + Text("  ") + _move(one)
    if seen.evidence:
        evidence = ", ".join(f"{each.status} at {moment(each.observed_at, now)}" for each in seen.evidence)
        yield words(
            f"            {counted(len(seen.evidence), 'observation')} of {seen.needed} needed: {evidence}", "dim"
        )


def _move(one: LoggedDocument) -> Text:
    if one.old is None:
        return Text("found ") + status_text(one.new)
    if one.old == one.new:
        return status_text(one.new) + Text(", other reasons")
    return status_text(one.old) + Text(" → ") + status_text(one.new)


def _route_lines(found: IncidentExplained) -> Iterator[Text]:
    if found.routes is None:
        yield Text("  no routes are configured: every destination is told of everything", "dim")
    elif not found.routes:
        yield Text(f"  {_without_routes(found.incident.entity_type)}", "dim")
    else:
        said = "; ".join(f"{one.number} to {', '.join(one.to)}{' (stop)' if one.stop else ''}" for one in found.routes)
        yield words(f"  routes that match: {said}", "dim")


def _without_routes(entity_type: str) -> str:
    if entity_type == DESTINATION:
        return "no route that matches leads to another destination: all others are told"
    if entity_type == MONITOR:
        return "no route matches: what the monitor says of itself is told to every destination"
    return "no route matches"


def _told_lines(notified: ToldDocument, now: datetime) -> Iterator[Text]:
    if notified.notified is None:
        yield words(f"  {notified.destination}", "bold") + Text("  has been told nothing of it")
    else:
        at = moment(notified.told_at, now) if notified.told_at else ""
        times = counted(notified.times, "time")
        yield words(f"  {notified.destination}", "bold") + words(f"  heard {notified.notified} at {at}, {times} in all")
    yield Text("    ") + _next(notified, now)
    if notified.error:
        since = f" since {moment(notified.failing_since, now)}" if notified.failing_since else ""
        yield words(
            f"    {counted(notified.attempts, 'delivery', 'deliveries')} failed{since}: {notified.error}", "yellow"
        )


def _next(notified: ToldDocument, now: datetime) -> Text:
    if notified.decision is not None:
        return words(f"will be told with the next round: {notified.decision}, because {notified.why}", "bold")
    due = (
        f"; looked at again at {moment(notified.due_at, now)}, in {lasted(notified.due_at - now)}"
        if notified.due_at
        else ""
    )
    return words(f"is told nothing now: {decided(notified.why)}{due}")


def _target_lines(found: TargetExplained) -> Iterator[Text]:
    one, now = found.target, found.at
    yield words(f"{one.target}  ", "bold") + status_text(one.status) + words(f"  {one.name}")
    if one.cause or one.detail:
        yield words("  " + ": ".join(part for part in (one.cause, one.detail) if part))
    yield from _part("How its entities stand", [line for track in found.tracks for line in _track_lines(track, now)])
    yield from _part(
        "Readings that changed something, the latest first", [_reading(each, now) for each in found.observations]
    )
    yield from _part(
        "Transitions, the latest first",
        [
            Text(f"  {moment(each.at, now)}  ")
            + words(f"{each.entity_type} {each.entity_id} {each.capability}  ")
            + _move(each)
            for each in found.transitions
        ],
    )
    for incident in found.incidents:
        yield Text("")
        yield from _incident_lines(incident)


def _reading(one: ObservationDocument, now: datetime) -> Text:
    return Text(f"  {moment(one.observed_at, now)}  ") + status_text(one.status) + words(f"  {one.cause or ''}")


def _track_lines(one: TrackDocument, now: datetime) -> Iterator[Text]:
    codes = " ".join(str(code) for code in one.codes)
    since = f"since {moment(one.since, now)}" if one.since else ""
    line = words(f"  {one.entity_type} {one.entity_id} {one.capability}")
    yield line + Text("  ") + status_text(one.status or "not confirmed") + words(f"  {since}  {codes}")
    if one.caused_by:
        yield words(f"    explained by {one.caused_by}", "dim")
    if one.towards:
        yield words(f"    {one.count} of {one.needed} observations in a row for {one.towards}", "dim")


_TARGETS = 20
_LOGGED = 200
_SHOWN = 20


def explain_incident(app: Application, incident: Incident) -> IncidentExplained:
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


def _transitions(app: Application, incident: Incident) -> list[Transition]:
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


def _routes(app: Application, incident: Incident) -> list[RouteDocument] | None:
    rules = app.rules
    if not rules.routes:
        return None
    taken = rules.taken(facts(app, incident))
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


def explain_target(app: Application, target: Target) -> TargetExplained:
    """How a target stands, what speaks for a change, and the open incidents that it is part of."""
    snapshot = app.store.snapshots([target.id]).get(target.id) or Snapshot(target.id)
    keys = [Key(*track.key) for track in snapshot.tracks]
    mine = [one for one in app.store.latest_incidents(keys).values() if _affects(app, one, target.id)]
    return TargetExplained(
        app.clock.now(),
        target_document(pictures([target], {target.id: snapshot}, {}, app.store.coverages(), app.clock.now())[0]),
        [_track(one, app.rules.policy.thresholds) for one in snapshot.tracks],
        [_observation(one) for one in app.store.observations(target.id, limit=_SHOWN)],
        [logged_document(one) for one in app.store.history(target.id, limit=_SHOWN)],
        [explain_incident(app, one) for one in mine],
    )


def _affects(app: Application, incident: Incident, target: str) -> bool:
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
