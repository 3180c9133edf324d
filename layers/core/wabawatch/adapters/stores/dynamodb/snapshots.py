"""Store snapshots, the log of observations that changed something, and the changes that are not folded yet.

A snapshot is committed with its log rows and its pending change in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from wabawatch.adapters.stores.codec import dump
from wabawatch.adapters.stores.dynamodb.bodies import OBSERVATION, PENDING, SNAPSHOT, TRANSITIONS, Aside
from wabawatch.adapters.stores.dynamodb.keys import (
    AFTER_ALL,
    LOG_SPREAD,
    SPREAD,
    Periods,
    expiry,
    iso,
    log_key,
    log_partition,
    log_partition_of,
    month_of,
    pending_key,
    pending_partition,
    snapshot_key,
    snapshot_partition,
)
from wabawatch.adapters.stores.dynamodb.table import Condition, Item, Table, blob, item, name_of, number, text
from wabawatch.adapters.stores.dynamodb.transactions import Action, WriteGroup, delete, put, update, write
from wabawatch.application.ports import Change, Outcome, PendingChange
from wabawatch.domain.health import Observation
from wabawatch.domain.sharding import BUCKETS, bucket_of
from wabawatch.domain.snapshot import Snapshot, Transition

LOG: Final = "LOG"
_LEAST: Final = timedelta(microseconds=1)


def log_rows(change: Change, history: timedelta) -> Iterator[Item]:
    """Yield the log row of a change and, where it has transitions, its pending change. `when` puts the row into the
    index of the fleet's history."""
    seen = change.observation
    notified = blob(dump(change.transitions)) if change.transitions else None
    yield item(
        log_key(seen.target, seen.observed_at),
        seen=blob(dump(seen)),
        body=notified,
        when=text(f"{iso(seen.observed_at)}#{seen.target}") if notified else None,
        expires_at=expiry(seen.observed_at + history),
    )
    if notified:
        yield item(pending_key(seen.target, seen.observed_at), body=notified)


def fold_action(table: Table, change: PendingChange, folded: int) -> Action:
    """Make the action that removes folded transitions from a pending change, on the condition that its first one is not
    folded yet: a notify whose lease was lost must not fold it twice."""
    key = pending_key(change.target, change.at)
    values = {":first": number(change.transitions[0].seq)}
    condition = "attribute_exists(pk) AND (attribute_not_exists(folded) OR folded < :first)"
    if folded >= change.transitions[-1].seq:
        return delete(table, key, Condition(condition, values))
    return update(table, key, "SET folded = :folded", Condition(condition, {**values, ":folded": number(folded)}))


class TransitionLog:
    """Reads the log and the pending changes."""

    def __init__(self, table: Table, aside: Aside, periods: Periods) -> None:
        self._table = table
        self._aside = aside
        self._periods = periods

    def pending(self, limit: int) -> list[PendingChange]:
        """Return the oldest changes of all partitions; those of a target are in one partition, in order."""
        queries = [self._table.query(pending_partition(place), page=limit // 4 + 1) for place in range(SPREAD)]
        found = (self._pending(row) for row in self._table.merge(queries, "sk"))
        return list(islice((change for change in found if change and change.transitions), limit))

    def _pending(self, row: Item) -> PendingChange | None:
        at, _, target = row["sk"]["S"].partition("#")
        transitions = self._aside.decode(PENDING, row, f"{target} {at}")
        if transitions is None:
            return None
        folded = int(row.get("folded", number(0))["N"])
        left = tuple(transition for transition in transitions if transition.seq > folded)
        return PendingChange(target, datetime.fromisoformat(at), left)

    def set_aside(self, change: PendingChange, error: str) -> None:
        kept = self._aside.keep(PENDING.name, f"{change.target} {iso(change.at)}", error, dump(change.transitions))
        write(self._table, [WriteGroup((kept, delete(self._table, pending_key(change.target, change.at))))])

    def history(
        self, target: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Transition]:
        rows = self._rows_of_all(since, until, limit) if target is None else self._rows_of(target, since, until, limit)
        changes = self._aside.decode_all(TRANSITIONS, (row for row in rows if "body" in row), name_of)
        return list(islice((transition for change in changes for transition in reversed(change)), limit))

    def observations(
        self, target: str, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Observation]:
        rows = (row for row in self._rows_of(target, since, until, limit) if "seen" in row)
        return list(islice(self._aside.decode_all(OBSERVATION, rows, name_of), limit))

    def _rows_of(self, target: str, since: datetime | None, until: datetime | None, page: int) -> Iterator[Item]:
        """Yield the rows of a target, newest first. A query's range includes its end, but `until` is excluded."""
        first = f"{target}#{iso(since) if since else ''}"
        last = f"{target}#{iso(until - _LEAST) if until else AFTER_ALL}"
        for month in self._months(since, until):
            partition = log_partition_of(target, month)
            yield from self._table.query(partition, since=first, until=last, newest_first=True, page=page)

    def _rows_of_all(self, since: datetime | None, until: datetime | None, limit: int) -> Iterator[Item]:
        """Yield the fleet's rows with transitions, newest first."""
        first, last = iso(since) if since else None, iso(until) if until else None
        for month in self._months(since, until):
            queries = [
                self._table.query(
                    log_partition(place, month), "when", since=first, until=last, newest_first=True, page=limit // 8 + 1
                )
                for place in range(LOG_SPREAD)
            ]
            yield from self._table.merge(queries, "when", newest_first=True)

    def _months(self, since: datetime | None, until: datetime | None) -> list[str]:
        return self._periods.newest_first(LOG, month_of(since) if since else None, month_of(until) if until else None)


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
