"""`ack`: acknowledge an incident."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from wabawatch.cli.options import Command, Duration, Instant, Line, author_option, complete_incident, end_time
from wabawatch.cli.output import show, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import incident_title, require_incident
from wabawatch.domain.silence import Acknowledgement
from wabawatch.messages.text import format_utc


@click.command(
    cls=Command,
    short_help="Acknowledge an incident: reminders stop.",
    examples="""
    $ wabawatch ack 3f2a91c0d7e4
    $ wabawatch ack 3f2a --for 4h --note "billing is on it, ticket 4711"
    """,
)
@click.argument("incident", shell_complete=complete_incident)
@click.option("--for", "duration", type=Duration(), help="Expire after this time (4h); by default with the incident.")
@click.option("--until", type=Instant(ahead=True), help="Expire at this time (2026-03-01T18:00Z).")
@click.option("--note", type=Line(), default="", help="A note for your colleagues.")
@author_option
def ack(incident: str, duration: timedelta | None, until: datetime | None, note: str, author: str) -> None:
    """Acknowledge an incident: reminders stop.

    The acknowledgement ends when the incident is resolved or gets worse. INCIDENT is an ID or its beginning.
    """
    app = session().application()
    found = require_incident(app, incident)
    now = app.clock.now()
    if found.resolved_at is not None:
        raise click.UsageError(
            f"incident {found.id} was resolved at {format_utc(found.resolved_at)}", click.get_current_context()
        )
    ends_at = end_time(duration, until, now)
    app.store.save_acknowledgement(Acknowledgement(found.id, author, now, found.status, ends_at, note))
    end = f"until {format_utc(ends_at)}" if ends_at else "until it is resolved or gets worse"
    show(words(f"{author} acknowledged incident {found.id} ({incident_title(app, found)}), {end}"))
