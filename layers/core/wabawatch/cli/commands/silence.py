"""`silence`: add, list and expire silences. Notify applies them from its next round on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import msgspec
from rich.text import Text

from wabawatch.cli.options import (
    Command,
    Commands,
    Duration,
    Instant,
    Line,
    Pair,
    as_json,
    author_option,
    complete_silence,
    end_time,
    unknown,
)
from wabawatch.cli.output import Listing, document, matcher_text, show, words
from wabawatch.cli.session import session
from wabawatch.domain.silence import Matcher, Silence
from wabawatch.messages.text import format_utc, humanize_duration

_MAX_DURATION: Final = timedelta(days=365)


@click.group(cls=Commands, short_help="Mute alerts by matchers, for a while.")
def silence() -> None:
    """Mute incidents by matchers, for a while. When a silence ends, suppressed alerts that are still true are sent."""


def _matcher_option(name: str, metavar: str, text: str) -> Callable[..., Any]:
    return click.option(
        f"--{name}", type=Line(), metavar=metavar, multiple=True, help=f"{text}; repeatable: any of them matches."
    )


@silence.command(
    cls=Command,
    examples="""
    $ wabawatch silence add --target support-de --for 2h --reason "SIM swap"
    $ wabawatch silence add --entity WABA:1234 --reason-code 141006 --until 2026-03-02T08:00Z --reason "invoice is paid"
    $ wabawatch silence add --label client=acme --start 2026-03-01T22:00Z --for 4h --reason "planned move"
    """,
)
@_matcher_option("target", "ID", "A target's ID")
@_matcher_option("entity", "ID", "An entity's ID, or TYPE:ID")
@_matcher_option("entity-type", "TYPE", "An entity type, such as WABA")
@_matcher_option("status", "STATUS", "A status, such as LIMITED")
@_matcher_option("severity", "SEVERITY", "critical, error, warning or info")
@_matcher_option("capability", "NAME", "A capability, such as can_send_message")
@click.option(
    "--label", "labels", type=Pair(), multiple=True, metavar="KEY=VALUE", help="A label; repeatable: all must match."
)
@click.option(
    "--reason-code", type=int, multiple=True, metavar="CODE", help="A reason code; repeatable: any of them matches."
)
@click.option("--all", "everything", is_flag=True, help="Mute everything; required when no matcher is given.")
@click.option("--start", type=Instant(ahead=True), help="When it starts; by default now.")
@click.option("--for", "duration", type=Duration(), help="How long it lasts (2h).")
@click.option("--until", type=Instant(ahead=True), help="When it ends (2026-03-01T18:00Z).")
@click.option("--reason", type=Line(), required=True, help="Why; shown wherever the silence suppresses an alert.")
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
    """Add a silence. An incident of a shared entity is muted only if all affected targets match."""
    match = _build_matcher(everything=everything, **matchers)
    app = session().application()
    _require_known_targets(match.target, {target.id for target in app.settings.targets})
    starts_at = start or app.clock.now()
    ends_at = end_time(duration, until, starts_at)
    if ends_at is None or ends_at - starts_at > _MAX_DURATION:
        raise click.UsageError(
            "a silence must end within a year: give --for 2h, or --until", click.get_current_context()
        )
    added = Silence(secrets.token_hex(4), match, author, reason, starts_at, ends_at)
    app.store.save_silence(added)
    if as_json:
        document(silence_document(added))
    else:
        show(words(f"silence {added.id} until {format_utc(ends_at)}: {matcher_text(match)}"))


def _build_matcher(*, everything: bool, labels: Sequence[tuple[str, str]], **given: Any) -> Matcher:  # noqa: ANN401 - by name
    for name in ("status", "entity_type"):
        given[name] = tuple(value.upper() for value in given[name])
    match = Matcher(**given, labels=dict(labels))
    if (match == Matcher()) != everything:
        advice = (
            "--all mutes everything: remove it, or the matchers"
            if everything
            else "give a matcher (--target, --entity, --status, --label, …), or --all"
        )
        raise click.UsageError(advice, click.get_current_context())
    return match


def _require_known_targets(wanted: Sequence[str], known: Collection[str]) -> None:
    for name in wanted:
        if name not in known:
            raise unknown("target", name, known)


def silence_document(silence: Silence) -> Mapping[str, object]:
    """Return a silence as `silence list --json` prints it; empty matchers are left out."""
    plain: Mapping[str, object] = msgspec.to_builtins(silence, builtin_types=(datetime,))
    return {"version": 1, **plain}


@silence.command(
    "list",
    cls=Command,
    examples="""
    $ wabawatch silence list
    $ wabawatch silence list --all --json
    """,
)
@click.option("--all", "everything", is_flag=True, help="Include those that ended in the last days.")
@as_json
def list_(everything: bool, as_json: bool) -> None:
    """List active and future silences."""
    app = session().application()
    now = app.clock.now()
    found = [silence for silence in app.store.silences() if everything or silence.ends_at > now]
    found.sort(key=lambda silence: silence.ends_at)
    if as_json:
        document({"version": 1, "silences": [silence_document(silence) for silence in found]})
    elif not found:
        show("no silences")
    else:
        _show_silences(found, now)


def _show_silences(silences: Sequence[Silence], now: datetime) -> None:
    listing = Listing("SILENCE", "DURATION", "~MATCHES", "?AUTHOR", "~REASON")
    for found in silences:
        if found.ends_at <= now:
            duration = Text(f"ended {format_utc(found.ends_at)}", "dim")
        elif found.starts_at > now:
            duration = Text(f"from {format_utc(found.starts_at)}")
        else:
            duration = Text(f"{humanize_duration(found.ends_at - now)} left")
        listing.add_row(found.id, duration, words(matcher_text(found.match)), words(found.author), words(found.reason))
    show(listing)


@silence.command(
    cls=Command,
    examples="""
    $ wabawatch silence expire 9c41d2aa
    """,
)
@click.argument("silence_id", metavar="SILENCE", shell_complete=complete_silence)
def expire(silence_id: str) -> None:
    """End a silence now. Suppressed alerts that are still true are sent with the next round."""
    app = session().application()
    now = datetime.now(UTC)
    active = {silence.id: silence for silence in app.store.silences() if silence.ends_at > now}
    if silence_id not in active:
        raise unknown("active silence", silence_id, active)
    found = active[silence_id]
    app.store.save_silence(msgspec.structs.replace(found, starts_at=min(found.starts_at, now), ends_at=now))
    show(words(f"silence {found.id} expired"))
