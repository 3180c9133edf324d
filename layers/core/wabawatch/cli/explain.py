"""`explain`: why each destination was told, waits, or was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import click
from rich.text import Text

from wabawatch.cli.completing import complete_incident
from wabawatch.cli.documents import LoggedDocument, ToldDocument
from wabawatch.cli.explaining import (
    IncidentExplained,
    ObservationDocument,
    SeenDocument,
    TargetExplained,
    TrackDocument,
    explain_incident,
    explain_target,
)
from wabawatch.cli.finding import find_incident
from wabawatch.cli.options import Command, as_json, unknown
from wabawatch.cli.output import document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.wording import codes_text, decided, moment
from wabawatch.domain.incident import DESTINATION, MONITOR
from wabawatch.messages.text import humanize_duration, pluralize

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
        yield words(f"  affects {pluralize(len(one.affected), 'target')}: {_some(one.affected)}")
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
        return f"since {moment(opened_at, now)} UTC, for {humanize_duration(now - opened_at)}"
    permanent = humanize_duration(resolved_at - opened_at)
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
            f"            {pluralize(len(seen.evidence), 'observation')} of {seen.needed} needed: {evidence}", "dim"
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
        times = pluralize(notified.times, "time")
        yield words(f"  {notified.destination}", "bold") + words(f"  heard {notified.notified} at {at}, {times} in all")
    yield Text("    ") + _next(notified, now)
    if notified.error:
        since = f" since {moment(notified.failing_since, now)}" if notified.failing_since else ""
        yield words(
            f"    {pluralize(notified.attempts, 'delivery', 'deliveries')} failed{since}: {notified.error}", "yellow"
        )


def _next(notified: ToldDocument, now: datetime) -> Text:
    if notified.decision is not None:
        return words(f"will be told with the next round: {notified.decision}, because {notified.why}", "bold")
    due = (
        f"; looked at again at {moment(notified.due_at, now)}, in {humanize_duration(notified.due_at - now)}"
        if notified.due_at
        else ""
    )
    return words(f"is told nothing now: {decided(notified.why)}{due}")


def _target_lines(found: TargetExplained) -> Iterator[Text]:
    one, now = found.target, found.at
    yield words(f"{one.target}  ", "bold") + status_text(one.status) + words(f"  {one.name}")
    if one.cause or one.detail:
        yield words("  " + ": ".join(part for part in (one.cause, one.detail) if part))
    yield from _part("How its entities stand", [line for state in found.states for line in _track_lines(state, now)])
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
