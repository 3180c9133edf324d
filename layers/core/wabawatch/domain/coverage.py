"""Record which targets were read and which were not: per shard for the latest pass, and per day."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from wabawatch.domain.sharding import shard_of

STANDS_FOR: Final = 2
"""A reading is valid until the next one, but for no more intervals than this: one missed pass is not a gap."""
_ZERO: Final = timedelta(0)


class DayCoverage(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long the targets of one shard were monitored on one day (UTC). It is kept for longer than the runs.

    `monitored` is the time for which the readings of the shard's passes are valid. `unread` maps each target that was
    not read for all that time to the time without a valid reading."""

    day: date
    shard: int
    of: int
    monitored: timedelta = _ZERO
    unread: dict[str, timedelta] = {}


class ShardCoverage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The latest pass over one shard, replaced by the next one. `interval` is the time between two passes.

    `unread` maps each target that this pass did not read (failed, skipped, not stored) to the start of the last pass
    that did (None: never read). `skipped` maps those of them that were not probed, or whose result could not be stored,
    to the start of the last pass that did both. `today` is updated by each pass, and stored as its own row when the day
    is over. `since` is when the first pass over this shard began, with this number of shards."""

    shard: int
    of: int
    run_id: str
    started_at: datetime
    finished_at: datetime
    interval: timedelta
    expected: int
    unread: dict[str, datetime | None] = {}
    today: DayCoverage | None = None
    skipped: dict[str, datetime] = {}
    since: datetime | None = None

    @property
    def stale_after(self) -> timedelta:
        """The age at which a reading of this pass is stale; a pass itself takes some time."""
        return STANDS_FOR * self.interval + (self.finished_at - self.started_at)


class PassReading(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a pass.

    `skipped` is the part of `unread` that was not probed, or whose result could not be stored. `new` are the targets
    that had no snapshot before the pass."""

    shard: int
    of: int
    run_id: str
    started_at: datetime
    finished_at: datetime
    interval: timedelta
    expected: int
    unread: Collection[str] = ()
    skipped: Collection[str] = ()
    new: Collection[str] = ()


class CoverageUpdate(msgspec.Struct, frozen=True):
    """The rows to write after a pass: store `days`, then `coverage`, then delete the `obsolete` rows.

    `coverage` is None if a pass that began later was stored already."""

    coverage: ShardCoverage | None
    days: tuple[DayCoverage, ...] = ()
    obsolete: tuple[ShardCoverage, ...] = ()


class LastReadings:
    """Look up when targets were last read, in the coverage of all shards."""

    def __init__(self, coverages: Sequence[ShardCoverage]) -> None:
        self._divisions: dict[int, dict[int, ShardCoverage]] = {}
        for row in coverages:
            self._divisions.setdefault(row.of, {})[row.shard] = row

    def coverage(self, target: str) -> ShardCoverage | None:
        """Return the latest pass over the target's shard, for any number of shards."""
        rows = (shards.get(shard_of(target, of)) for of, shards in self._divisions.items())
        return max((row for row in rows if row is not None), key=lambda row: row.started_at, default=None)

    def last_read_at(self, target: str) -> datetime | None:
        """Return the start of the last pass that read a target, or None."""
        row = self.coverage(target)
        return None if row is None else row.unread.get(target, row.started_at)


def update_coverage(
    reading: PassReading, stored: Sequence[ShardCoverage], resumed: DayCoverage | None = None
) -> CoverageUpdate:
    """Compute the rows to write after a pass.

    `stored` is the coverage of all shards before it. `resumed` is the stored row of today, if the shard has one but no
    coverage because the number of shards was changed back."""
    previous = next((row for row in stored if (row.shard, row.of) == (reading.shard, reading.of)), None)
    if previous is not None and reading.started_at < previous.started_at <= reading.finished_at:
        return CoverageUpdate(
            None
        )  # overlapping passes; not if `previous` began in the future: then the clock was set back
    last = LastReadings([previous] if previous else stored)
    days = _count_days(reading, previous, resumed)
    today = days[-1]
    if today.monitored:  # a new target's day begins with its first reading
        today = msgspec.structs.replace(today, unread=dict.fromkeys(reading.new, today.monitored) | today.unread)
    coverage = ShardCoverage(
        reading.shard,
        reading.of,
        reading.run_id,
        reading.started_at,
        reading.finished_at,
        reading.interval,
        reading.expected,
        unread={target: _last_read(target, last, previous, reading.new) for target in reading.unread},
        today=today,
        skipped={target: _last_probed_at(target, previous, reading) for target in reading.skipped},
        since=(previous.since or previous.started_at) if previous else reading.started_at,
    )
    obsolete = _obsolete(coverage, stored)
    left = tuple(row.today for row in obsolete if row.today is not None)
    return CoverageUpdate(coverage, (*left, *days[:-1]), obsolete)


def completes_run(latest: ShardCoverage, stored: Sequence[ShardCoverage]) -> bool:
    """Return whether a shard's pass completes its run, and all shards probed every target."""
    others = {row.shard: row for row in stored if row.of == latest.of and row.shard != latest.shard}
    run = [latest, *(row for row in others.values() if row.run_id == latest.run_id)]
    return len(run) == latest.of and latest.expected > 0 and not any(row.skipped for row in run)


def _last_read(
    target: str, last: LastReadings, previous: ShardCoverage | None, new: Collection[str]
) -> datetime | None:
    if previous is not None and target in previous.unread:
        return previous.unread[target]
    if target in new:
        return None
    return previous.started_at if previous is not None else last.last_read_at(target)


def _last_probed_at(target: str, previous: ShardCoverage | None, reading: PassReading) -> datetime:
    """Return the start of the last pass that probed a target, or that should have been its first."""
    if previous is None or target in reading.new:
        return previous.skipped.get(target, reading.started_at) if previous else reading.started_at
    return previous.skipped.get(target, previous.started_at)


def _obsolete(coverage: ShardCoverage, stored: Sequence[ShardCoverage]) -> tuple[ShardCoverage, ...]:
    """Return the rows for other numbers of shards once every shard has a row for the present one.

    Until then they show when the fleet was read."""
    shards = {row.shard for row in stored if row.of == coverage.of} | {coverage.shard}
    if len(shards) < coverage.of:
        return ()
    return tuple(row for row in stored if row.of != coverage.of)


def _count_days(reading: PassReading, previous: ShardCoverage | None, resumed: DayCoverage | None) -> list[DayCoverage]:
    """Add the time since the previous pass. Return the days that are over, and then today."""
    today = reading.started_at.astimezone(UTC).date()
    rows = [previous.today] if previous is not None and previous.today is not None else []
    if previous is not None:
        validity = STANDS_FOR * previous.interval
        until = min(reading.started_at, previous.started_at + validity)
        for day, begin, end in _by_day(previous.started_at, until):
            if not rows or rows[-1].day < day:
                rows.append(DayCoverage(day, reading.shard, reading.of))
            rows[-1] = _add_time(rows[-1], previous.unread, validity, begin, end)
    if not rows or rows[-1].day < today:
        is_resumed = resumed is not None and resumed.day == today
        rows.append(resumed if is_resumed and resumed else DayCoverage(today, reading.shard, reading.of))
    return rows


def _add_time(
    row: DayCoverage, unread: dict[str, datetime | None], validity: timedelta, begin: datetime, end: datetime
) -> DayCoverage:
    gaps = dict(row.unread)
    for target, read_at in unread.items():
        gap = end - (begin if read_at is None else max(begin, read_at + validity))
        if gap > _ZERO:
            gaps[target] = gaps.get(target, _ZERO) + gap
    return msgspec.structs.replace(row, monitored=row.monitored + (end - begin), unread=gaps)


def _by_day(begin: datetime, end: datetime) -> Iterator[tuple[date, datetime, datetime]]:
    """Split a span of time at midnight (UTC)."""
    while begin < end:
        day = begin.astimezone(UTC).date()
        midnight = datetime.combine(day + timedelta(days=1), time(0), UTC)
        yield day, begin, min(midnight, end)
        begin = midnight


class Completeness(msgspec.Struct, frozen=True):
    """Whether the whole fleet is read.

    `complete_since`: every target was probed at this time or later (None: a shard never was). `waiting_since`: when the
    wait for the first reading of all shards began. `late`: the shards with targets that were not probed for more than
    two intervals; `numbers` counts those targets, and `late_since` is when the first of them was last probed."""

    shards: int
    complete_since: datetime | None = None
    waiting_since: datetime | None = None
    late: tuple[int, ...] = ()
    numbers: int = 0
    late_since: datetime | None = None

    def age(self, now: datetime) -> timedelta | None:
        """Return the time since the whole fleet was read; None if nothing was ever read."""
        reference = self.complete_since or self.waiting_since
        return None if reference is None else max(_ZERO, now - reference)


def assess_completeness(
    coverages: Sequence[ShardCoverage], *, shards: int, targets: int, interval: timedelta, now: datetime
) -> Completeness:
    """Assess the whole fleet by the coverage of its shards.

    `shards` and `targets` are the present numbers; `interval` is the time between two passes. If the number of shards
    has just changed, the wait for the new shards begins with the last pass over an old one."""
    rows = {row.shard: row for row in coverages if row.of == shards}
    begun = min((row.since or row.started_at for row in rows.values()), default=None)
    waiting_since = begun or max((row.finished_at for row in coverages), default=None)
    patience = STANDS_FOR * interval
    late: dict[int, tuple[int, datetime]] = {}
    for shard in range(shards):
        row = rows.get(shard)
        if row is None:
            if waiting_since is not None and now - waiting_since > patience:
                late[shard] = (round(targets / shards), waiting_since)
        elif now - row.finished_at > patience:
            late[shard] = (row.expected, _all_probed_at(row))
        else:
            overdue = [at for at in row.skipped.values() if now - at > patience]
            if overdue:
                late[shard] = (len(overdue), min(overdue))
    complete = min((_all_probed_at(row) for row in rows.values()), default=None) if len(rows) == shards else None
    numbers = sum(count for count, _ in late.values())
    late_since = min((at for _, at in late.values()), default=None)
    return Completeness(shards, complete, waiting_since, tuple(late), numbers, late_since)


def _all_probed_at(row: ShardCoverage) -> datetime:
    return min(row.skipped.values(), default=row.started_at)


def oldest_first(coverages: Sequence[ShardCoverage], shards: int) -> list[int]:
    """Order the shards by their last pass, so that the one that waited longest is first; those without a pass lead."""
    started = {row.shard: row.started_at.timestamp() for row in coverages if row.of == shards}
    return sorted(range(shards), key=lambda shard: (started.get(shard, 0.0), shard))
