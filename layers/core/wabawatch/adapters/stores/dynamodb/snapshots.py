"""Store snapshots: read them, and commit them with their log rows and pending changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from wabawatch.adapters.stores.codec import dump
from wabawatch.adapters.stores.dynamodb.aside import SNAPSHOT, Aside
from wabawatch.adapters.stores.dynamodb.keys import Periods, month_of, snapshot_key, snapshot_partition
from wabawatch.adapters.stores.dynamodb.table import Condition, Item, Table, blob, item, number
from wabawatch.adapters.stores.dynamodb.transactions import WriteGroup, put, write
from wabawatch.adapters.stores.dynamodb.transition_log import LOG, log_rows
from wabawatch.application.ports import Change, Outcome
from wabawatch.domain.sharding import BUCKETS, bucket_of
from wabawatch.domain.snapshot import Snapshot

SINGLE_READS: Final = BUCKETS
"""The number of targets up to which single reads cost no more calls than queries.

An item by its key is a read unit, or half of one where reads may lag. A query that may lag is half a unit for each 4 KB
of what it finds, and half a unit at least: all 32 buckets are 16 units, with up to 20 healthy targets in each. So from
33 targets on queries are cheaper: 1,000 healthy ones cost about 32 units, and not 500."""


class Snapshots:
    """The last accepted snapshot of each target."""

    def __init__(self, table: Table, aside: Aside, periods: Periods, history: timedelta) -> None:
        self._table = table
        self._aside = aside
        self._periods = periods
        self._history = history

    def find(self, targets: Sequence[str]) -> dict[str, Snapshot]:
        """Return the stored snapshots. Few are read consistently, which a pass that lost a race needs; many are not."""
        wanted = set(targets)
        if len(wanted) <= SINGLE_READS:
            found: Iterable[Item] = self._table.get_all(snapshot_key(target) for target in wanted)
        else:
            found = self._query_buckets(wanted)
        return {name: self._decode(row) for row in found if (name := row["sk"]["S"]) in wanted}

    def every(self) -> Iterator[Snapshot]:
        for bucket in range(BUCKETS):
            for found in self._table.query(snapshot_partition(bucket)):
                yield self._decode(found)

    def _query_buckets(self, wanted: set[str]) -> Iterator[Item]:
        buckets: dict[int, list[str]] = {}
        for target in wanted:
            buckets.setdefault(bucket_of(target), []).append(target)
        for page in self._table.each(self._query_bucket, buckets.items()):
            yield from page

    def _query_bucket(self, bucket: tuple[int, list[str]]) -> list[Item]:
        number_, targets = bucket
        first, last = min(targets), max(targets)
        return list(self._table.query(snapshot_partition(number_), since=first, until=last, consistent=False))

    def _decode(self, found: Item) -> Snapshot:
        name = found["sk"]["S"]
        snapshot = self._aside.decode(SNAPSHOT, found, name)
        return snapshot or Snapshot(name, int(found["v"]["N"]), int(found["s"]["N"]), is_reset=True)

    def commit(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write each change as one group of a transaction; several changes share a transaction."""
        self._periods.note(LOG, (month_of(change.observation.observed_at) for change in changes))
        return [answer.outcome for answer in write(self._table, [self._group(change) for change in changes])]

    def _group(self, change: Change) -> WriteGroup:
        snapshot = change.snapshot
        row = item(
            snapshot_key(snapshot.target), v=number(snapshot.version), s=number(snapshot.seq), body=blob(dump(snapshot))
        )
        return WriteGroup(
            (
                put(self._table, row, follows(snapshot.version)),
                *(put(self._table, log_row) for log_row in log_rows(change, self._history)),
            )
        )


def follows(version: int) -> Condition:
    """Make the condition that the stored version is the one before."""
    if version == 1:
        return Condition("attribute_not_exists(pk)")
    return Condition("v = :before", {":before": number(version - 1)})
