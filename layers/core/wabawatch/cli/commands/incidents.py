"""`incidents`: list incidents."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text

from wabawatch.bootstrap import Application
from wabawatch.cli.json_output import (
    IncidentsDocument,
    _acknowledged_by,
    incident_document,
)
from wabawatch.cli.labels import reason_text
from wabawatch.cli.lookups import open_ones, severity, steering, title_of
from wabawatch.cli.options import Command, as_json
from wabawatch.cli.output import Listing, document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.domain.incident import Incident
from wabawatch.domain.phrases import counted, lasted
from wabawatch.domain.rules import OperatorActions


@click.command(
    cls=Command,
    short_help="List what is open.",
    examples="""
    $ wabawatch incidents
    $ wabawatch incidents --all --limit 20
    $ wabawatch incidents --json | jq -r '.incidents[].title'
    """,
)
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most this many with --all.")
@as_json
def incidents(everything: bool, limit: int, as_json: bool) -> None:
    """List the incidents that are open, the latest change first; with --all those that are over, too."""
    app = session().application()
    found = app.store.incidents(limit) if everything else open_ones(app)
    said = steering(app)
    if as_json:
        document(IncidentsDocument(app.clock.now(), [incident_document(app, one, said) for one in found]))
    else:
        _show_incidents(app, found, said)


def _show_incidents(app: Application, found: Sequence[Incident], said: OperatorActions) -> None:
    if not found:
        show("nothing is open")
        return
    now = app.clock.now()
    listing = Listing("INCIDENT", "STATUS", "LASTED", "?SEVERITY", "~WHAT", "?ENTITY", "~WHY", "?TOLD", "?ACKNOWLEDGED")
    for one in found:
        listing.add_row(
            one.id,
            status_text(one.notified_status),
            lasted((one.resolved_at or now) - one.opened_at),
            severity(app, one),
            words(title_of(app, one)),
            words(f"{one.entity_type} {one.entity_id}"),
            reason_text(one.reasons[0]) if one.reasons else "",
            words(
                ", ".join(name for name, notified in one.notification_log.items() if notified.status is not None)
                or "nobody yet"
            ),
            words(_acknowledged_by(one, said) or ""),
        )
    show(listing, Text(f"{counted(len(found), 'incident')}; more about one: wabawatch explain {found[0].id}", "dim"))
