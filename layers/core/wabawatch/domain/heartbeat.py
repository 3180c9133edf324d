"""Whether the work was done: the proof that a dead-man's switch waits for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from wabawatch.domain.coverage import ShardCoverage

MIN_COVERAGE: Final = 0.95
MAX_DELIVERY_AGE: Final = timedelta(minutes=15)


class HeartbeatRules(msgspec.Struct, frozen=True):
    """What counts as done: at least this share of the fleet answered, no notification waits longer than this."""

    min_coverage: float = MIN_COVERAGE
    max_delivery_age: timedelta = MAX_DELIVERY_AGE


class HeartbeatPing(msgspec.Struct, frozen=True):
    """What to tell the switch about one run: `start`, `success` or `fail`, and why."""

    run_id: str
    kind: str
    why: str


class LastHeartbeatPing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The latest pulse. `runs` has the run of each shard that it counted, `succeeded` those of the latest success."""

    kind: str = ""
    runs: dict[int, str] = {}
    succeeded: dict[int, str] = {}


def next_heartbeat_ping(
    coverages: Sequence[ShardCoverage],
    shards: int,
    last: LastHeartbeatPing,
    oldest_undelivered: timedelta,
    vital: HeartbeatRules,
) -> tuple[HeartbeatPing, LastHeartbeatPing] | None:
    """Return the pulse that is due, and what is remembered once it was sent; None while none is.

    Success needs a pass over every shard since the last success. A run of which a shard is missing never counts: where
    a shard is not read at all there is no pulse, and the switch alarms. Whether a pass is another one is told by its
    run, not by a clock."""
    rows = [row for row in coverages if row.of == shards]
    if len(rows) < shards:
        return None
    runs = {row.shard: row.run_id for row in rows}
    pulse = _judge(rows, oldest_undelivered, vital)
    if pulse.kind == "success":
        is_due = _all_new(runs, last.succeeded)
    else:
        is_due = last.kind != pulse.kind or _all_new(runs, last.runs)
    succeeded = runs if pulse.kind == "success" else last.succeeded
    return (pulse, LastHeartbeatPing(pulse.kind, runs, succeeded)) if is_due else None


def _judge(rows: Sequence[ShardCoverage], oldest_undelivered: timedelta, vital: HeartbeatRules) -> HeartbeatPing:
    """Never a success merely because a function ran: a pass that read too little, or news that nobody got, is a
    failure."""
    expected = sum(row.expected for row in rows)
    answered = expected - sum(len(row.unread) for row in rows)
    run_id = max(rows, key=lambda row: row.started_at).run_id
    if expected == 0 or answered < vital.min_coverage * expected:
        return HeartbeatPing(run_id, "fail", f"{answered} of {expected} targets answered")
    if oldest_undelivered > vital.max_delivery_age:
        minutes = round(oldest_undelivered.total_seconds() / 60)
        return HeartbeatPing(run_id, "fail", f"a notification has been waiting for {minutes} minutes")
    return HeartbeatPing(run_id, "success", f"{answered} of {expected} targets answered")


def _all_new(runs: dict[int, str], before: dict[int, str]) -> bool:
    return all(before.get(shard) != run_id for shard, run_id in runs.items())
