"""What was read and what was not: of each shard by its latest pass, and of each day."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec


class DayCoverage(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long the targets of one shard were monitored on one day (UTC). It outlives the runs.

    `monitored` is the time for which the shard's passes stand: each stands until the next one, for two intervals at
    most. `unread` has, for each target that was not read all that time, how much of it was not covered by a reading."""

    day: date
    shard: int
    of: int
    monitored: timedelta = timedelta(0)
    unread: dict[str, timedelta] = {}


class ShardCoverage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The latest pass over one shard, replaced by the next one. `interval` is the time between two passes.

    `unread` maps each target that this pass did not read to the start of the last pass that did (None: it was never
    read). `today` goes on counting; it is stored as a row of its own when the day is over."""

    shard: int
    of: int
    run_id: str
    started_at: datetime
    finished_at: datetime
    interval: timedelta
    expected: int
    unread: dict[str, datetime | None] = {}
    today: DayCoverage | None = None
