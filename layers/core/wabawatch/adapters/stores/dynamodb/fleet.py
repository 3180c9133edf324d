"""Snapshots, and the commit that writes them with their log rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from wabawatch.adapters.stores.codec import dump, load
from wabawatch.adapters.stores.dynamodb.log import log_row
from wabawatch.adapters.stores.dynamodb.shapes import (
    blob,
    body_of,
    item,
    number,
    snapshot_key,
    snapshot_partition,
)
from wabawatch.adapters.stores.dynamodb.table import Condition, Item, Table
from wabawatch.adapters.stores.dynamodb.units import Unit, put, write
from wabawatch.application.ports import Change
from wabawatch.domain.sharding import BUCKETS, bucket_of
from wabawatch.domain.transitions import Snapshot

FEW: Final = BUCKETS
"""Targets up to which single reads cost no more calls than queries do.

An item by its key is a read unit, or half of one where reads may lag. A query that may lag is half a unit for each 4 KB
of what it finds, and half a unit at least: all 32 buckets are 16 units, with up to 20 healthy targets in each. So from
33 targets on queries are cheaper: 1,000 healthy ones cost about 32 units, and not 500."""


class Fleet:
    """The part of the store that poll writes."""

    _table: Table
    _history: timedelta

    def snapshots(self, targets: Sequence[str]) -> dict[str, Snapshot]:
        """Of those that have one. A few are read consistently, which whoever lost a race needs; many are not."""
        wanted = set(targets)
        if len(wanted) <= FEW:
            found: Iterable[Item] = self._table.get_all(snapshot_key(target) for target in wanted)
        else:
            found = self._queried(wanted)
        return {name: load(Snapshot, body_of(one)) for one in found if (name := one["sk"]["S"]) in wanted}

    def every_snapshot(self) -> list[Snapshot]:
        pages = self._table.each(lambda bucket: list(self._table.query(snapshot_partition(bucket))), range(BUCKETS))
        return [load(Snapshot, body_of(found)) for page in pages for found in page]

    def _queried(self, wanted: set[str]) -> Iterator[Item]:
        buckets: dict[int, list[str]] = {}
        for target in wanted:
            buckets.setdefault(bucket_of(target), []).append(target)
        for page in self._table.each(self._bucket, buckets.items()):
            yield from page

    def _bucket(self, bucket: tuple[int, list[str]]) -> list[Item]:
        number_, targets = bucket
        between = (min(targets), max(targets))
        return list(self._table.query(snapshot_partition(number_), between=between, consistent=False))

    def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Each change is one unit of a transaction; several changes share a transaction."""
        outcomes = [False] * len(changes)
        for wave in _waves(changes):
            answers = write(self._table, [self._change(changes[position]) for position in wave])
            for position, codes in zip(wave, answers, strict=True):
                outcomes[position] = not codes
        return outcomes

    def _change(self, change: Change) -> Unit:
        snapshot = change.snapshot
        row = item(snapshot_key(snapshot.target), v=number(snapshot.version), body=blob(dump(snapshot)))
        return Unit(
            (put(self._table, row, follows(snapshot.version)), put(self._table, log_row(change, self._history)))
        )


def follows(version: int) -> Condition:
    """The condition under which this version may be written."""
    if version == 1:
        return Condition("attribute_not_exists(pk)")
    return Condition("v = :before", {":before": number(version - 1)})


def _waves(changes: Sequence[Change]) -> Iterator[list[int]]:
    """Positions, so cut that a target's second change is written after its first."""
    waves: list[list[int]] = []
    seen: dict[str, int] = {}
    for position, change in enumerate(changes):
        wave = seen.get(change.snapshot.target, -1) + 1
        seen[change.snapshot.target] = wave
        if wave == len(waves):
            waves.append([])
        waves[wave].append(position)
    return iter(waves)
