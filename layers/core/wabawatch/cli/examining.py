"""What `doctor` looks at: each examination returns findings, and what cannot be looked at is one, too."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from wabawatch.adapters import stack as deployed
from wabawatch.application.ports import Topic
from wabawatch.application.private_files import explain_exposed
from wabawatch.application.secret_reference import references
from wabawatch.bootstrap import Monitor, aws_client
from wabawatch.cli.bounds import workload_of
from wabawatch.cli.notifytest import try_destination
from wabawatch.cli.secret_names import unreadable_secrets
from wabawatch.config import effective
from wabawatch.config.durations import render
from wabawatch.domain.capacity import explain_overload
from wabawatch.domain.coverage import ShardCoverage, assess_completeness, incomplete_reason
from wabawatch.domain.run import Run
from wabawatch.errors import SecretError, WabawatchError
from wabawatch.messages.runbook import unlisted
from wabawatch.messages.text import humanize_duration, pluralize

_ENOUGH: Final = 0.95
"""The share of targets that a good run reads, as the heartbeat has it by default."""
_SHARDS: Final = 64
_SET_ASIDE_FOR: Final = timedelta(days=1)
_LISTED_ASIDE: Final = 5
_WITHOUT: Final = {
    "poll": "no number is read",
    "notify": "no retry or reminder is sent, and alerts depend on the table's stream alone",
}
"""What does not happen while a function's schedule is off."""
_LISTED_FILES: Final = 5


class Finding(msgspec.Struct, frozen=True):
    """Something looked at. `todo` says what to do where it is not `ok`."""

    subject: str
    ok: bool
    said: str
    todo: str = ""


class Patient(msgspec.Struct, frozen=True):
    """What is examined; `stack` None: a monitor on this machine."""

    app: Monitor
    interval: timedelta
    stack: deployed.Stack | None = None
    purge: bool = False
    """Whether what lies in the queues is deleted once it was shown."""


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


def _stack(patient: Patient) -> Iterator[Finding]:
    status = patient.stack.status if patient.stack else ""
    is_whole = status.endswith("_COMPLETE") and "ROLLBACK" not in status and "DELETE" not in status
    yield Finding(
        "stack", is_whole, status, "" if is_whole else "read the stack's events in CloudFormation; deploy again"
    )


def _schedules(patient: Patient) -> Iterator[Finding]:
    found = deployed.schedules(patient.stack, aws_client) if patient.stack else {}
    for purpose, one in found.items():
        subject = f"{purpose} schedule"
        if one is None:
            yield Finding(subject, ok=False, said="it does not exist", todo="deploy again")
            continue
        todo = "" if one.is_on else f"{_WITHOUT[purpose]}: enable schedule {one.name}"
        yield Finding(subject, one.is_on, f"{'on' if one.is_on else 'OFF'}, {one.expression}", todo)


def _configuration(patient: Patient) -> Iterator[Finding]:
    trouble = patient.app.refresh()
    settings = patient.app.settings
    if trouble is not None:
        yield Finding("configuration", ok=False, said=trouble.detail, todo="correct it; the last good one goes on")
        return
    said = f"{pluralize(len(settings.targets), 'target')}, {pluralize(len(settings.destinations), 'destination')}"
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


def _unreadable(app: Monitor, reference: str) -> SecretError | None:
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
    said = f"{humanize_duration(age)} ago; one is due every {render(patient.interval)}"
    yield Finding("last run", not is_late, said, _start(patient) if is_late else "")
    rows = patient.app.store.coverages()
    latest = max(rows, key=lambda row: row.started_at, default=None)
    rows = [row for row in rows if latest is not None and row.of == latest.of]
    if rows and not is_late:
        yield from _completeness(patient, rows)
    yield from _coverage(rows, parts)


def _capacity(patient: Patient) -> Iterator[Finding]:
    """Whether a run fits into the interval, by what the slowest shard of the latest run took."""
    parts = latest_run(patient.app.store.runs(_SHARDS))
    times = [part.finished_at - part.started_at for part in parts if part.finished_at is not None]
    if patient.stack is None or not times:  # of stacks alone
        return
    load = workload_of(patient.app.settings, patient.stack, max(times))
    overload = explain_overload(load)
    if overload:
        said, _, todo = overload.rpartition(": ")
        yield Finding("capacity", ok=False, said=said, todo=todo)
        return
    interval = patient.interval.total_seconds()
    yield Finding("capacity", ok=True, said=f"a run takes {math.ceil(load.seconds):,} of {interval:,.0f} s")


def _runbook(patient: Patient) -> Iterator[Finding]:
    """Codes that numbers gave in the latest run, and that nobody here has advice for."""
    parts = latest_run(patient.app.store.runs(_SHARDS))
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(part.codes)
    new = unlisted(counts, patient.app.settings.runbook)
    listed = ", ".join(f"{code} ({pluralize(count, 'number')})" for code, count in new.items())
    if new:
        yield Finding("runbook", ok=True, said=f"codes without advice: {listed}; write yours under `runbook`")


def latest_run(runs: Sequence[Run]) -> list[Run]:
    """All shards of the latest run."""
    return [run for run in runs if run.id == runs[0].id]


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
    yield Finding("coverage", is_good, f"{answered} of {pluralize(expected, 'target')} answered{unread}{late}", todo)


def _completeness(patient: Patient, rows: Sequence[ShardCoverage]) -> Iterator[Finding]:
    now, of = patient.app.clock.now(), rows[0].of
    targets = len(patient.app.settings.targets)
    found = assess_completeness(rows, shards=of, targets=targets, interval=patient.interval, now=now)
    trouble = incomplete_reason(found, now)
    if trouble is not None:
        yield Finding("whole fleet", ok=False, said=trouble.detail, todo=_start(patient))
    elif found.complete_since is not None:
        yield Finding(
            "whole fleet", ok=True, said=f"read within the last {humanize_duration(now - found.complete_since)}"
        )


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


def _subscriptions(patient: Patient) -> Iterator[Finding]:
    for name, one in patient.app.notifiers.items():
        if isinstance(one, Topic):
            yield from _of_topic(name, one.topic_arn, may_be_empty=one.may_be_empty)
    alarms = patient.stack.outputs.get("AlarmTopicArns", "") if patient.stack else ""
    for arn in filter(None, alarms.split(",")):
        yield from _of_topic("the monitor's own alarms", arn)


def _of_topic(name: str, arn: str, *, may_be_empty: bool = False) -> Iterator[Finding]:
    found = deployed.subscriptions(arn, aws_client)
    confirmed = [one for one in found if one.is_confirmed]
    topic = arn.rpartition(":")[2]
    if not found:
        todo = f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint you@example.com"
        said = f"{name}: nobody subscribes to {topic}"
        yield Finding("topic", may_be_empty, said, "" if may_be_empty else todo)
        return
    yield Finding(
        "topic", len(confirmed) == len(found), f"{name}: {len(confirmed)} of {len(found)} confirmed", _confirm(found)
    )


def _confirm(found: Sequence[deployed.Subscription]) -> str:
    waiting = [f"{one.protocol} {one.endpoint}" for one in found if not one.is_confirmed]
    return f"the link in AWS's first message confirms {', '.join(waiting[:3])}" if waiting else ""


def _dead_letters(patient: Patient) -> Iterator[Finding]:
    """Nothing in them has to be sent again: each run, and each round of notify, does what an earlier one did not."""
    if patient.stack is None:
        return
    full = [one for one in deployed.dead_letters(patient.stack, aws_client) if one.count]
    if not full:
        yield Finding("dead letters", ok=True, said="all queues are empty")
    for one in full:
        said = ", ".join((f"{pluralize(one.count, 'message')} in {one.queue}", *one.causes))
        if patient.purge:
            deployed.purge(one, aws_client)
            yield Finding("dead letters", ok=True, said=f"{said}; deleted")
        else:
            yield Finding("dead letters", ok=False, said=said, todo=_CLEAR)


_CLEAR: Final = (
    "read the functions' logs of that time and repair the cause; then delete them with `doctor --purge`: nothing has to"
    " be sent again, because the next run does the same work"
)


def _heartbeat(patient: Patient) -> Iterator[Finding]:
    if patient.app.heartbeat:
        yield Finding("heartbeat", ok=True, said="is sent for each complete run")
    else:
        said = "none; where AWS itself or this account is down, nobody hears of it (parameter HeartbeatSecret)"
        yield Finding("heartbeat", ok=True, said=said)


def _alarms(patient: Patient) -> Iterator[Finding]:
    if patient.stack is None:
        return
    found = deployed.alarms(patient.stack, aws_client)
    todo = f"see the dashboard: {patient.stack.outputs.get('DashboardUrl')}" if found.ringing else ""
    unarmed = (
        "" if found.is_armed else "; silence of the functions rings none yet: it takes ten minutes from their start"
    )
    yield Finding("alarms", not found.ringing, (", ".join(found.ringing) or "none rings") + unarmed, todo)


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
