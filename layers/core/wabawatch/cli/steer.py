"""`ack` and `silence`: what people say to the monitor. Notify obeys from its next round on."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import msgspec
from rich.text import Text

from wabawatch.cli.arguments import Duration, Instant, Line, Pair
from wabawatch.cli.completing import complete_incident, complete_silence
from wabawatch.cli.finding import need_incident, title_of
from wabawatch.cli.listing import Listing
from wabawatch.cli.options import Command, Commands, as_json, unknown
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import session
from wabawatch.cli.wording import matcher_text
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence
from wabawatch.messages.text import humanize_duration, utc

_LONGEST: Final = timedelta(days=365)


def author_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """--author, by default whoever is logged in."""
    return click.option("--author", type=Line(), default=_login, show_default="you", help="Who says so.")(function)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "somebody"


def _until(duration: timedelta | None, until: datetime | None, now: datetime) -> datetime | None:
    """The end that --for or --until asks for."""
    context = click.get_current_context()
    if duration is not None and until is not None:
        raise click.UsageError("--for and --until exclude each other", context)
    ends_at = now + duration if duration is not None else until
    if ends_at is not None and ends_at <= now:
        raise click.UsageError("the end is over already", context)
    return ends_at


@click.command(
    cls=Command,
    short_help="Say that someone has it: reminders stop.",
    examples="""
    $ wabawatch ack 3f2a91c0d7e4
    $ wabawatch ack 3f2a --for 4h --note "billing is on it, ticket 4711"
    """,
)
@click.argument("incident", shell_complete=complete_incident)
@click.option("--for", "duration", type=Duration(), help="How long it holds (4h); by default as long as the incident.")
@click.option("--until", type=Instant(ahead=True), help="When it ends (2026-03-01T18:00Z).")
@click.option("--note", type=Line(), default="", help="What colleagues should know.")
@author_option
def ack(incident: str, duration: timedelta | None, until: datetime | None, note: str, author: str) -> None:
    """Say that someone has the incident: reminders stop.

    It ends with the incident, and when that gets worse. INCIDENT is an id or its beginning.
    """
    app = session().application()
    found = need_incident(app, incident)
    now = app.clock.now()
    if found.resolved_at is not None:
        raise click.UsageError(
            f"incident {found.id} is over since {utc(found.resolved_at)}", click.get_current_context()
        )
    ends_at = _until(duration, until, now)
    app.store.save_acknowledgement(Acknowledgement(found.id, author, now, found.status, ends_at, note))
    held = f"until {utc(ends_at)}" if ends_at else "until it ends or gets worse"
    show(words(f"{author} has incident {found.id} ({title_of(app, found)}), {held}"))


@click.group(cls=Commands, short_help="Mute by matchers, for a while.")
def silence() -> None:
    """Mute incidents by matchers, for a while. What still differs when a silence ends is told then."""


def _repeated(name: str, metavar: str, text: str) -> Callable[..., Any]:
    return click.option(
        f"--{name}", type=Line(), metavar=metavar, multiple=True, help=f"{text}; repeatable: any of them."
    )


@silence.command(
    cls=Command,
    examples="""
    $ wabawatch silence add --target support-de --for 2h --reason "SIM swap"
    $ wabawatch silence add --entity WABA:1234 --reason-code 141006 --until 2026-03-02T08:00Z --reason "invoice is paid"
    $ wabawatch silence add --label client=acme --start 2026-03-01T22:00Z --for 4h --reason "planned move"
    """,
)
@_repeated("target", "ID", "A target's id")
@_repeated("entity", "ID", "An entity's id, or TYPE:id")
@_repeated("entity-type", "TYPE", "A type, such as WABA")
@_repeated("status", "STATUS", "A status, such as LIMITED")
@_repeated("severity", "SEVERITY", "critical, error, warning or info")
@_repeated("capability", "NAME", "A capability, such as can_send_message")
@click.option(
    "--label", "labels", type=Pair(), multiple=True, metavar="KEY=VALUE", help="A label; all of them must match."
)
@click.option(
    "--reason-code", type=int, multiple=True, metavar="CODE", help="A reason's code; repeatable: any of them."
)
@click.option("--all", "everything", is_flag=True, help="Everything: what a silence without a matcher must say.")
@click.option("--start", type=Instant(ahead=True), help="When it begins; by default now.")
@click.option("--for", "duration", type=Duration(), help="How long (2h).")
@click.option("--until", type=Instant(ahead=True), help="When it ends (2026-03-01T18:00Z).")
@click.option("--reason", type=Line(), required=True, help="Why; shown wherever the silence holds something back.")
@author_option
@as_json
def add(
    everything: bool,
    start: datetime | None,
    duration: timedelta | None,
    until: datetime | None,
    reason: str,
    author: str,
    as_json: bool,
    **matchers: Any,  # noqa: ANN401 - the options above, by name
) -> None:
    """Add a silence. Of shared entities it mutes only what concerns none but the targets that match."""
    match = _matcher(everything=everything, **matchers)
    app = session().application()
    _refuse_unknown_targets(match.target, (one.id for one in app.settings.targets))
    starts_at = start or app.clock.now()
    ends_at = _until(duration, until, starts_at)
    if ends_at is None or ends_at - starts_at > _LONGEST:
        raise click.UsageError(
            "a silence needs an end within a year: --for 2h, or --until", click.get_current_context()
        )
    added = Silence(secrets.token_hex(4), match, author, reason, starts_at, ends_at)
    app.store.save_silence(added)
    if as_json:
        document(silence_document(added))
    else:
        show(words(f"silence {added.id} until {utc(ends_at)}: {matcher_text(match)}"))


def _matcher(*, everything: bool, labels: Sequence[tuple[str, str]], **given: Any) -> Matcher:  # noqa: ANN401 - by name
    for name in ("status", "entity_type"):
        given[name] = tuple(word.upper() for word in given[name])
    match = Matcher(**given, labels=dict(labels))
    if (match == Matcher()) != everything:
        advice = (
            "--all mutes everything; leave it or the matchers out"
            if everything
            else ("say what to mute: --target, --entity, --status, --label, …; or --all")
        )
        raise click.UsageError(advice, click.get_current_context())
    return match


def _refuse_unknown_targets(wanted: Sequence[str], known: Any) -> None:  # noqa: ANN401 - any iterable of names
    names = set(known)
    for one in wanted:
        if one not in names:
            raise unknown("target", one, names)


def silence_document(one: Silence) -> Mapping[str, object]:
    """One silence, as `silence list --json` prints it; matchers that were not given are left out."""
    plain: Mapping[str, object] = msgspec.to_builtins(one, builtin_types=(datetime,))
    return {"version": 1, **plain}


@silence.command(
    "list",
    cls=Command,
    examples="""
    $ wabawatch silence list
    $ wabawatch silence list --all --json
    """,
)
@click.option("--all", "everything", is_flag=True, help="Those of the last days that are over, too.")
@as_json
def list_(everything: bool, as_json: bool) -> None:
    """List the silences that hold or are to come."""
    app = session().application()
    now = app.clock.now()
    found = [one for one in app.store.silences() if everything or one.ends_at > now]
    found.sort(key=lambda one: one.ends_at)
    if as_json:
        document({"version": 1, "silences": [silence_document(one) for one in found]})
    elif not found:
        show("nothing is muted")
    else:
        _show_silences(found, now)


def _show_silences(found: Sequence[Silence], now: datetime) -> None:
    listing = Listing("SILENCE", "HOLDS", "~WHAT", "?AUTHOR", "~REASON")
    for one in found:
        if one.ends_at <= now:
            when = Text(f"over since {utc(one.ends_at)}", "dim")
        elif one.starts_at > now:
            when = Text(f"from {utc(one.starts_at)}")
        else:
            when = Text(f"for {humanize_duration(one.ends_at - now)} more")
        listing.add_row(one.id, when, words(matcher_text(one.match)), words(one.author), words(one.reason))
    show(listing)


@silence.command(
    cls=Command,
    examples="""
    $ wabawatch silence expire 9c41d2aa
    """,
)
@click.argument("silence_id", metavar="SILENCE", shell_complete=complete_silence)
def expire(silence_id: str) -> None:
    """End a silence now. What still differs is told with the next round."""
    app = session().application()
    now = datetime.now(UTC)
    holding = {one.id: one for one in app.store.silences() if one.ends_at > now}
    if silence_id not in holding:
        raise unknown("silence that holds", silence_id, holding)
    one = holding[silence_id]
    app.store.save_silence(msgspec.structs.replace(one, starts_at=min(one.starts_at, now), ends_at=now))
    show(words(f"silence {one.id} is over"))
