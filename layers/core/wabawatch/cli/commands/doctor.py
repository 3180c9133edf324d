"""`doctor`: check a deployment, and say what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.text import Text

from wabawatch.application.errors import SecretError, WabawatchError
from wabawatch.application.private_files import explain_exposed
from wabawatch.bootstrap import Application
from wabawatch.cli.commands.notify_test import try_destination
from wabawatch.cli.exit_codes import FAULTS, OK
from wabawatch.cli.options import Command, Duration, as_json
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import session
from wabawatch.cli.stack_checks import (
    _SHARDS,
    Finding,
    Patient,
    _alarms,
    _capacity,
    _dead_letters,
    _heartbeat,
    _schedules,
    _stack,
    _subscriptions,
    interval_of,
    latest_run,
    unreadable_secrets,
)
from wabawatch.config import effective
from wabawatch.config.durations import render
from wabawatch.config.references import references
from wabawatch.domain.coverage import ShardCoverage, completeness, incomplete_reason
from wabawatch.domain.phrases import counted, lasted
from wabawatch.domain.run import Run
from wabawatch.domain.runbook import unlisted


class DoctorDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """What `doctor --json` prints."""

    ok: bool
    findings: list[Finding]


@click.command(
    cls=Command,
    short_help="Examine a deployment and say what to do.",
    examples="""
    $ wabawatch doctor --stack wabawatch
    $ wabawatch doctor --stack wabawatch --send-test
    $ wabawatch doctor --stack wabawatch --verify-aws
    $ wabawatch doctor --stack wabawatch --purge    # what failed is read and repaired: empty the queues
    $ wabawatch --config fleet.yaml doctor --interval 1m    # a monitor on this machine
    """,
)
@click.option("--send-test", is_flag=True, help="Deliver a marked test to every destination, too.")
@click.option("--purge", is_flag=True, help="Delete what failed from the stack's three queues, once it was shown.")
@click.option(
    "--interval", type=Duration(), default="5m", show_default=True, help="Between runs; a stack knows its own."
)
@click.option(
    "--verify-aws",
    is_flag=True,
    help="Check instead what only a real AWS account can show: half an hour, with a test alert and a test alarm.",
)
@click.option("--yes", is_flag=True, help="With --verify-aws: send tests to people without asking.")
@as_json
def doctor(send_test: bool, purge: bool, interval: timedelta, verify_aws: bool, yes: bool, as_json: bool) -> int:
    """Examine the deployment: the stack and its schedule, the configuration and the secrets it refers to, the last run
    and its coverage, deliveries, subscriptions, dead letters and alarms. What is wrong comes with what to do.

    With --verify-aws: check instead what only a real AWS account can show; docs/verify-aws.md says what each check
    proves. What it creates it removes, and it asks before others get a message.

    Exit code: 0 all is well, 1 there is something to do.
    """
    own = session()
    if (yes and not verify_aws) or ((send_test or purge) and verify_aws):
        said = (
            "--yes goes with --verify-aws"
            if not verify_aws
            else "--verify-aws goes alone: leave --send-test and --purge out"
        )
        raise click.UsageError(said, click.get_current_context())
    if verify_aws:
        from wabawatch.cli.verify_aws.verification import verify  # noqa: PLC0415 - AWS only for those who ask for it

        return verify(own, agreed=yes, as_json=as_json)
    app = own.application()
    if purge and own.found is None:
        raise click.UsageError("say whose queues to empty: --stack NAME", click.get_current_context())
    patient = Patient(app, interval_of(own.found, interval), own.found, purge)
    findings = []
    for finding in examine(patient, send_test=send_test):
        findings.append(finding)
        if not as_json:
            _show(finding)
    is_well = all(one.ok for one in findings)
    if as_json:
        document(DoctorDocument(is_well, findings))
    else:
        show(_summary(findings))
    return OK if is_well else FAULTS


def _show(one: Finding) -> None:
    mark = Text("  ok  ", "green") if one.ok else Text("  NO  ", "bold red")
    show(mark + words(f"{one.subject}: ", "bold") + words(one.said))
    if one.todo:
        show(Text("      → ") + words(one.todo))


def _summary(findings: Sequence[Finding]) -> Text:
    faults = [one for one in findings if not one.ok]
    return Text(
        f"{counted(len(faults), 'thing')} to do" if faults else "all is well", "bold red" if faults else "green"
    )


_ENOUGH: Final = 0.95
"""The share of targets that a good run reads, as the heartbeat has it by default."""
_SET_ASIDE_FOR: Final = timedelta(days=1)
_LISTED_ASIDE: Final = 5
_LISTED_FILES: Final = 5
Examination = Callable[[Patient], Iterator[Finding]]


def examine(patient: Patient, *, send_test: bool) -> Iterator[Finding]:
    """All findings, one by one: the deployment, its configuration and secrets, its runs, its deliveries."""
    for subject, examination in EXAMINATIONS.items():
        if patient.stack is not None or examination not in _OF_STACKS:
            yield from _tried(subject, examination, patient)
    if send_test:
        yield from _tried("tests", _tests, patient)


def _tried(subject: str, examination: Examination, patient: Patient) -> Iterator[Finding]:
    try:
        yield from examination(patient)
    except WabawatchError as error:
        yield Finding(subject, ok=False, said=f"cannot be looked at: {error}", todo="put that right and look again")


def _configuration(patient: Patient) -> Iterator[Finding]:
    trouble = patient.app.refresh()
    settings = patient.app.settings
    if trouble is not None:
        yield Finding("configuration", ok=False, said=trouble.detail, todo="correct it; the last good one goes on")
        return
    said = f"{counted(len(settings.targets), 'target')}, {counted(len(settings.destinations), 'destination')}"
    yield Finding("configuration", ok=True, said=said)


def _secrets(patient: Patient) -> Iterator[Finding]:
    """By the credentials of whoever asks: what the functions may read, their runs tell."""
    beat = patient.app.heartbeat
    wanted = sorted(references(effective(patient.app.settings)) | references(beat.url if beat else None))
    patient.app.secrets.prefetch(wanted)
    missing = [str(error) for one in wanted if (error := _unreadable(patient.app, one))]
    if not missing:
        yield Finding("secrets", ok=True, said=f"{len(wanted)} of {len(wanted)} can be read")
    for said in missing:
        yield Finding("secrets", ok=False, said=said, todo="create the secret, or correct the reference to it")
    for said in unreadable_secrets(patient.app.settings, patient.stack) if patient.stack else ():
        yield Finding("secrets", ok=False, said=said, todo="move the secret to such a name, and refer to that")


def _unreadable(app: Application, reference: str) -> SecretError | None:
    try:
        app.secrets.key(reference)
    except SecretError as error:
        return error
    return None


def _files(patient: Patient) -> Iterator[Finding]:
    """Who may open or replace the files on this machine that hold state and secrets."""
    wanted = [one for one in references(effective(patient.app.settings)) if one.startswith("file:")]
    paths = {Path(one.removeprefix("file:")).expanduser() for one in wanted} | {patient.app.state_file}
    found = sorted(path for path in paths if path is not None and path.is_file())
    exposed = [why for path in found if (why := explain_exposed(path))]
    for said, todo in exposed[:_LISTED_FILES]:
        yield Finding("files", ok=False, said=said, todo=todo)
    if len(exposed) > _LISTED_FILES:
        yield Finding("files", ok=False, said=f"and {len(exposed) - _LISTED_FILES} more", todo="the same for each")
    if found and not exposed:
        yield Finding("files", ok=True, said="nobody but their owner may open those of state and secrets")


def _last_run(patient: Patient) -> Iterator[Finding]:
    parts = latest_run(patient.app.store.runs(_SHARDS))
    ended = [part.finished_at for part in parts if part.finished_at is not None]
    if not ended:
        yield Finding("last run", ok=False, said="there is none", todo=_start(patient))
        return
    age = patient.app.clock.now() - max(ended)
    is_late = age > 2 * patient.interval + timedelta(minutes=1)
    said = f"{lasted(age)} ago; one is due every {render(patient.interval)}"
    yield Finding("last run", not is_late, said, _start(patient) if is_late else "")
    rows = patient.app.store.coverages()
    latest = max(rows, key=lambda row: row.started_at, default=None)
    rows = [row for row in rows if latest is not None and row.of == latest.of]
    if rows and not is_late:
        yield from _completeness(patient, rows)
    yield from _coverage(rows, parts)


def _runbook(patient: Patient) -> Iterator[Finding]:
    """Codes that numbers gave in the latest run, and that nobody here has advice for."""
    parts = latest_run(patient.app.store.runs(_SHARDS))
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(part.codes)
    new = unlisted(counts, patient.app.settings.runbook)
    listed = ", ".join(f"{code} ({counted(count, 'number')})" for code, count in new.items())
    if new:
        yield Finding("runbook", ok=True, said=f"codes without advice: {listed}; write yours under `runbook`")


def _start(patient: Patient) -> str:
    if patient.stack is None:
        return "start `wabawatch run`"
    return f"read the log of function {patient.stack.outputs.get('PollFunctionName')}"


def _coverage(rows: Sequence[ShardCoverage], parts: Sequence[Run]) -> Iterator[Finding]:
    """By what every shard's latest pass read: the latest run may not have come to all of them yet."""
    expected = sum(row.expected for row in rows)
    answered = expected - sum(len(row.unread) for row in rows)
    skipped = sum(len(row.skipped) for row in rows)
    causes: dict[str, int] = {}
    for part in parts:
        for cause, count in part.causes.items():
            causes[cause] = causes.get(cause, 0) + count
    unread = "".join(f"; {count} {cause}" for cause, count in sorted(causes.items()))
    late = f"; {skipped} skipped for want of time" if skipped else ""
    is_good = answered >= _ENOUGH * expected
    todo = "" if is_good else "`wabawatch status` names the targets; `wabawatch probe TARGET` reads one now"
    yield Finding("coverage", is_good, f"{answered} of {counted(expected, 'target')} answered{unread}{late}", todo)


def _completeness(patient: Patient, rows: Sequence[ShardCoverage]) -> Iterator[Finding]:
    now, of = patient.app.clock.now(), rows[0].of
    targets = len(patient.app.settings.targets)
    found = completeness(rows, shards=of, targets=targets, interval=patient.interval, now=now)
    trouble = incomplete_reason(found, now)
    if trouble is not None:
        yield Finding("whole fleet", ok=False, said=trouble.detail, todo=_start(patient))
    elif found.complete_since is not None:
        yield Finding("whole fleet", ok=True, said=f"read within the last {lasted(now - found.complete_since)}")


def _deliveries(patient: Patient) -> Iterator[Finding]:
    failing = [one for one in patient.app.store.queued() if one.failing_since is not None]
    down = {one.destination: one for one in failing if not one.refused}
    if not failing:
        yield Finding("deliveries", ok=True, said="none is waiting after a failure")
    for name, one in sorted(down.items()):
        said = f"{name} has failed since {one.failing_since:%Y-%m-%d %H:%M} UTC: {one.error}"
        yield Finding("deliveries", ok=False, said=said, todo=f"repair it, then: wabawatch notify-test {name}")
    for one in [one for one in failing if one.refused]:
        incident = one.lines[0].incident_id
        said = f"{one.destination} refuses the message about incident {incident}: {one.error}"
        yield Finding("deliveries", ok=False, said=said, todo=f"wabawatch explain {incident} says what it is about")


def _set_aside(patient: Patient) -> Iterator[Finding]:
    rows = patient.app.store.set_aside(patient.app.clock.now() - _SET_ASIDE_FOR)
    for row in rows[:_LISTED_ASIDE]:
        said = f"a stored {row.kind} of {row.name} was set aside at {row.at:%Y-%m-%d %H:%M} UTC: {row.error}"
        yield Finding("stored rows", ok=False, said=said, todo="look for what wrote or damaged it; a backup has it")
    if not rows:
        yield Finding("stored rows", ok=True, said="none was set aside in the last day")


def _tests(patient: Patient) -> Iterator[Finding]:
    for name in patient.app.notifiers:
        error = try_destination(patient.app, name)
        said = f"{name} took the test" if error is None else f"{name} did not take the test: {error}"
        yield Finding("tests", error is None, said, "" if error is None else "repair the destination or its secret")


EXAMINATIONS: Final[Mapping[str, Examination]] = {
    "stack": _stack,
    "schedules": _schedules,
    "configuration": _configuration,
    "secrets": _secrets,
    "files": _files,
    "last run": _last_run,
    "capacity": _capacity,
    "runbook": _runbook,
    "deliveries": _deliveries,
    "stored rows": _set_aside,
    "topics": _subscriptions,
    "heartbeat": _heartbeat,
    "dead letters": _dead_letters,
    "alarms": _alarms,
}
_OF_STACKS: Final = frozenset({_stack, _schedules, _capacity, _heartbeat, _dead_letters, _alarms})
