"""`history`: show the transition log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import click

from wabawatch.application.ports import Store
from wabawatch.cli.json_output import HistoryDocument, logged_document
from wabawatch.cli.options import Command, Instant, as_json, complete_target, unknown
from wabawatch.cli.output import Listing, change_text, document, moment, reason_text, show, words
from wabawatch.cli.session import session
from wabawatch.domain.snapshot import Transition
from wabawatch.monitor import Monitor

_PAGE = 1000


@click.command(
    cls=Command,
    short_help="Show transitions, latest first.",
    examples="""
    $ wabawatch history
    $ wabawatch history support-de --since 7d
    $ wabawatch history --status BLOCKED --since 2026-03-01 --until 2026-04-01 --json
    """,
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--since", type=Instant(), help="From this time (2026-03-01T09:30Z) or age (7d) on.")
@click.option("--until", type=Instant(), help="Before this time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help="Only changes from or to it; repeatable.")
@click.option("--entity", metavar="ID", help="Only this entity: its ID, or TYPE:ID.")
@click.option("--capability", metavar="NAME", help="Only this capability, such as can_send_message.")
@click.option("--reason-code", type=int, multiple=True, help="Only changes with this reason; repeatable.")
@as_json
def history(
    target: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    statuses: tuple[str, ...],
    entity: str | None,
    capability: str | None,
    reason_code: tuple[int, ...],
    as_json: bool,
) -> None:
    """Show the transition log of a target, or of all targets, the latest first."""
    if since and until and since > until:
        raise click.UsageError("--since is later than --until", click.get_current_context())
    app = session().application()
    wanted_statuses = {status.upper() for status in statuses}

    def is_wanted(logged: Transition) -> bool:
        return (
            (not statuses or bool({logged.old, logged.new} & wanted_statuses))
            and (not entity or entity in {logged.entity_id, f"{logged.entity_type}:{logged.entity_id}"})
            and (not capability or logged.capability == capability)
            and (not reason_code or bool({reason.code for reason in logged.reasons} & set(reason_code)))
        )

    found = list(islice(filter(is_wanted, read_log(app.store, target, since, until)), limit))
    if not found and target is not None:
        _require_known_target(app, target)
    if as_json:
        document(HistoryDocument([logged_document(logged) for logged in found]))
    else:
        _show_history(found, app.clock.now())


def read_log(store: Store, target: str | None, since: datetime | None, until: datetime | None) -> Iterator[Transition]:
    """Yield the transitions of [since, until), the latest first, a page at a time.

    Pages overlap by an instant, so that no transition is lost of several with the same time."""
    seen: set[tuple[str, int]] = set()
    while True:
        page = store.history(target, since, until, _PAGE)
        fresh = [logged for logged in page if (logged.target, logged.seq) not in seen]
        seen = {(logged.target, logged.seq) for logged in page}
        yield from fresh
        if len(page) < _PAGE or not fresh:
            return
        until = page[-1].at + timedelta(microseconds=1)


def _require_known_target(app: Monitor, target: str) -> None:
    """Raise UsageError for a target that is neither configured nor in the log: probably a typing error."""
    known = {configured.id for configured in app.settings.targets}
    if target not in known and not app.store.history(target, limit=1):
        raise unknown("target", target, known)


def _show_history(found: Sequence[Transition], now: datetime) -> None:
    if not found:
        show("no transitions")
        return
    listing = Listing("AT (UTC)", "TARGET", "CHANGE", "?ENTITY", "?CAPABILITY", "~WHY")
    for logged in found:
        listing.add_row(
            moment(logged.at, now),
            words("monitor" if logged.target.startswith("~") else logged.target),
            change_text(logged.old, logged.new),
            words(f"{logged.entity_type} {logged.entity_id}"),
            words(logged.capability),
            reason_text(logged.reasons[0]) if logged.reasons else "",
        )
    show(listing)
