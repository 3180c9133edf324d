"""`history`: show the transition log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import click
from rich.text import Text

from wabawatch.application.ports import Store
from wabawatch.bootstrap import Application
from wabawatch.cli.json_output import (
    HistoryDocument,
    logged_document,
)
from wabawatch.cli.labels import moment, reason_text
from wabawatch.cli.options import Command, Instant, as_json, complete_target, unknown
from wabawatch.cli.output import Listing, document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.domain.health import UNKNOWN
from wabawatch.domain.snapshot import Transition

_PAGE = 1000


@click.command(
    cls=Command,
    short_help="Show what happened, the latest first.",
    examples="""
    $ wabawatch history
    $ wabawatch history support-de --since 7d
    $ wabawatch history --status BLOCKED --since 2026-03-01 --until 2026-04-01 --json
    """,
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--since", type=Instant(), help="Not before this time (2026-03-01T09:30Z), or so long ago (7d).")
@click.option("--until", type=Instant(), help="Before this time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@click.option("--status", "statuses", multiple=True, metavar="STATUS", help="Only changes from or to it; repeatable.")
@click.option("--entity", metavar="ID", help="Only this entity: its id, or TYPE:id.")
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
    """Show the transition log, the latest first: of one target, or of all."""
    if since and until and since > until:
        raise click.UsageError("--since is later than --until", click.get_current_context())
    app = session().application()

    def wanted(one: Transition) -> bool:
        return (
            (not statuses or bool({one.old, one.new} & {status.upper() for status in statuses}))
            and (not entity or entity in {one.entity_id, f"{one.entity_type}:{one.entity_id}"})
            and (not capability or one.capability == capability)
            and (not reason_code or bool({reason.code for reason in one.reasons} & set(reason_code)))
        )

    found = list(islice(logged(app.store, target, since, until, wanted), limit))
    if not found and target is not None:
        _refuse_unknown_target(app, target)
    if as_json:
        document(HistoryDocument([logged_document(one) for one in found]))
    else:
        _show_history(found, app.clock.now())


def logged(
    store: Store,
    target: str | None,
    since: datetime | None,
    until: datetime | None,
    wanted: Callable[[Transition], bool] = lambda _: True,
) -> Iterator[Transition]:
    """The transition log, the latest first, a page at a time; `since` belongs to it, `until` does not. Pages overlap by
    an instant, so that nothing is lost of what happened at once."""
    seen: set[tuple[str, int]] = set()
    while True:
        page = store.history(target, since, until, _PAGE)
        fresh = [one for one in page if (one.target, one.seq) not in seen]
        seen = {(one.target, one.seq) for one in page}
        yield from filter(wanted, fresh)
        if len(page) < _PAGE or not fresh:
            return
        until = page[-1].at + timedelta(microseconds=1)


def _refuse_unknown_target(app: Application, target: str) -> None:
    """A target without a history is fine when it is configured; one that nobody knows is a slip of the finger."""
    known = {one.id for one in app.settings.targets}
    if target not in known and not app.store.history(target, limit=1):
        raise unknown("target", target, known)


def _show_history(found: Sequence[Transition], now: datetime) -> None:
    if not found:
        show("nothing has changed")
        return
    listing = Listing("AT (UTC)", "TARGET", "CHANGE", "?ENTITY", "?CAPABILITY", "~WHY")
    for one in found:
        listing.add_row(
            moment(one.at, now),
            words("monitor" if one.target.startswith("~") else one.target),
            change_text(one),
            words(f"{one.entity_type} {one.entity_id}"),
            words(one.capability),
            reason_text(one.reasons[0]) if one.reasons else "",
        )
    show(listing)


def change_text(one: Transition) -> Text:
    """`AVAILABLE → BLOCKED`, `found LIMITED`, or `BLOCKED, other reasons`."""
    if one.old is None:
        return Text("found ") + status_text(one.new)
    if one.old == one.new:
        return status_text(one.new) + Text(", other reasons")
    return status_text(one.old or UNKNOWN) + Text(" → ") + status_text(one.new)
