"""`replay`: what another policy would have told."""

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
from wabawatch.bootstrap import Monitor, build, open_store
from wabawatch.cli.arguments import Instant
from wabawatch.cli.completing import complete_target
from wabawatch.cli.listing import Listing
from wabawatch.cli.options import Command, as_json, unknown
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import session
from wabawatch.domain.health import Observation
from wabawatch.domain.pen import Pen, Room
from wabawatch.messages.text import clean, pluralize
from wabawatch.messages.titles import headline, mark

_MOST: Final = 100_000
"""Runs, and observations of one target: a year of five-minute runs."""


class WouldDocument(msgspec.Struct, frozen=True):
    """A notification that would have been delivered."""

    at: datetime
    destination: str
    kind: str
    severity: str
    incidents: list[str]
    headline: str


class ReplayDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """What `replay --json` prints. `present` counts what the configuration in force would have told in that time."""

    since: datetime
    until: datetime
    notifications: list[WouldDocument]
    present: int


@click.command(
    cls=Command,
    short_help="Show what another policy would have told.",
    examples="""
    $ wabawatch replay calmer.yaml
    $ wabawatch replay calmer.yaml --since 30d --target support-de
    $ wabawatch --stack wabawatch replay calmer.yaml --json | jq '.notifications | length'
    """,
)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--since", type=Instant(), default="7d", show_default=True, help="From this time on, or so long ago.")
@click.option("--until", type=Instant(), help="Up to this time; by default now.")
@click.option("--target", "targets", metavar="ID", multiple=True, shell_complete=complete_target, help="Repeatable.")
@as_json
def replay(file: str | None, since: datetime, until: datetime | None, targets: tuple[str, ...], as_json: bool) -> None:
    """Run the stored observations through the configuration FILE (without one: the configuration in force) and show
    what would have been told. Nothing is delivered or recorded.

    Stored are the readings that changed something; between them a target is taken to have read the same.
    """
    own = session()
    app = own.application()
    end = until or app.clock.now()
    if since >= end:
        raise click.UsageError("--since is not before the end", click.get_current_context())
    past = _past(app, targets, end)
    would = _replayed(app, past, since, end)
    present = len(would)
    if file is not None:
        would = _replayed(build(own.where, file, own.environment, remember=False, resolve=False), past, since, end)
    if as_json:
        document(ReplayDocument(since, end, [_document(one) for one in would], present))
    else:
        _show(would, present if file is not None else None, since)


def _past(app: Monitor, targets: Sequence[str], until: datetime) -> RecordedHistory:
    """Everything that is stored up to then: what was open before the time asked for is told of in it."""
    known = [one.id for one in app.settings.targets]
    for one in targets:
        if one not in known:
            raise unknown("target", one, known)
    observations: dict[str, list[Observation]] = {}
    for name in targets or known:
        observations[name] = app.store.observations(name, None, until, _MOST)[::-1]
    runs = [run.finished_at or run.started_at for run in app.store.runs(_MOST)]
    return RecordedHistory(observations, sorted(at for at in runs if at <= until))


def _replayed(app: Monitor, past: RecordedHistory, since: datetime, until: datetime) -> list[ReplayedNotification]:
    kinds = {name: one.kind for name, one in app.settings.destinations.items()}
    with tempfile.TemporaryDirectory(prefix="wabawatch-") as folder:
        scratch = open_store(f"sqlite:{folder}/replay.db", timedelta(days=1))
        try:
            for silence in app.store.silences():
                scratch.save_silence(silence)
            found = Replay(past, scratch, app.rules, app.audience, kinds)(until)
        finally:
            scratch.close()
    return [one for one in found if one.at >= since]


def _document(one: ReplayedNotification) -> WouldDocument:
    said = one.notification
    severities = [subject.severity for subject in said.subjects]
    return WouldDocument(
        one.at,
        said.destination,
        said.kind,
        severities[0] if severities else "info",
        [subject.incident_id for subject in said.subjects],
        headline(said, Pen(Room())),
    )


def _show(would: Sequence[ReplayedNotification], present: int | None, since: datetime) -> None:
    if would:
        listing = Listing("AT (UTC)", "DESTINATION", "", "~WOULD HAVE BEEN TOLD")
        for one in would:
            said = one.notification
            listing.add_row(
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                words(said.destination),
                mark(said).word,
                words(headline(said, Pen(Room()))),
            )
        show(listing)
    by_destination = Counter(one.notification.destination for one in would)
    parts = ", ".join(f"{count} to {clean(name)}" for name, count in sorted(by_destination.items()))
    now = "" if present is None else f"; the configuration in force: {present}"
    total = f"{pluralize(len(would), 'notification')} since {since:%Y-%m-%d %H:%M} UTC"
    show(Text(f"{total}{': ' if parts else ''}{parts}{now}", "dim"))
