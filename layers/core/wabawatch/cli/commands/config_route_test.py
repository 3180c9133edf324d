"""`config route-test`: show where an example incident would be sent, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import click
import msgspec
from rich.text import Text

from wabawatch.application.planner import affected_targets
from wabawatch.cli.options import Command, Instant, Pair, as_json, complete_incident, complete_target, unknown
from wabawatch.cli.output import document, matcher_text, moment, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import operator_actions, require_incident
from wabawatch.domain.health import BLOCKED, MESSAGING, UNKNOWN, Reason
from wabawatch.domain.incident import Incident, Member, NotificationState
from wabawatch.domain.routing import Route
from wabawatch.domain.silence import IncidentFacts, Matcher, matches
from wabawatch.monitor import Monitor


class RouteMatch(msgspec.Struct, frozen=True):
    """The result of a route. `failing` lists conditions that do not hold; `reached` is false after a matching stop."""

    number: int
    match: str
    to: list[str]
    stop: bool
    reached: bool
    failing: list[str]


class DestinationVerdict(msgspec.Struct, frozen=True):
    """Whether a destination is notified, and when (null: at once). `muted_by` is what delays it."""

    destination: str
    notified: bool
    opens_at: datetime | None
    muted_by: str | None


class RouteTest(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`config route-test --json`."""

    status: str
    severity: str
    routes: list[RouteMatch]
    destinations: list[DestinationVerdict]


@click.command(
    "route-test",
    cls=Command,
    examples="""
    $ wabawatch config route-test --target support-de --reason-code 141006
    $ wabawatch config route-test --entity-type BUSINESS --target support-de --target sales-de --status LIMITED
    $ wabawatch config route-test --incident 3f2a91c0d7e4 --at 2026-03-01T22:30Z
    """,
)
@click.option("--target", "targets", metavar="ID", multiple=True, shell_complete=complete_target, help="Repeatable.")
@click.option("--status", default=BLOCKED, show_default=True, metavar="STATUS", help="The status of the example.")
@click.option(
    "--entity-type", default="WABA", show_default=True, metavar="TYPE", help="The type of the entity at fault."
)
@click.option("--entity", default="example", metavar="ID", help="The ID of the entity at fault.")
@click.option(
    "--capability", default=MESSAGING, show_default=True, metavar="NAME", help="The capability that is impaired."
)
@click.option("--reason-code", type=int, multiple=True, metavar="CODE", help="A reason code; repeatable.")
@click.option(
    "--cause", metavar="WORD", help="Why the target cannot be read, such as unauthorized; the status is then UNKNOWN."
)
@click.option(
    "--label",
    "labels",
    type=Pair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="All targets with this label; repeatable.",
)
@click.option(
    "--incident", metavar="INCIDENT", shell_complete=complete_incident, help="Use this incident instead of an example."
)
@click.option("--at", type=Instant(ahead=True), help="The time for working hours and windows; by default now.")
@as_json
def route_test(
    targets: tuple[str, ...],
    status: str,
    entity_type: str,
    entity: str,
    capability: str,
    reason_code: tuple[int, ...],
    cause: str | None,
    labels: tuple[tuple[str, str], ...],
    incident: str | None,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Show where an example incident would be sent, and why: the routes and their conditions, the severity, working
    hours, maintenance windows and silences. Nothing is sent."""
    app = session().application()
    when = at or app.clock.now()
    if incident is not None:
        example = require_incident(app, incident)
    else:
        chosen = _choose_targets(app, targets, dict(labels))
        key = (entity_type.upper(), entity, capability)
        example = _build_example(key, status=status.upper(), targets=chosen, codes=reason_code, cause=cause, at=when)
    found = try_routes(app, example, when)
    if as_json:
        document(found)
    else:
        show(*_lines(found, when))


def _choose_targets(app: Monitor, targets: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """Return the named targets and those with all the labels; without either, the first configured target."""
    known = {target.id: target for target in app.settings.targets}
    for name in targets:
        if name not in known:
            raise unknown("target", name, known)
    labelled = [target.id for target in known.values() if labels and labels.items() <= target.labels.items()]
    if labels and not labelled:
        raise click.UsageError("no target has these labels", click.get_current_context())
    return list(dict.fromkeys([*targets, *labelled])) or list(known)[:1]


def _build_example(
    key: tuple[str, str, str],
    *,
    status: str,
    targets: Sequence[str],
    codes: Sequence[int],
    cause: str | None,
    at: datetime,
) -> Incident:
    reasons = tuple(Reason(code) for code in codes) + ((Reason(description=cause),) if cause else ())
    if cause:
        key, status = ("TARGET", targets[0], "health_status"), UNKNOWN
    members = {name: Member(status, at) for name in targets}
    counts = {status: len(members)}
    return Incident("example", *key, status, status, at, at, at, reasons=reasons, counts=counts, named=members)


def try_routes(app: Monitor, example: Incident, at: datetime) -> RouteTest:
    """Apply routes, working hours, windows and silences to an incident; change nothing."""
    rules, actions = app.rules, operator_actions(app)
    facts = rules.build_facts(example, affected_targets(app.store, example), app.audience.fleet)
    names = app.settings.destinations
    cases = {name: rules.case(example, name, NotificationState(), actions, at, facts=facts).situation for name in names}
    verdicts = [
        DestinationVerdict(
            destination=name,
            notified=case.routed,
            opens_at=case.opens_at if case.routed else None,
            muted_by=case.mute.why if case.mute and case.routed else None,
        )
        for name, case in cases.items()
    ]
    return RouteTest(example.status, facts.severity, list(_match_routes(rules.routes, facts)), verdicts)


def _match_routes(routes: Sequence[Route], facts: IncidentFacts) -> Iterator[RouteMatch]:
    stopped = False
    for number, route in enumerate(routes, 1):
        failing = [matcher_text(part) for part in _conditions(route.match) if not matches(part, facts)]
        if not failing and not matches(route.match, facts):
            failing = ["no single target matches both target and label"]
        yield RouteMatch(number, matcher_text(route.match), list(route.to), route.stop, not stopped, failing)
        stopped = stopped or (route.stop and not failing)


def _conditions(match: Matcher) -> Iterator[Matcher]:
    """Yield each condition as a matcher of its own."""
    for name, value in msgspec.structs.asdict(match).items():
        if value:
            yield Matcher(**{name: value})


def _lines(found: RouteTest, at: datetime) -> Iterator[Text]:
    yield status_text(found.status) + Text(f", severity {found.severity}, at {at:%Y-%m-%d %H:%M} UTC")
    if not found.routes:
        yield Text("no routes are configured: every destination gets every notification", "dim")
    for route in found.routes:
        line = words(f"  route {route.number}: {route.match} → {', '.join(route.to)}")
        yield line + Text("  ") + _route_result(route)
    for verdict in found.destinations:
        yield words(f"{verdict.destination}: ", "bold") + words(_verdict_text(verdict, at))


def _route_result(route: RouteMatch) -> Text:
    if not route.reached:
        return Text("not reached", "dim")
    if route.failing:
        return words(f"no: not {'; not '.join(route.failing)}", "dim")
    return Text("matches, and stops" if route.stop else "matches", "green")


def _verdict_text(verdict: DestinationVerdict, at: datetime) -> str:
    if not verdict.notified:
        return "not notified"
    if verdict.muted_by:
        return f"notified when the mute ends ({verdict.muted_by})"
    if verdict.opens_at:
        return f"notified when working hours begin, at {moment(verdict.opens_at, at)} UTC"
    return "notified at once"
