"""`config route-test`: where an example would go, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import click
import msgspec
from rich.text import Text

from wabawatch.application.membership import affected_targets
from wabawatch.bootstrap import Monitor
from wabawatch.cli.arguments import Instant, Pair
from wabawatch.cli.completing import complete_incident, complete_target
from wabawatch.cli.finding import need_incident, steering
from wabawatch.cli.options import Command, as_json, unknown
from wabawatch.cli.output import document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.wording import matcher_text, moment
from wabawatch.domain.health import BLOCKED, MESSAGING, UNKNOWN, Reason
from wabawatch.domain.incident import Incident, Member, NotificationState
from wabawatch.domain.matching import IncidentFacts, matches
from wabawatch.domain.routing import Route
from wabawatch.domain.silence import Matcher


class Tried(msgspec.Struct, frozen=True):
    """A route before the example. `failing` names the conditions that do not hold; `reached` is False behind a stop."""

    number: int
    match: str
    to: list[str]
    stop: bool
    reached: bool
    failing: list[str]


class Going(msgspec.Struct, frozen=True):
    """A destination: whether it is told, and from when on (null: at once). `muted_by` names what holds it back."""

    destination: str
    notified: bool
    opens_at: datetime | None
    muted_by: str | None


class RouteTest(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """What `config route-test --json` prints."""

    status: str
    severity: str
    routes: list[Tried]
    destinations: list[Going]


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
@click.option("--status", default=BLOCKED, show_default=True, metavar="STATUS", help="The example's status.")
@click.option("--entity-type", default="WABA", show_default=True, metavar="TYPE", help="What is at fault.")
@click.option("--entity", default="example", metavar="ID", help="The id of what is at fault.")
@click.option("--capability", default=MESSAGING, show_default=True, metavar="NAME", help="What it cannot do.")
@click.option("--reason-code", type=int, multiple=True, metavar="CODE", help="Why; repeatable.")
@click.option("--cause", metavar="WORD", help="Why it cannot be read, such as unauthorized; makes it UNKNOWN.")
@click.option("--label", "labels", type=Pair(), multiple=True, metavar="KEY=VALUE", help="All targets that have it.")
@click.option(
    "--incident", metavar="INCIDENT", shell_complete=complete_incident, help="A real one in place of all that."
)
@click.option("--at", type=Instant(ahead=True), help="When; by default now. Working hours and windows depend on it.")
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
    """Show where an example would go, and why: each route with the conditions that hold or do not, its severity,
    working hours, maintenance windows and silences. Nothing is sent."""
    app = session().application()
    when = at or app.clock.now()
    if incident is not None:
        example = need_incident(app, incident)
    else:
        chosen = _chosen(app, targets, dict(labels))
        key = (entity_type.upper(), entity, capability)
        example = _example(key, UNKNOWN if cause else status.upper(), chosen, reason_code, cause, when)
    found = try_routes(app, example, when)
    if as_json:
        document(found)
    else:
        show(*_lines(found, when))


def _chosen(app: Monitor, targets: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """The targets named, and those with all the labels; with neither, the first of the fleet."""
    known = {one.id: one for one in app.settings.targets}
    for one in targets:
        if one not in known:
            raise unknown("target", one, known)
    labelled = [one.id for one in known.values() if labels and labels.items() <= one.labels.items()]
    if labels and not labelled:
        raise click.UsageError("no target has these labels", click.get_current_context())
    return list(dict.fromkeys([*targets, *labelled])) or list(known)[:1]


def _example(
    key: tuple[str, str, str],
    status: str,
    targets: Sequence[str],
    codes: Sequence[int],
    cause: str | None,
    at: datetime,
) -> Incident:
    reasons = tuple(Reason(code) for code in codes) + ((Reason(description=cause),) if cause else ())
    if cause:
        key = ("TARGET", targets[0], "health_status")
    members = {one: Member(status, at) for one in targets}
    counts = {status: len(members)}
    return Incident("example", *key, status, status, at, at, at, reasons=reasons, counts=counts, named=members)


def try_routes(app: Monitor, example: Incident, at: datetime) -> RouteTest:
    """Put an incident before the rules; changes nothing."""
    rules, said = app.rules, steering(app)
    facts = rules.build_facts(example, affected_targets(app.store, example), app.audience.fleet)
    names = app.settings.destinations
    cases = {name: rules.case(example, name, NotificationState(), said, at, facts=facts).situation for name in names}
    going = [
        Going(name, one.routed, one.opens_at if one.routed else None, one.mute.why if one.mute and one.routed else None)
        for name, one in cases.items()
    ]
    return RouteTest(example.status, facts.severity, list(_tried(rules.routes, facts)), going)


def _tried(routes: Sequence[Route], facts: IncidentFacts) -> Iterator[Tried]:
    stopped = False
    for number, route in enumerate(routes, 1):
        failing = [matcher_text(one) for one in _conditions(route.match) if not matches(one, facts)]
        if not failing and not matches(route.match, facts):
            failing = ["no single target meets target and label together"]
        yield Tried(number, matcher_text(route.match), list(route.to), route.stop, not stopped, failing)
        stopped = stopped or (route.stop and not failing)


def _conditions(match: Matcher) -> Iterator[Matcher]:
    """Each condition by itself."""
    for name, value in msgspec.structs.asdict(match).items():
        if value:
            yield Matcher(**{name: value})


def _lines(found: RouteTest, at: datetime) -> Iterator[Text]:
    yield status_text(found.status) + Text(f", severity {found.severity}, at {at:%Y-%m-%d %H:%M} UTC")
    if not found.routes:
        yield Text("no routes are configured: every destination is told of everything", "dim")
    for one in found.routes:
        yield words(f"  route {one.number}: {one.match} → {', '.join(one.to)}") + Text("  ") + _verdict(one)
    for going in found.destinations:
        yield words(f"{going.destination}: ", "bold") + words(_said(going, at))


def _verdict(one: Tried) -> Text:
    if not one.reached:
        return Text("not reached", "dim")
    if one.failing:
        return words(f"no: not {'; not '.join(one.failing)}", "dim")
    return Text("matches, and is the last" if one.stop else "matches", "green")


def _said(going: Going, at: datetime) -> str:
    if not going.notified:
        return "not told"
    if going.muted_by:
        return f"told when the mute ends ({going.muted_by})"
    return f"told when its hours begin, at {moment(going.opens_at, at)} UTC" if going.opens_at else "told at once"
