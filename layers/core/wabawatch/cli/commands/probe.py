"""`probe`: read one target once."""

from __future__ import annotations

import click
from rich.text import Text

from wabawatch.application.ports import Target
from wabawatch.cli.json_output import EntityDocument, ProbeDocument, reasons_document
from wabawatch.cli.labels import reason_text
from wabawatch.cli.options import Command, as_json, complete_target, unknown
from wabawatch.cli.output import document, joined, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import plugin_code
from wabawatch.domain.health import UNKNOWN, Observation, Reason, Report, status_of
from wabawatch.domain.phrases import clean
from wabawatch.domain.runbook import Overrides, advise, meaning


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
