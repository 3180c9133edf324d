"""`incidents` and `history`: what is open, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import click
from rich.text import Text

from wabawatch.application.membership import affected_targets
from wabawatch.application.ports import Store
from wabawatch.bootstrap import Monitor
from wabawatch.cli.arguments import Instant
from wabawatch.cli.completing import complete_target
from wabawatch.cli.documents import (
    HistoryDocument,
    IncidentDocument,
    IncidentsDocument,
    logged_document,
    reasons_document,
)
from wabawatch.cli.finding import severity, steering, title_of
from wabawatch.cli.listing import Listing
from wabawatch.cli.options import Command, as_json, unknown
from wabawatch.cli.output import document, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.wording import moment, reason_text
from wabawatch.domain.health import UNKNOWN
from wabawatch.domain.incident import Incident
from wabawatch.domain.routing import OperatorActions
from wabawatch.domain.snapshot import Transition
from wabawatch.messages.text import humanize_duration, pluralize

_PAGE = 1000


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


def open_ones(app: Monitor) -> list[Incident]:
    """What is open now, the latest change first."""
    found = [one for one in app.store.open_incidents() if one.is_open]
    return sorted(found, key=lambda one: one.changed_at, reverse=True)


def incident_document(app: Monitor, one: Incident, said: OperatorActions) -> IncidentDocument:
    """One incident, as `incidents --json` and `explain --json` print it."""
    return IncidentDocument(
        one.id,
        *one.key,
        title=title_of(app, one),
        status=one.notified_status,
        worst=one.worst,
        severity=severity(app, one),
        opened_at=one.opened_at,
        changed_at=one.changed_at,
        resolved_at=one.resolved_at,
        resolution=one.resolution or None,
        preexisting=one.preexisting,
        flapping_since=one.flapping_since,
        acknowledged_by=_acknowledged_by(one, said),
        affected=sorted(affected_targets(app.store, one)) if one.is_open else [],
        reasons=reasons_document(one.reasons),
    )


def _acknowledged_by(one: Incident, said: OperatorActions) -> str | None:
    acknowledgement = said.acknowledgements.get(one.id)
    return acknowledgement.author if acknowledgement else None


def _show_incidents(app: Monitor, found: Sequence[Incident], said: OperatorActions) -> None:
    if not found:
        show("nothing is open")
        return
    now = app.clock.now()
    listing = Listing("INCIDENT", "STATUS", "LASTED", "?SEVERITY", "~WHAT", "?ENTITY", "~WHY", "?TOLD", "?ACKNOWLEDGED")
    for one in found:
        listing.add_row(
            one.id,
            status_text(one.notified_status),
            humanize_duration((one.resolved_at or now) - one.opened_at),
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
    show(listing, Text(f"{pluralize(len(found), 'incident')}; more about one: wabawatch explain {found[0].id}", "dim"))


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


def _refuse_unknown_target(app: Monitor, target: str) -> None:
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
