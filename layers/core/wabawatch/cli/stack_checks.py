"""Check a configuration and a deployed stack."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from wabawatch.adapters import stack as deployed
from wabawatch.adapters.descriptors import ON_LAMBDA, lower_concurrency
from wabawatch.adapters.secrets.references import SECRETS_MANAGER, SSM, parse_reference
from wabawatch.adapters.stack import Stack
from wabawatch.application.errors import ConfigurationError
from wabawatch.application.poll import DEFAULT_INTERVAL
from wabawatch.application.ports import Topic
from wabawatch.bootstrap import Application, aws_client
from wabawatch.config import Settings, effective
from wabawatch.config.durations import parse
from wabawatch.config.references import references
from wabawatch.domain.capacity import Workload, explain_overload, explain_slow_pass
from wabawatch.domain.phrases import counted
from wabawatch.domain.run import Run
from wabawatch.domain.sharding import SHARD_SIZE, shards_for


def explain_bounds(settings: Settings, stack: Stack | None) -> Iterator[str]:
    """What to know before it runs: on a stack, or on this machine (None) at the usual interval."""
    source = settings.source
    concurrency, lowered = lower_concurrency(source.concurrency, None if stack is None else ON_LAMBDA)
    if lowered:
        yield lowered
    if stack is not None:
        overload = explain_overload(workload_of(settings, stack))
    else:
        load = Workload(
            numbers=len(settings.targets),
            interval=DEFAULT_INTERVAL,
            concurrency=concurrency,
            requests_per_second=source.requests_per_second,
        )
        overload = explain_slow_pass(load)
    if overload:
        yield overload


def workload_of(settings: Settings, stack: Stack, shard_time: timedelta | None = None) -> Workload:
    """What a stack has to do in an interval; `shard_time` where it was measured."""
    numbers = len(settings.targets)
    return Workload(
        numbers=numbers,
        interval=interval_of(stack, DEFAULT_INTERVAL),
        shards=shards_for(numbers, SHARD_SIZE),
        polls=stack.poll_concurrency,
        concurrency=lower_concurrency(settings.source.concurrency, ON_LAMBDA)[0],
        requests_per_second=settings.source.requests_per_second,
        shard_time=shard_time,
    )


def interval_of(stack: Stack | None, usual: timedelta) -> timedelta:
    """How often a stack runs; `usual` for a monitor on this machine."""
    said = stack.environment.get("WABAWATCH_POLL_INTERVAL", "") if stack else ""
    return parse(said) if said else usual


_SHOWN: Final = 3


class _Readable(NamedTuple):
    """What may be read of a part of the configuration: by which function, below which name, and the one secret that a
    parameter of the stack names, by the functions' variable for it."""

    function: str
    name: str
    variable: str


_READABLE: Final = {
    "targets": _Readable("poll", "keys/", "WABAWATCH_API_KEY_SECRET"),
    "destinations": _Readable("notify", "destinations/", "WABAWATCH_SLACK_WEBHOOK_SECRET"),
    "heartbeat": _Readable("poll and notify", "heartbeat", "WABAWATCH_HEARTBEAT_SECRET"),
}


def unreadable_secrets(settings: Settings, stack: Stack) -> Iterator[str]:
    """Yield a sentence for each reference to a secret that the stack's functions may not read."""
    if not stack.secret_prefix:
        return
    plain = effective(settings)
    for part, readable in _READABLE.items():
        start = stack.secret_prefix + readable.name
        of_parameter = stack.environment.get(readable.variable, "").partition("#")[0]
        for text in sorted(references(plain[part])):
            scheme, name = parse_reference(text).place
            is_named = scheme == SECRETS_MANAGER and _name(name) == of_parameter
            if scheme in {SSM, SECRETS_MANAGER} and not is_named and not _name(name).startswith(start):
                written = f"/{start}" if scheme == SSM else start
                yield f"{text}: {readable.function} may not read it; give it a name that begins with {written}"


def refuse_unreadable_secrets(place: str, settings: Settings, stack: Stack | None) -> None:
    """Raise ConfigurationError if the stack's functions may not read a secret. Without a stack nothing is known."""
    found = list(unreadable_secrets(settings, stack)) if stack else []
    if found:
        further = f"\n{place}: and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConfigurationError("\n".join(f"{place}: {one}" for one in found[:_SHOWN]) + further)


def _name(place: str) -> str:
    """Return the name that a prefix is compared with: without the rest of an ARN, without the six characters that AWS
    adds to a secret's name in its ARN, and without a parameter's leading slash."""
    if place.startswith("arn:"):
        place = re.sub("^secret:|^parameter|-[A-Za-z0-9]{6}$", "", place.split(":", 5)[-1])
    return place.removeprefix("/")


_SHARDS: Final = 64
_WITHOUT: Final = {
    "poll": "no number is read",
    "notify": "no retry or reminder is sent, and alerts depend on the table's stream alone",
}
"""What does not happen while a function's schedule is off."""


class Finding(msgspec.Struct, frozen=True):
    """Something looked at. `todo` says what to do where it is not `ok`."""

    subject: str
    ok: bool
    said: str
    todo: str = ""


class Patient(msgspec.Struct, frozen=True):
    """What is examined; `stack` None: a monitor on this machine."""

    app: Application
    interval: timedelta
    stack: deployed.Stack | None = None
    purge: bool = False
    """Whether what lies in the queues is deleted once it was shown."""


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


def latest_run(runs: Sequence[Run]) -> list[Run]:
    """All shards of the latest run."""
    return [run for run in runs if run.id == runs[0].id]


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
        said = ", ".join((f"{counted(one.count, 'message')} in {one.queue}", *one.causes))
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
