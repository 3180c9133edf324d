"""Estimate whether a fleet can be read within its interval, from its size, shards, concurrency and response time."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

import msgspec

ASSUMED_ANSWER: Final = timedelta(seconds=1)
"""The assumed response time if none was measured; most are shorter."""
USABLE: Final = timedelta(seconds=100)
"""The part of the poll function's 120 seconds for probes. The rest is for open requests, commits and the run record."""
_SLACK: Final = 0.8
"""The share of the interval that a run takes with the advised setting."""
INTERVALS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60))
"""The values that the template's PollEvery allows."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The work of one run: `polls` shards are read concurrently, and `concurrency` numbers of each.

    `shard_time` is the measured time of the slowest shard (None: not measured)."""

    numbers: int
    interval: timedelta
    shards: int = 1
    polls: int = 1
    concurrency: int = 64
    requests_per_second: float | None = None
    shard_time: timedelta | None = None

    @property
    def seconds_a_shard(self) -> float:
        if self.shard_time is not None:
            return self.shard_time.total_seconds()
        size = -(-self.numbers // self.shards)
        paced = size / self.requests_per_second if self.requests_per_second else 0.0
        return max(paced, -(-size // self.concurrency) * ASSUMED_ANSWER.total_seconds())

    @property
    def rounds(self) -> int:
        return -(-self.shards // self.polls)

    @property
    def seconds(self) -> float:
        return self.rounds * self.seconds_a_shard


def explain_overload(load: Workload) -> str:
    """Explain with numbers why a stack cannot read its fleet within the interval, and what to raise; "" if it can."""
    shard, interval = load.seconds_a_shard, load.interval.total_seconds()
    if load.shard_time is None and shard > USABLE.total_seconds():
        return (
            f"{_fleet(load)}: a shard takes {_seconds(shard)}{_basis(load)}, and a poll has"
            f" {_seconds(USABLE.total_seconds())}: raise {_pace(load)}"
        )
    if load.seconds <= interval:
        return ""
    rounds = f"{load.rounds} round{'' if load.rounds == 1 else 's'} of {_seconds(shard)} = {_seconds(load.seconds)}"
    if load.shards == 1:
        rounds = _seconds(load.seconds)
    beside = f", {load.polls} at a time," if load.shards > 1 else ""
    return (
        f"{_fleet(load)}{beside} take {rounds}{_basis(load)}; the interval is {_seconds(interval)}:"
        f" raise {' or '.join(_ways(load))}"
    )


def explain_slow_pass(load: Workload) -> str:
    """Do the same as `explain_overload` for one process that reads the whole fleet."""
    if load.seconds <= load.interval.total_seconds():
        return ""
    return (
        f"{load.numbers:,} numbers take {_seconds(load.seconds)}{_basis(load)}; at an interval of"
        f" {_seconds(load.interval.total_seconds())} each pass begins late: raise {_pace(load)} or the interval"
    )


def _ways(load: Workload) -> list[str]:
    """List the settings that make the run fit, with a fifth of the interval left."""
    ways = []
    is_slow = True
    if rounds := math.floor(_SLACK * load.interval.total_seconds() / load.seconds_a_shard):
        polls = -(-load.shards // rounds)
        if load.polls < polls:
            ways.append(f"PollConcurrency to {polls}")
            is_slow = False
    longer = next((interval for interval in INTERVALS if _SLACK * interval.total_seconds() >= load.seconds), None)
    if longer is not None and longer > load.interval:
        minutes = round(longer.total_seconds() / 60)
        ways.append(f"PollEvery to {minutes}m" if minutes < 60 else "PollEvery to 1h")  # noqa: PLR2004 - an hour
    return [*ways, _pace(load)] if is_slow else ways


def _pace(load: Workload) -> str:
    return "source.requests_per_second" if load.requests_per_second else "source.concurrency"


def _fleet(load: Workload) -> str:
    fleet = f"{load.numbers:,} number{'' if load.numbers == 1 else 's'}"
    return f"{fleet} in {load.shards} shards" if load.shards > 1 else fleet


def _basis(load: Workload) -> str:
    if load.shard_time is not None:
        return " (as the latest run took)"
    if load.requests_per_second:
        return f" (at {load.requests_per_second:g} requests a second)"
    return f" (if an answer takes {_seconds(ASSUMED_ANSWER.total_seconds())}, {load.concurrency} at once)"


def _seconds(value: float) -> str:
    return f"{math.ceil(value):,} s"
