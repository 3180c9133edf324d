"""`ack`: acknowledge an incident."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from wabawatch.cli.lookups import need_incident, title_of
from wabawatch.cli.options import (
    Command,
    Duration,
    Instant,
    Line,
    author_option,
    complete_incident,
    end_time,
)
from wabawatch.cli.output import show, words
from wabawatch.cli.session import session
from wabawatch.domain.phrases import utc
from wabawatch.domain.silence import Acknowledgement


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
    ends_at = end_time(duration, until, now)
    app.store.save_acknowledgement(Acknowledgement(found.id, author, now, found.status, ends_at, note))
    held = f"until {utc(ends_at)}" if ends_at else "until it ends or gets worse"
    show(words(f"{author} has incident {found.id} ({title_of(app, found)}), {held}"))
