"""`incidents`: list incidents."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.text import Text

from wabawatch.cli.json_output import IncidentsDocument, incident_document
from wabawatch.cli.options import Command, as_json
from wabawatch.cli.output import Listing, document, reason_text, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import (
    acknowledged_by,
    incident_severity,
    incident_title,
    list_open_incidents,
    operator_actions,
)
from wabawatch.domain.incident import Incident
from wabawatch.domain.routing import OperatorActions
from wabawatch.messages.text import humanize_duration, pluralize
from wabawatch.monitor import Monitor


@click.command(
    cls=Command,
    short_help="List open incidents.",
    examples="""
    $ wabawatch incidents
    $ wabawatch incidents --all --limit 20
    $ wabawatch incidents --json | jq -r '.incidents[].title'
    """,
)
@click.option("--all", "everything", is_flag=True, help="Include resolved incidents.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most this many with --all.")
@as_json
def incidents(everything: bool, limit: int, as_json: bool) -> None:
    """List the open incidents, the latest change first; with --all resolved incidents too."""
    app = session().application()
    found = app.store.incidents(limit) if everything else list_open_incidents(app)
    actions = operator_actions(app)
    if as_json:
        documents = [incident_document(app, incident, actions) for incident in found]
        document(IncidentsDocument(app.clock.now(), documents))
    else:
        _show_incidents(app, found, actions)


def _show_incidents(app: Monitor, found: Sequence[Incident], actions: OperatorActions) -> None:
    if not found:
        show("no open incidents")
        return
    now = app.clock.now()
    listing = Listing(
        "INCIDENT", "STATUS", "DURATION", "?SEVERITY", "~WHAT", "?ENTITY", "~WHY", "?NOTIFIED", "?ACKNOWLEDGED BY"
    )
    for incident in found:
        destinations = ", ".join(name for name, row in incident.notification_log.items() if row.status is not None)
        listing.add_row(
            incident.id,
            status_text(incident.notified_status),
            humanize_duration((incident.resolved_at or now) - incident.opened_at),
            incident_severity(app, incident),
            words(incident_title(app, incident)),
            words(f"{incident.entity_type} {incident.entity_id}"),
            reason_text(incident.reasons[0]) if incident.reasons else "",
            words(destinations or _not_notified(incident)),
            words(acknowledged_by(incident, actions) or ""),
        )
    hint = f"details: wabawatch explain {found[0].id}"
    show(listing, Text(f"{pluralize(len(found), 'incident')}; {hint}", "dim"))


def _not_notified(incident: Incident) -> str:
    return "not yet" if incident.is_open else "nobody"
