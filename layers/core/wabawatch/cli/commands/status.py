"""`status`: show the status of every target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import click
from rich.text import Text

from wabawatch.cli.json_output import StatusDocument, target_document
from wabawatch.cli.labels import since_text, unread, why
from wabawatch.cli.lookups import fleet
from wabawatch.cli.options import Command, as_json
from wabawatch.cli.output import Listing, document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import Picture, counts, plugin_code, warning, worst_status
from wabawatch.domain.phrases import clean, lasted
from wabawatch.domain.run import Run


@click.command(
    cls=Command,
    short_help="Show every target now, the worst first.",
    examples="""
    $ wabawatch status
    $ wabawatch --stack wabawatch status --json | jq '.targets[] | select(.status != "AVAILABLE")'
    """,
)
@as_json
def status(as_json: bool) -> int:
    """Show every target as the last runs saw it, the worst first. Nothing is read from the API.

    A target counts as UNKNOWN once its latest reading is older than two intervals, whatever it was before.

    Exit code: 2 where any target is BLOCKED, else 3 where any is UNKNOWN, else 1 where any is LIMITED, else 0.
    """
    app = session().application()
    now = app.clock.now()
    coverages = app.store.coverages()
    found = fleet(app, coverages, now)
    last = next(iter(app.store.runs(1)), None)
    overall = worst_status(found)
    warned = warning(found, coverages, app.rules.policy.mass_failure, now)
    if as_json:
        targets = [target_document(one) for one in found]
        read_at = last.finished_at if last else None
        tally = counts(found)
        document(StatusDocument(now, app.settings.deployment, overall, read_at, tally, targets, warned or None))
    else:
        _show_status(found, last, now)
        if warned:
            show(Text(warned, "bold red"))
    return plugin_code(overall)


def _show_status(found: Sequence[Picture], last: Run | None, now: datetime) -> None:
    listing = Listing("STATUS", "TARGET", "?NAME", "SINCE", "~WHY")
    for one in found:
        listing.add_row(
            status_text(one.status),
            words(one.target.id),
            words(one.target.name),
            Text(since_text(one.since, now)),
            why(one),
        )
    show(listing, Text(f"{counts_text(counts(found))}; {_last_run(last, now)}", "dim"))


def _last_run(last: Run | None, now: datetime) -> str:
    if last is None or last.finished_at is None:
        return "no run so far: start `wabawatch run`"
    return f"last run {lasted(now - last.finished_at)} ago{unread(last)}"


def counts_text(tally: Mapping[str, int]) -> str:
    """As in `1 BLOCKED, 2 LIMITED, 9 AVAILABLE`."""
    return ", ".join(f"{count} {clean(word)}" for word, count in tally.items()) or "no targets"
