"""Check a configuration against a deployed stack, and the stack itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from wabawatch.adapters import cloudformation as deployed
from wabawatch.adapters.aws import aws_client
from wabawatch.adapters.cloudformation import Stack
from wabawatch.adapters.process import ON_LAMBDA, lower_concurrency
from wabawatch.application.credentials import SECRETS_MANAGER, SSM, find_references, parse_reference
from wabawatch.application.poll import DEFAULT_INTERVAL
from wabawatch.application.ports import Topic
from wabawatch.config import Settings, effective
from wabawatch.config.scalars import parse_duration
from wabawatch.domain.capacity import Workload, explain_overload, explain_slow_pass
from wabawatch.domain.sharding import SHARD_SIZE, Run, shards_for
from wabawatch.errors import ConfigurationError
from wabawatch.messages.text import pluralize
from wabawatch.monitor import Monitor


def explain_bounds(settings: Settings, stack: Stack | None) -> Iterator[str]:
    """Yield notes about limits that the configuration exceeds: of the stack, or of this machine (None)."""
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
    """Return what a stack has to do in an interval. `shard_time` is a measured duration of a shard."""
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


def interval_of(stack: Stack | None, default: timedelta) -> timedelta:
    """Return the polling interval of a stack, or the default."""
    interval = stack.environment.get("WABAWATCH_POLL_INTERVAL", "") if stack else ""
    return parse_duration(interval) if interval else default


_MAX_LISTED: Final = 3


class _Readable(NamedTuple):
    """The secrets that the role of a function may read for a part of the configuration: those below a name, and the
    secret that a parameter of the stack names (by the functions' variable)."""

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
        for text in sorted(find_references(plain[part])):
            scheme, name = parse_reference(text).place
            is_named = scheme == SECRETS_MANAGER and _name(name) == of_parameter
            if scheme in {SSM, SECRETS_MANAGER} and not is_named and not _name(name).startswith(start):
                written = f"/{start}" if scheme == SSM else start
                yield f"{text}: {readable.function} may not read it; give it a name that begins with {written}"


def refuse_unreadable_secrets(place: str, settings: Settings, stack: Stack | None) -> None:
    """Raise ConfigurationError if the stack's functions may not read a secret. Without a stack, check nothing."""
    found = list(unreadable_secrets(settings, stack)) if stack else []
    if found:
        further = f"\n{place}: and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
        raise ConfigurationError("\n".join(f"{place}: {text}" for text in found[:_MAX_LISTED]) + further)


def _name(place: str) -> str:
    """Return the name that a prefix is compared with: without the rest of an ARN, without the six characters that AWS
    adds to a secret's name in its ARN, and without a parameter's leading slash."""
    if place.startswith("arn:"):
        place = re.sub("^secret:|^parameter|-[A-Za-z0-9]{6}$", "", place.split(":", 5)[-1])
    return place.removeprefix("/")


_MAX_SHARDS: Final = 64
_EFFECTS_WITHOUT: Final = {
    "poll": "no number is read",
    "notify": "no retry or reminder is sent, and alerts depend on the table's stream alone",
}
"""The effect of a function's schedule that is off."""


class Finding(msgspec.Struct, frozen=True):
    """The result of a check. `todo` says what to do if it is not `ok`."""

    subject: str
    ok: bool
    said: str
    todo: str = ""


class DoctorContext(msgspec.Struct, frozen=True):
    """What `doctor` checks. `stack` is None for a monitor on this machine."""

    app: Monitor
    interval: timedelta
    stack: deployed.Stack | None = None
    purge: bool = False
    """Whether messages of the queues are deleted after they are shown."""


def check_stack(context: DoctorContext) -> Iterator[Finding]:
    status = context.stack.status if context.stack else ""
    is_ok = status.endswith("_COMPLETE") and "ROLLBACK" not in status and "DELETE" not in status
    yield Finding("stack", is_ok, status, "" if is_ok else "read the stack's events in CloudFormation; deploy again")


def check_schedules(context: DoctorContext) -> Iterator[Finding]:
    found = deployed.list_schedules(context.stack, aws_client) if context.stack else {}
    for purpose, schedule in found.items():
        subject = f"{purpose} schedule"
        if schedule is None:
            yield Finding(subject, ok=False, said="does not exist", todo="deploy again")
            continue
        todo = "" if schedule.is_on else f"{_EFFECTS_WITHOUT[purpose]}: enable schedule {schedule.name}"
        yield Finding(subject, schedule.is_on, f"{'on' if schedule.is_on else 'OFF'}, {schedule.expression}", todo)


def check_capacity(context: DoctorContext) -> Iterator[Finding]:
    """Check that a run fits into the interval, by the slowest shard of the latest run."""
    parts = latest_run(context.app.store.runs(_MAX_SHARDS))
    times = [part.finished_at - part.started_at for part in parts if part.finished_at is not None]
    if context.stack is None or not times:
        return
    load = workload_of(context.app.settings, context.stack, max(times))
    overload = explain_overload(load)
    if overload:
        said, _, todo = overload.rpartition(": ")
        yield Finding("capacity", ok=False, said=said, todo=todo)
        return
    interval = context.interval.total_seconds()
    yield Finding("capacity", ok=True, said=f"a run takes {math.ceil(load.seconds):,} of {interval:,.0f} s")


def latest_run(runs: Sequence[Run]) -> list[Run]:
    """Return all shards of the latest run."""
    return [run for run in runs if run.id == runs[0].id]


def check_topics(context: DoctorContext) -> Iterator[Finding]:
    for name, notifier in context.app.notifiers.items():
        if isinstance(notifier, Topic):
            yield from _check_topic(name, notifier.topic_arn, may_be_empty=notifier.may_be_empty)
    alarms = context.stack.outputs.get("AlarmTopicArns", "") if context.stack else ""
    for arn in filter(None, alarms.split(",")):
        yield from _check_topic("the monitor's own alarms", arn)


def _check_topic(name: str, arn: str, *, may_be_empty: bool = False) -> Iterator[Finding]:
    found = deployed.list_subscriptions(arn, aws_client)
    confirmed = [subscription for subscription in found if subscription.is_confirmed]
    topic = arn.rpartition(":")[2]
    if not found:
        todo = f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint you@example.com"
        said = f"{name}: no subscriber on topic {topic}"
        yield Finding("topic", may_be_empty, said, "" if may_be_empty else todo)
        return
    yield Finding(
        "topic",
        len(confirmed) == len(found),
        f"{name}: {len(confirmed)} of {len(found)} confirmed",
        _confirm_text(found),
    )


def _confirm_text(found: Sequence[deployed.Subscription]) -> str:
    pending = [f"{entry.protocol} {entry.endpoint}" for entry in found if not entry.is_confirmed]
    return f"confirm {', '.join(pending[:3])} with the link in AWS's first message" if pending else ""


def check_dead_letters(context: DoctorContext) -> Iterator[Finding]:
    """Check the dead-letter queues. Their messages need not be sent again: the next run repeats the work."""
    if context.stack is None:
        return
    full = [queue for queue in deployed.list_dead_letters(context.stack, aws_client) if queue.count]
    if not full:
        yield Finding("dead letters", ok=True, said="all queues are empty")
    for queue in full:
        said = ", ".join((f"{pluralize(queue.count, 'message')} in {queue.queue}", *queue.causes))
        if context.purge:
            deployed.purge_queue(queue, aws_client)
            yield Finding("dead letters", ok=True, said=f"{said}; deleted")
        else:
            yield Finding("dead letters", ok=False, said=said, todo=_HOW_TO_CLEAR)


_HOW_TO_CLEAR: Final = (
    "read the functions' logs of that time and fix the cause; then delete the messages with `doctor --purge`: the next"
    " run repeats the work"
)


def check_heartbeat(context: DoctorContext) -> Iterator[Finding]:
    if context.app.heartbeat:
        yield Finding("heartbeat", ok=True, said="sent after each complete run")
    else:
        said = "none: if AWS or this account is down, nobody is notified (set parameter HeartbeatSecret)"
        yield Finding("heartbeat", ok=True, said=said)


def check_alarms(context: DoctorContext) -> Iterator[Finding]:
    if context.stack is None:
        return
    found = deployed.read_alarms(context.stack, aws_client)
    todo = f"see the dashboard: {context.stack.outputs.get('DashboardUrl')}" if found.ringing else ""
    unarmed = (
        "" if found.is_armed else "; for ten minutes after the first start no alarm fires if the functions don't run"
    )
    yield Finding("alarms", not found.ringing, (", ".join(found.ringing) or "none in ALARM") + unarmed, todo)
