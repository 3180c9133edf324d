"""Decide which heartbeat ping to send: the proof of work that a dead man's switch waits for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

from wabawatch.domain.coverage import ShardCoverage

MIN_COVERAGE: Final = 0.95
MAX_DELIVERY_AGE: Final = timedelta(minutes=15)


class HeartbeatRules(msgspec.Struct, frozen=True):
    """What counts as success: the share of targets that answered, and the age of the oldest pending notification."""

    min_coverage: float = MIN_COVERAGE
    max_delivery_age: timedelta = MAX_DELIVERY_AGE


PingKind = Literal["start", "success", "fail"]


class HeartbeatPing(msgspec.Struct, frozen=True):
    """One ping for a run, with its reason for people."""

    run_id: str
    kind: PingKind
    why: str


class LastHeartbeatPing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last ping sent. `runs` has the run id of each shard in it, `succeeded` those of the last success."""

    kind: PingKind | None = None
    runs: dict[int, str] = {}
    succeeded: dict[int, str] = {}


def next_heartbeat_ping(
    coverages: Sequence[ShardCoverage],
    shards: int,
    last: LastHeartbeatPing,
    oldest_undelivered: timedelta,
    rules: HeartbeatRules,
) -> tuple[HeartbeatPing, LastHeartbeatPing] | None:
    """Return the ping that is due and the record to store once it is sent; None if none is due.

    A success needs a new run of every shard since the last success. If a shard is missing there is no ping, so that the
    switch raises its alarm. Runs are compared by id, not by time: clocks may be set back."""
    rows = [row for row in coverages if row.of == shards]
    if len(rows) < shards:
        return None
    runs = {row.shard: row.run_id for row in rows}
    ping = _build_ping(rows, oldest_undelivered, rules)
    if ping.kind == "success":
        is_due = _all_new(runs, last.succeeded)
    else:
        is_due = last.kind != ping.kind or _all_new(runs, last.runs)
    succeeded = runs if ping.kind == "success" else last.succeeded
    return (ping, LastHeartbeatPing(ping.kind, runs, succeeded)) if is_due else None


def _build_ping(rows: Sequence[ShardCoverage], oldest_undelivered: timedelta, rules: HeartbeatRules) -> HeartbeatPing:
    """Report a failure if too few targets answered or a notification is pending for too long."""
    expected = sum(row.expected for row in rows)
    answered = expected - sum(len(row.unread) for row in rows)
    run_id = max(rows, key=lambda row: row.started_at).run_id
    if expected == 0 or answered < rules.min_coverage * expected:
        return HeartbeatPing(run_id, "fail", f"{answered} of {expected} targets answered")
    if oldest_undelivered > rules.max_delivery_age:
        minutes = round(oldest_undelivered.total_seconds() / 60)
        return HeartbeatPing(run_id, "fail", f"a notification has been waiting for {minutes} minutes")
    return HeartbeatPing(run_id, "success", f"{answered} of {expected} targets answered")


def _all_new(runs: dict[int, str], before: dict[int, str]) -> bool:
    return all(before.get(shard) != run_id for shard, run_id in runs.items())
