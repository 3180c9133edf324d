"""`probe` and `status`: how a target is now. Their exit codes are those of monitoring plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import click
from rich.text import Text

from wabawatch.application.ports import Target
from wabawatch.bootstrap import Monitor
from wabawatch.cli.completing import complete_target
from wabawatch.cli.documents import (
    EntityDocument,
    ProbeDocument,
    StatusDocument,
    reasons_document,
    target_document,
)
from wabawatch.cli.listing import Listing
from wabawatch.cli.options import Command, as_json, unknown
from wabawatch.cli.output import document, joined, show, status_text, words
from wabawatch.cli.picture import Picture, counts, is_doubtful, pictures, warning, worst_status
from wabawatch.cli.session import session
from wabawatch.cli.wording import reason_text, since_text, unread, why
from wabawatch.domain.coverage import ShardCoverage
from wabawatch.domain.health import AVAILABLE, BLOCKED, LIMITED, UNKNOWN, Observation, Reason, Report, status_of
from wabawatch.domain.run import Run
from wabawatch.messages.runbook import Overrides, advise, meaning
from wabawatch.messages.text import clean, humanize_duration

_CODES: Final = {AVAILABLE: 0, LIMITED: 1, BLOCKED: 2, UNKNOWN: 3}
_MOST_DOUBTFUL: Final = 50
"""For so many targets it is looked up why their latest reading failed: each costs a query."""


def plugin_code(status: str) -> int:
    """0 AVAILABLE, 1 LIMITED, 2 BLOCKED, 3 UNKNOWN; a word that nobody knows is 3, and never healthy."""
    return _CODES.get(status, _CODES[UNKNOWN])


@click.command(
    cls=Command,
    short_help="Read one target once; change nothing.",
    examples="""
    $ wabawatch probe support-de
    $ wabawatch probe support-de --json | jq .entities
    """,
)
@click.argument("target", shell_complete=complete_target)
@as_json
def probe(target: str, as_json: bool) -> int:
    """Read one target once; change nothing: no state is read or written, and nobody is told.

    Exit code: 0 AVAILABLE, 1 LIMITED, 2 BLOCKED, 3 UNKNOWN.
    """
    app = session().application(resolve=True)
    known = {one.id: one for one in app.settings.targets}
    if target not in known:
        raise unknown("target", target, known)
    observation = next(iter(app.source.observe([known[target]], until=None)))
    found = probe_document(observation)
    if as_json:
        document(found)
    else:
        _show_probe(known[target], observation, found, app.settings.runbook)
    return plugin_code(found.status)


def probe_document(observation: Observation) -> ProbeDocument:
    """One reading, as `probe --json` prints it."""
    outcome = observation.outcome
    if not isinstance(outcome, Report):
        detail = outcome.detail or meaning_of(outcome.cause)
        return ProbeDocument(
            observation.target, observation.observed_at, UNKNOWN, outcome.cause, detail or None, {}, [], []
        )
    entities = [
        EntityDocument(one.entity_type, one.id, dict(one.capabilities), reasons_document(one.reasons))
        for one in outcome.entities
    ]
    return ProbeDocument(
        observation.target,
        observation.observed_at,
        status_of(outcome),
        None,
        None,
        _capabilities(outcome),
        entities,
        list(outcome.contradictions),
    )


def _capabilities(report: Report) -> dict[str, str]:
    """The target's own: the worst that any entity reports of each, and the overall status where it says more."""
    said = {capability for entity in report.entities for capability in entity.capabilities}
    return {capability: status_of(report, capability) for capability in sorted(said | report.overall.keys())}


def meaning_of(cause: str) -> str:
    """What a cause of UNKNOWN means, from the runbook."""
    return meaning(Reason(description=cause))


def _show_probe(target: Target, observation: Observation, found: ProbeDocument, runbook: Overrides) -> None:
    show(
        joined([status_text(found.status), words(target.name, "bold"), words(f"({target.id})", "dim")]),
        Text(f"read at {found.observed_at:%Y-%m-%d %H:%M:%S} UTC", "dim"),
    )
    if found.cause:
        show(words(f"  {found.cause}: {found.detail or 'no more is known'}"))
        advised = advise(Reason(description=found.cause), runbook)
        show(words(f"    → {advised.who}: {advised.action}"))
    outcome = observation.outcome
    for entity in outcome.entities if isinstance(outcome, Report) else ():
        said = joined(
            (Text(f"{clean(name)} ") + status_text(status) for name, status in entity.capabilities.items()), ", "
        )
        show(Text("  ") + words(f"{entity.entity_type} {entity.id}", "bold") + Text("  ") + said)
        for reason in entity.reasons:
            show(Text("    ") + reason_text(reason))
            if reason.possible_solution:
                show(Text("      → ") + words(reason.possible_solution))
    for contradiction in found.contradictions:
        show(Text("  contradiction: ", "yellow") + words(contradiction))


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


def fleet(app: Monitor, coverages: Sequence[ShardCoverage], now: datetime) -> list[Picture]:
    """Every configured target now."""
    targets: Sequence[Target] = app.settings.targets
    snapshots = app.store.snapshots([one.id for one in targets])
    doubtful = [one.id for one in targets if is_doubtful(snapshots.get(one.id))][:_MOST_DOUBTFUL]
    latest = {one.target: one for name in doubtful for one in app.store.observations(name, limit=1)}
    return pictures(targets, snapshots, latest, coverages, now)


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
    return f"last run {humanize_duration(now - last.finished_at)} ago{unread(last)}"


def counts_text(tally: Mapping[str, int]) -> str:
    """As in `1 BLOCKED, 2 LIMITED, 9 AVAILABLE`."""
    return ", ".join(f"{count} {clean(word)}" for word, count in tally.items()) or "no targets"
