"""`probe`: read one target once."""

from __future__ import annotations

import click
from rich.text import Text

from wabawatch.application.ports import Target
from wabawatch.cli.json_output import EntityDocument, ProbeDocument, reason_documents
from wabawatch.cli.options import Command, as_json, complete_target, unknown
from wabawatch.cli.output import document, joined, reason_text, show, status_text, words
from wabawatch.cli.session import session
from wabawatch.cli.target_view import status_exit_code
from wabawatch.domain.health import UNKNOWN, Observation, Reason, Report, status_of
from wabawatch.messages.runbook import Overrides, advise, meaning
from wabawatch.messages.text import sanitize


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
    """Read one target once. No state is read or written, and nothing is sent.

    Exit code: 0 AVAILABLE, 1 LIMITED, 2 BLOCKED, 3 UNKNOWN.
    """
    app = session().application(resolve=True)
    known = {configured.id: configured for configured in app.settings.targets}
    if target not in known:
        raise unknown("target", target, known)
    observation = next(iter(app.source.observe([known[target]], until=None)))
    found = probe_document(observation)
    if as_json:
        document(found)
    else:
        _show_probe(known[target], observation, found, app.settings.runbook)
    return status_exit_code(found.status)


def probe_document(observation: Observation) -> ProbeDocument:
    """Return an observation as `probe --json` prints it."""
    outcome = observation.outcome
    if not isinstance(outcome, Report):
        return ProbeDocument(
            target=observation.target,
            observed_at=observation.observed_at,
            status=UNKNOWN,
            cause=outcome.cause,
            detail=outcome.detail or meaning(Reason(description=outcome.cause)) or None,
            capabilities={},
            entities=[],
            contradictions=[],
        )
    return ProbeDocument(
        target=observation.target,
        observed_at=observation.observed_at,
        status=status_of(outcome),
        cause=None,
        detail=None,
        capabilities=_capabilities(outcome),
        entities=[
            EntityDocument(entity.entity_type, entity.id, dict(entity.capabilities), reason_documents(entity.reasons))
            for entity in outcome.entities
        ],
        contradictions=list(outcome.contradictions),
    )


def _capabilities(report: Report) -> dict[str, str]:
    """Return the target's capabilities: the worst status that any entity or the report as a whole has for each."""
    names = {name for entity in report.entities for name in entity.capabilities} | report.overall.keys()
    return {name: status_of(report, name) for name in sorted(names)}


def _show_probe(target: Target, observation: Observation, found: ProbeDocument, runbook: Overrides) -> None:
    show(
        joined([status_text(found.status), words(target.name, "bold"), words(f"({target.id})", "dim")]),
        Text(f"read at {found.observed_at:%Y-%m-%d %H:%M:%S} UTC", "dim"),
    )
    if found.cause:
        show(words(f"  {found.cause}: {found.detail or 'no details'}"))
        advice = advise(Reason(description=found.cause), runbook)
        show(words(f"    → {advice.who}: {advice.action}"))
    outcome = observation.outcome
    for entity in outcome.entities if isinstance(outcome, Report) else ():
        statuses = (Text(f"{sanitize(name)} ") + status_text(status) for name, status in entity.capabilities.items())
        show(Text("  ") + words(f"{entity.entity_type} {entity.id}", "bold") + Text("  ") + joined(statuses, ", "))
        for reason in entity.reasons:
            show(Text("    ") + reason_text(reason))
            if reason.possible_solution:
                show(Text("      → ") + words(reason.possible_solution))
    for contradiction in found.contradictions:
        show(Text("  contradiction: ", "yellow") + words(contradiction))
