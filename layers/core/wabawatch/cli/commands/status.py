"""`status`: show the status of every target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click
from rich.text import Text

from wabawatch.cli.json_output import StatusDocument, target_document
from wabawatch.cli.options import Command, as_json
from wabawatch.cli.output import Listing, document, show, since_text, status_text, unread, why, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import (
    TargetView,
    count_statuses,
    fleet_status,
    fleet_warning,
    status_exit_code,
    view_fleet,
)
from wabawatch.domain.sharding import Run
from wabawatch.messages.text import humanize_duration, sanitize


@click.command(
    cls=Command,
    short_help="Show the status of every target, worst first.",
    examples="""
    $ wabawatch status
    $ wabawatch --stack wabawatch status --json | jq '.targets[] | select(.status != "AVAILABLE")'
    """,
)
@as_json
def status(as_json: bool) -> int:
    """Show every target as the last runs saw it, the worst first. Nothing is read from the API.

    A target is UNKNOWN if its latest reading is older than two intervals.

    Exit code: 2 if any target is BLOCKED, else 3 if any is UNKNOWN, else 1 if any is LIMITED, else 0.
    """
    app = session().application()
    now = app.clock.now()
    coverages = app.store.coverages()
    views = view_fleet(app, coverages, now)
    last_run = next(iter(app.store.runs(1)), None)
    overall = fleet_status(views)
    warning = fleet_warning(views, coverages, app.rules.policy.mass_failure, now)
    if as_json:
        document(
            StatusDocument(
                at=now,
                deployment=app.settings.deployment,
                status=overall,
                read_at=last_run.finished_at if last_run else None,
                counts=count_statuses(views),
                targets=[target_document(view) for view in views],
                warning=warning or None,
            )
        )
    else:
        _show_status(views, last_run, now)
        if warning:
            show(Text(warning, "bold red"))
    return status_exit_code(overall)


def _show_status(views: Sequence[TargetView], last_run: Run | None, now: datetime) -> None:
    listing = Listing("STATUS", "TARGET", "?NAME", "DURATION", "~WHY")
    for view in views:
        listing.add_row(
            status_text(view.status),
            words(view.target.id),
            words(view.target.name),
            Text(since_text(view.since, now)),
            why(view),
        )
    counts = ", ".join(f"{count} {sanitize(name)}" for name, count in count_statuses(views).items())
    show(listing, Text(f"{counts or 'no targets'}; {_last_run_text(last_run, now)}", "dim"))


def _last_run_text(last_run: Run | None, now: datetime) -> str:
    if last_run is None or last_run.finished_at is None:
        return "no run so far: start `wabawatch run`"
    return f"last run {humanize_duration(now - last_run.finished_at)} ago{unread(last_run)}"
