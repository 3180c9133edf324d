"""The log: for each change that was committed one row, with its transitions and the reading that brought them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from wabawatch.adapters.stores.codec import dump, load
from wabawatch.adapters.stores.dynamodb.shapes import (
    AFTER_ALL,
    BEFORE_ALL,
    LOG_BUCKETS,
    blob,
    body_of,
    expiry,
    iso,
    item,
    log_key,
    log_partition,
    log_partition_of,
    number,
    text,
)
from wabawatch.adapters.stores.dynamodb.table import Item, Key, Lost, Table, keyed
from wabawatch.adapters.stores.dynamodb.units import Unit, write
from wabawatch.application.ports import Change
from wabawatch.domain.health import Observation
from wabawatch.domain.transitions import Transition

_SINGLY = 8
"""Rows up to which single updates are as quick as a transaction, at half its price."""


def log_row(change: Change, history: timedelta) -> Item:
    """The row of a change. `due` makes it pending, `when` part of the history; without transitions it has neither."""
    seen = change.observation
    key = log_key(seen.target, seen.observed_at)
    told = text(f"{iso(seen.observed_at)}#{seen.target}") if change.transitions else None
    return item(
        key,
        seen=blob(dump(seen)),
        body=blob(msgspec.msgpack.encode([dump(one) for one in change.transitions])) if change.transitions else None,
        last=number(change.snapshot.seq),
        when=told,
        due=told,
        expires_at=expiry(seen.observed_at + history),
    )


def _transitions(row: Item) -> list[Transition]:
    bodies = msgspec.msgpack.decode(body_of(row), type=list[bytes]) if "body" in row else []
    return [load(Transition, body) for body in bodies]


class Log:
    """The part of the store that is outbox and history in one."""

    _table: Table

    def pending(self, limit: int) -> list[Transition]:
        """Whole changes: as many as it takes to reach the limit."""
        rows = sorted(self._rows("due", None, limit), key=lambda row: row["due"]["S"])
        found: list[Transition] = []
        for row in rows:
            if len(found) >= limit:
                break
            found += _transitions(row)
        return found

    def mark_folded(self, transitions: Sequence[Transition]) -> None:
        """A row is folded when its last transition is."""
        folded: dict[Key, int] = {}
        for one in transitions:
            key = log_key(one.target, one.at)
            folded[key] = max(one.seq, folded.get(key, 0))
        if len(folded) <= _SINGLY:
            self._table.each(self._mark, folded.items())
        else:
            write(self._table, [Unit(({"Update": self._marking(*row)},)) for row in folded.items()])

    def _marking(self, key: Key, seq: int) -> dict[str, object]:
        return {
            "TableName": self._table.name,
            "Key": keyed(key),
            "UpdateExpression": "REMOVE due",
            "ConditionExpression": "#last <= :seq",
            "ExpressionAttributeNames": {"#last": "last"},
            "ExpressionAttributeValues": {":seq": number(seq)},
        }

    def _mark(self, row: tuple[Key, int]) -> None:
        try:
            self._table.call("update_item", **self._marking(*row))
        except Lost:
            return

    def history(
        self, target: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Transition]:
        if target is None:
            between = (iso(since) if since else BEFORE_ALL, iso(until) if until else AFTER_ALL)
            rows = self._rows("when", between, limit, newest_first=True)
        else:
            rows = list(islice((row for row in self._of(target, since, until, limit) if "body" in row), limit))
        found = [one for row in rows for one in _transitions(row)]
        return sorted(found, key=lambda one: (one.at, one.target, one.seq), reverse=True)[:limit]

    def observations(
        self, target: str, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Observation]:
        rows = islice(self._of(target, since, until, limit), limit)
        return [load(Observation, body_of(row, "seen")) for row in rows]

    def _of(self, target: str, since: datetime | None, until: datetime | None, page: int) -> Iterator[Item]:
        """One target's rows, the latest first. The range of a query includes its end, and `until` is not included."""
        last = iso(until - timedelta(microseconds=1)) if until else AFTER_ALL
        between = (f"{target}#{iso(since) if since else ''}", f"{target}#{last}")
        return self._table.query(log_partition_of(target), between=between, newest_first=True, page=page)

    def _rows(
        self, index: str, between: tuple[str, str] | None, limit: int, *, newest_first: bool = False
    ) -> list[Item]:
        """From every bucket as many as could be wanted: all might be in one."""

        def of(bucket: int) -> list[Item]:
            rows = self._table.query(log_partition(bucket), index, between, newest_first=newest_first, page=limit)
            return list(islice(rows, limit))

        return [row for rows in self._table.each(of, range(LOG_BUCKETS)) for row in rows]
