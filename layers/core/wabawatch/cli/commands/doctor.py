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

from wabawatch.application.credentials import find_references
from wabawatch.application.private_files import explain_exposed
from wabawatch.cli.commands.notify_test import try_destination
from wabawatch.cli.exit_codes import FAULTS, OK
from wabawatch.cli.options import Command, Duration, as_json
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import session
from wabawatch.cli.stack_checks import (
    _MAX_SHARDS,
    DoctorContext,
    Finding,
    check_alarms,
    check_capacity,
    check_dead_letters,
    check_heartbeat,
    check_schedules,
    check_stack,
    check_topics,
    interval_of,
    latest_run,
    unreadable_secrets,
)
from wabawatch.config import effective
from wabawatch.config.scalars import render_duration
from wabawatch.domain.coverage import ShardCoverage, assess_completeness
from wabawatch.domain.sharding import Run
from wabawatch.errors import SecretError, WabawatchError
from wabawatch.messages.runbook import incomplete_reason, unlisted
from wabawatch.messages.text import humanize_duration, pluralize
from wabawatch.monitor import Monitor


class DoctorDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """`doctor --json`."""

    ok: bool
    findings: list[Finding]


@click.command(
    cls=Command,
    short_help="Check a deployment and say what to fix.",
    examples="""
    $ wabawatch doctor --stack wabawatch
    $ wabawatch doctor --stack wabawatch --send-test
    $ wabawatch doctor --stack wabawatch --verify-aws
    $ wabawatch doctor --stack wabawatch --purge    # after the cause is fixed: empty the queues
    $ wabawatch --config fleet.yaml doctor --interval 1m    # a monitor on this machine
    """,
)
@click.option("--send-test", is_flag=True, help="Also send a test notification to every destination.")
@click.option(
    "--purge", is_flag=True, help="Delete the messages of the stack's three dead-letter queues after showing them."
)
@click.option(
    "--interval",
    type=Duration(),
    default="5m",
    show_default=True,
    help="Time between runs; with --stack, the stack's own.",
)
@click.option(
    "--verify-aws",
    is_flag=True,
    help="Run checks that need a real AWS account instead: half an hour, with a test alert and a test alarm.",
)
@click.option("--yes", is_flag=True, help="With --verify-aws: send test messages without asking.")
@as_json
def doctor(send_test: bool, purge: bool, interval: timedelta, verify_aws: bool, yes: bool, as_json: bool) -> int:
    """Check the deployment: the stack and its schedules, the configuration and its secrets, the last run and its
    coverage, deliveries, subscriptions, dead letters and alarms. Each problem is shown with what to do.

    With --verify-aws, run the checks that need a real AWS account; docs/verify-aws.md says what each one proves. They
    remove what they create, and ask before they send messages to people.

    Exit code: 0 no problems, 1 problems found.
    """
    own = session()
    if (yes and not verify_aws) or ((send_test or purge) and verify_aws):
        text = "--verify-aws excludes --send-test and --purge" if verify_aws else "--yes needs --verify-aws"
        raise click.UsageError(text, click.get_current_context())
    if verify_aws:
        from wabawatch.cli.verify_aws.verification import verify  # noqa: PLC0415 - slow to load

        return verify(own, agreed=yes, as_json=as_json)
    app = own.application()
    if purge and own.found is None:
        raise click.UsageError("--purge needs --stack NAME", click.get_current_context())
    context = DoctorContext(app, interval_of(own.found, interval), own.found, purge)
    findings = []
    for finding in run_all_checks(context, send_test=send_test):
        findings.append(finding)
        if not as_json:
            _show(finding)
    is_ok = all(finding.ok for finding in findings)
    if as_json:
        document(DoctorDocument(is_ok, findings))
    else:
        show(_summary(findings))
    return OK if is_ok else FAULTS


def _show(finding: Finding) -> None:
    badge = Text("  ok  ", "green") if finding.ok else Text("  NO  ", "bold red")
    show(badge + words(f"{finding.subject}: ", "bold") + words(finding.said))
    if finding.todo:
        show(Text("      → ") + words(finding.todo))


def _summary(findings: Sequence[Finding]) -> Text:
    problems = [finding for finding in findings if not finding.ok]
    text = pluralize(len(problems), "problem") if problems else "no problems"
    return Text(text, "bold red" if problems else "green")


_MIN_COVERAGE: Final = 0.95
"""The share of targets that a good run reads; the heartbeat's default."""
_SET_ASIDE_AGE: Final = timedelta(days=1)
_MAX_SET_ASIDE: Final = 5
_MAX_FILES: Final = 5
DoctorCheck = Callable[[DoctorContext], Iterator[Finding]]


def run_all_checks(context: DoctorContext, *, send_test: bool) -> Iterator[Finding]:
    """Yield the findings of all checks. A check that fails is itself a finding."""
    for subject, check in CHECKS_BY_SUBJECT.items():
        if context.stack is not None or check not in _STACK_ONLY:
            yield from _run_check(subject, check, context)
    if send_test:
        yield from _run_check("tests", _send_tests, context)


def _run_check(subject: str, check: DoctorCheck, context: DoctorContext) -> Iterator[Finding]:
    try:
        yield from check(context)
    except WabawatchError as error:
        yield Finding(subject, ok=False, said=f"cannot be checked: {error}", todo="fix that and run doctor again")


def _check_configuration(context: DoctorContext) -> Iterator[Finding]:
    error = context.app.refresh()
    settings = context.app.settings
    if error is not None:
        todo = "correct it; the last good configuration stays in use"
        yield Finding("configuration", ok=False, said=error.detail, todo=todo)
        return
    said = f"{pluralize(len(settings.targets), 'target')}, {pluralize(len(settings.destinations), 'destination')}"
    yield Finding("configuration", ok=True, said=said)


def _check_secrets(context: DoctorContext) -> Iterator[Finding]:
    """Read the secrets with your own credentials, and check the names against the functions' roles."""
    heartbeat = context.app.heartbeat
    wanted = sorted(
        find_references(effective(context.app.settings)) | find_references(heartbeat.url if heartbeat else None)
    )
    context.app.secrets.prefetch(wanted)
    missing = [str(error) for reference in wanted if (error := _secret_error(context.app, reference))]
    if not missing:
        yield Finding("secrets", ok=True, said=f"{len(wanted)} of {len(wanted)} can be read")
    for text in missing:
        yield Finding("secrets", ok=False, said=text, todo="create the secret, or correct the reference to it")
    for text in unreadable_secrets(context.app.settings, context.stack) if context.stack else ():
        yield Finding("secrets", ok=False, said=text, todo="move the secret to such a name, and refer to it there")


def _secret_error(app: Monitor, reference: str) -> SecretError | None:
    try:
        app.secrets.key(reference)
    except SecretError as error:
        return error
    return None


def _check_files(context: DoctorContext) -> Iterator[Finding]:
    """Check who may read or replace the local files of state and secrets."""
    wanted = [name for name in find_references(effective(context.app.settings)) if name.startswith("file:")]
    paths = {Path(name.removeprefix("file:")).expanduser() for name in wanted} | {context.app.state_file}
    found = sorted(path for path in paths if path is not None and path.is_file())
    exposed = [why for path in found if (why := explain_exposed(path))]
    for said, todo in exposed[:_MAX_FILES]:
        yield Finding("files", ok=False, said=said, todo=todo)
    if len(exposed) > _MAX_FILES:
        yield Finding("files", ok=False, said=f"and {len(exposed) - _MAX_FILES} more", todo="do the same for each")
    if found and not exposed:
        yield Finding("files", ok=True, said="only their owner may read those of state and secrets")


def _check_last_run(context: DoctorContext) -> Iterator[Finding]:
    parts = latest_run(context.app.store.runs(_MAX_SHARDS))
    ended = [part.finished_at for part in parts if part.finished_at is not None]
    if not ended:
        yield Finding("last run", ok=False, said="none so far", todo=_how_to_start(context))
        return
    age = context.app.clock.now() - max(ended)
    is_late = age > 2 * context.interval + timedelta(minutes=1)
    said = f"{humanize_duration(age)} ago; one is due every {render_duration(context.interval)}"
    yield Finding("last run", not is_late, said, _how_to_start(context) if is_late else "")
    rows = context.app.store.coverages()
    latest = max(rows, key=lambda row: row.started_at, default=None)
    rows = [row for row in rows if latest is not None and row.of == latest.of]
    if rows and not is_late:
        yield from _check_completeness(context, rows)
    yield from _check_coverage(rows, parts)


def _check_runbook(context: DoctorContext) -> Iterator[Finding]:
    """List reason codes of the latest run that the runbook does not cover."""
    parts = latest_run(context.app.store.runs(_MAX_SHARDS))
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(part.codes)
    new = unlisted(counts, context.app.settings.runbook)
    codes = ", ".join(f"{code} ({pluralize(count, 'number')})" for code, count in new.items())
    if new:
        yield Finding("runbook", ok=True, said=f"codes without advice: {codes}; write yours under `runbook`")


def _how_to_start(context: DoctorContext) -> str:
    if context.stack is None:
        return "start `wabawatch run`"
    return f"read the log of function {context.stack.outputs.get('PollFunctionName')}"


def _check_coverage(rows: Sequence[ShardCoverage], parts: Sequence[Run]) -> Iterator[Finding]:
    """Check the latest pass of every shard: the latest run may not have reached all of them yet."""
    expected = sum(row.expected for row in rows)
    answered = expected - sum(len(row.unread) for row in rows)
    skipped = sum(len(row.skipped) for row in rows)
    causes: dict[str, int] = {}
    for part in parts:
        for cause, count in part.causes.items():
            causes[cause] = causes.get(cause, 0) + count
    unread = "".join(f"; {count} {cause}" for cause, count in sorted(causes.items()))
    late = f"; {skipped} skipped for lack of time" if skipped else ""
    is_ok = answered >= _MIN_COVERAGE * expected
    todo = "" if is_ok else "`wabawatch status` names the targets; `wabawatch probe TARGET` reads one now"
    yield Finding("coverage", is_ok, f"{answered} of {pluralize(expected, 'target')} answered{unread}{late}", todo)


def _check_completeness(context: DoctorContext, rows: Sequence[ShardCoverage]) -> Iterator[Finding]:
    now, of = context.app.clock.now(), rows[0].of
    targets = len(context.app.settings.targets)
    found = assess_completeness(rows, shards=of, targets=targets, interval=context.interval, now=now)
    reason = incomplete_reason(found, now)
    if reason is not None:
        yield Finding("whole fleet", ok=False, said=reason.detail, todo=_how_to_start(context))
    elif found.complete_since is not None:
        yield Finding(
            "whole fleet", ok=True, said=f"read within the last {humanize_duration(now - found.complete_since)}"
        )


def _check_deliveries(context: DoctorContext) -> Iterator[Finding]:
    failing = [queued for queued in context.app.store.queued() if queued.failing_since is not None]
    down = {queued.destination: queued for queued in failing if not queued.refused}
    if not failing:
        yield Finding("deliveries", ok=True, said="none has failed")
    for name, queued in sorted(down.items()):
        said = f"{name} has failed since {queued.failing_since:%Y-%m-%d %H:%M} UTC: {queued.error}"
        yield Finding("deliveries", ok=False, said=said, todo=f"fix it, then run: wabawatch notify-test {name}")
    for queued in [queued for queued in failing if queued.refused]:
        incident = queued.lines[0].incident_id
        said = f"{queued.destination} refuses the message about incident {incident}: {queued.error}"
        yield Finding("deliveries", ok=False, said=said, todo=f"see: wabawatch explain {incident}")


def _check_stored_rows(context: DoctorContext) -> Iterator[Finding]:
    rows = context.app.store.set_aside(context.app.clock.now() - _SET_ASIDE_AGE)
    for row in rows[:_MAX_SET_ASIDE]:
        said = f"a stored {row.kind} of {row.name} was set aside at {row.at:%Y-%m-%d %H:%M} UTC: {row.error}"
        yield Finding("stored rows", ok=False, said=said, todo="find out what damaged it; restore it from a backup")
    if not rows:
        yield Finding("stored rows", ok=True, said="none set aside in the last day")


def _send_tests(context: DoctorContext) -> Iterator[Finding]:
    for name in context.app.notifiers:
        error = try_destination(context.app, name)
        said = f"{name} accepted the test" if error is None else f"{name} did not accept the test: {error}"
        yield Finding("tests", error is None, said, "" if error is None else "fix the destination or its secret")


CHECKS_BY_SUBJECT: Final[Mapping[str, DoctorCheck]] = {
    "stack": check_stack,
    "schedules": check_schedules,
    "configuration": _check_configuration,
    "secrets": _check_secrets,
    "files": _check_files,
    "last run": _check_last_run,
    "capacity": check_capacity,
    "runbook": _check_runbook,
    "deliveries": _check_deliveries,
    "stored rows": _check_stored_rows,
    "topics": check_topics,
    "heartbeat": check_heartbeat,
    "dead letters": check_dead_letters,
    "alarms": check_alarms,
}
_STACK_ONLY: Final = frozenset(
    {check_stack, check_schedules, check_capacity, check_heartbeat, check_dead_letters, check_alarms}
)
