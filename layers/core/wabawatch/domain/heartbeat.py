"""Whether the work was done: the proof that a dead-man's switch waits for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from wabawatch.domain.runs import Run


class Vital(msgspec.Struct, frozen=True):
    """What counts as done: at least this share of the fleet answered, no notification waits longer than this."""

    min_coverage: float = 0.5
    max_delivery_age: timedelta = timedelta(hours=1)


class Pulse(msgspec.Struct, frozen=True):
    """What to tell the switch about one run: `start`, `success` or `fail`, and why."""

    run_id: str
    kind: str
    why: str


def pulse(runs: Sequence[Run], oldest_undelivered: timedelta, vital: Vital) -> Pulse | None:
    """The pulse of the latest run that is complete, all its shards together; None while there is none.

    Never merely because a function ran: a pass that read too little, or news that nobody got, is a failure."""
    shards = _latest_complete(runs)
    if not shards:
        return None
    expected = sum(run.expected for run in shards)
    answered = sum(run.answered for run in shards)
    run_id = shards[0].id
    if expected == 0 or answered < vital.min_coverage * expected:
        return Pulse(run_id, "fail", f"{answered} of {expected} targets answered")
    if oldest_undelivered > vital.max_delivery_age:
        minutes = round(oldest_undelivered.total_seconds() / 60)
        return Pulse(run_id, "fail", f"a notification has been waiting for {minutes} minutes")
    return Pulse(run_id, "success", f"{answered} of {expected} targets answered")


def _latest_complete(runs: Sequence[Run]) -> list[Run]:
    shards: dict[str, dict[int, Run]] = {}
    for run in runs:
        if run.finished_at is not None:
            shards.setdefault(run.id, {})[run.shard] = run
    complete = [list(found.values()) for found in shards.values() if len(found) == next(iter(found.values())).of]
    return max(complete, key=lambda found: max(run.started_at for run in found), default=[])
