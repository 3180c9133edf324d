"""What a configuration asks for beyond what a process or a deployment can do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from wabawatch.adapters.cloudformation import Stack
from wabawatch.adapters.descriptors import ON_LAMBDA, lower_concurrency
from wabawatch.application.poll import DEFAULT_INTERVAL
from wabawatch.config import Settings
from wabawatch.config.durations import parse
from wabawatch.domain.capacity import Workload, explain_overload, explain_slow_pass
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
