"""`replay`: show what another configuration would have sent."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import click
import msgspec
from rich.text import Text

from wabawatch.application.replay import RecordedHistory, Replay, ReplayedNotification
from wabawatch.bootstrap import build, open_store
from wabawatch.cli.options import Command, Instant, as_json, complete_target, unknown
from wabawatch.cli.output import Listing, document, show, words
from wabawatch.cli.session import session
from wabawatch.domain.health import Observation
from wabawatch.messages.message import render_title
from wabawatch.messages.text import pluralize, sanitize
from wabawatch.messages.titles import notification_badge
from wabawatch.monitor import Monitor

_MAX_ROWS: Final = 100_000
"""Runs, and observations of one target: a year of five-minute runs."""


class ReplayedDocument(msgspec.Struct, frozen=True):
    """A notification that would have been sent."""

    at: datetime
    destination: str
    kind: str
    severity: str
    incidents: list[str]
    headline: str


class ReplayDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`replay --json`. `present` is how many notifications the current configuration would have sent in that time."""

    since: datetime
    until: datetime
    notifications: list[ReplayedDocument]
    present: int


@click.command(
    cls=Command,
    short_help="Show what another configuration would have sent.",
    examples="""
    $ wabawatch replay calmer.yaml
    $ wabawatch replay calmer.yaml --since 30d --target support-de
    $ wabawatch --stack wabawatch replay calmer.yaml --json | jq '.notifications | length'
    """,
)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--since", type=Instant(), default="7d", show_default=True, help="From this time or age on.")
@click.option("--until", type=Instant(), help="Until this time; by default now.")
@click.option("--target", "targets", metavar="ID", multiple=True, shell_complete=complete_target, help="Repeatable.")
@as_json
def replay(file: str | None, since: datetime, until: datetime | None, targets: tuple[str, ...], as_json: bool) -> None:
    """Apply the configuration FILE (by default the current configuration) to the stored observations, and show what
    would have been sent. Nothing is sent or recorded.

    Only observations that changed something are stored; between them the status is assumed to be the same.
    """
    own = session()
    app = own.application()
    end = until or app.clock.now()
    if since >= end:
        raise click.UsageError("--since must be before --until", click.get_current_context())
    past = _load_past(app, targets, end)
    sent = _replay(app, past, since, end)
    present = len(sent)
    if file is not None:
        other = build(own.where, file, own.environment, remember=False, resolve=False)
        sent = _replay(other, past, since, end)
    if as_json:
        document(ReplayDocument(since, end, [_document(would) for would in sent], present))
    else:
        _show(sent, present if file is not None else None, since)


def _load_past(app: Monitor, targets: Sequence[str], until: datetime) -> RecordedHistory:
    """Load everything stored until then. Incidents opened before --since matter too."""
    known = [target.id for target in app.settings.targets]
    for name in targets:
        if name not in known:
            raise unknown("target", name, known)
    observations: dict[str, list[Observation]] = {}
    for name in targets or known:
        observations[name] = app.store.observations(name, None, until, _MAX_ROWS)[::-1]
    runs = [run.finished_at or run.started_at for run in app.store.runs(_MAX_ROWS)]
    return RecordedHistory(observations, sorted(at for at in runs if at <= until))


def _replay(app: Monitor, past: RecordedHistory, since: datetime, until: datetime) -> list[ReplayedNotification]:
    kinds = {name: destination.kind for name, destination in app.settings.destinations.items()}
    with tempfile.TemporaryDirectory(prefix="wabawatch-") as folder:
        scratch = open_store(f"sqlite:{folder}/replay.db", timedelta(days=1))
        try:
            for silence in app.store.silences():
                scratch.save_silence(silence)
            found = Replay(past, scratch, app.rules, app.audience, kinds).run(until)
        finally:
            scratch.close()
    return [would for would in found if would.at >= since]


def _document(would: ReplayedNotification) -> ReplayedDocument:
    said = would.notification
    severities = [subject.severity for subject in said.subjects]
    return ReplayedDocument(
        at=would.at,
        destination=said.destination,
        kind=said.kind,
        severity=severities[0] if severities else "info",
        incidents=[subject.incident_id for subject in said.subjects],
        headline=render_title(said),
    )


def _show(sent: Sequence[ReplayedNotification], present: int | None, since: datetime) -> None:
    if sent:
        listing = Listing("AT (UTC)", "DESTINATION", "", "~NOTIFICATION")
        for would in sent:
            said = would.notification
            listing.add_row(
                f"{would.at:%Y-%m-%d %H:%M:%S}",
                words(said.destination),
                notification_badge(said).word,
                words(render_title(said)),
            )
        show(listing)
    by_destination = Counter(would.notification.destination for would in sent)
    parts = ", ".join(f"{count} to {sanitize(name)}" for name, count in sorted(by_destination.items()))
    now = "" if present is None else f"; the current configuration: {present}"
    total = f"{pluralize(len(sent), 'notification')} since {since:%Y-%m-%d %H:%M} UTC"
    show(Text(f"{total}{': ' if parts else ''}{parts}{now}", "dim"))
