"""Runs, the lease, and small documents."""

from __future__ import annotations

import uuid
import zlib
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from wabawatch.adapters.stores.codec import dump, load
from wabawatch.adapters.stores.codec import microseconds
from wabawatch.adapters.stores.dynamodb.parts import PART, cut, forget_parts, joined
from wabawatch.adapters.stores.dynamodb.shapes import blob, body_of, expiry, iso, item, number, text
from wabawatch.adapters.stores.dynamodb.table import Condition, Item, Lost, Table, keyed
from wabawatch.adapters.stores.dynamodb.units import Unit, put, write
from wabawatch.domain.runs import Run

RUN: Final = "RUN"
LEASE: Final = "LEASE"
DOCUMENT: Final = "DOCUMENT"


class Running:
    """The part of the store that keeps the application going."""

    _table: Table
    _history: timedelta

    def save_run(self, run: Run) -> None:
        name = f"{run.id}#{run.shard}"
        when = text(f"{iso(run.started_at)}#{name}")
        self._table.put(
            item((RUN, name), body=blob(dump(run)), when=when, expires_at=expiry(run.started_at + self._history))
        )

    def runs(self, limit: int) -> list[Run]:
        found = islice(self._table.query(RUN, "when", newest_first=True, page=limit), limit)
        return [load(Run, body_of(one)) for one in found]

    def acquire_lease(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Taking it again is no conflict, so that a try whose answer was lost can be repeated."""
        lease = item((LEASE, name), owner=text(owner), ends_at=number(microseconds(now + ttl)))
        free = Condition(
            "attribute_not_exists(pk) OR ends_at <= :now OR ends_at > :farthest OR #owner = :owner",
            {
                ":now": number(microseconds(now)),
                ":farthest": number(microseconds(now + 2 * ttl)),
                ":owner": text(owner),
            },
            {"#owner": "owner"},
        )
        return self._table.put_if(lease, free) is not None

    def release_lease(self, name: str, owner: str) -> None:
        mine = Condition("#owner = :owner", {":owner": text(owner)}, {"#owner": "owner"})
        try:
            self._table.call("delete_item", TableName=self._table.name, Key=keyed((LEASE, name)), **mine.request())
        except Lost:
            return

    def document(self, name: str) -> bytes | None:
        head = self._table.get((DOCUMENT, name))
        if head is None:
            return None
        body = joined(self._table, _owner(name), head, lambda: self._table.get((DOCUMENT, name)))
        return None if body is None else zlib.decompress(body)

    def save_document(self, name: str, body: bytes) -> None:
        """Squeezed: the configuration of a large fleet has megabytes."""
        squeezed = zlib.compress(body)
        if len(squeezed) <= PART:
            before = self._table.put(item((DOCUMENT, name), body=blob(squeezed)))
            forget_parts(self._table, _owner(name), before)
        else:
            self._save_parts(name, squeezed)

    def _save_parts(self, name: str, squeezed: bytes) -> None:
        stamp, count = uuid.uuid4().hex, -(-len(squeezed) // PART)
        head: Item = item((DOCUMENT, name), parts=number(count), stamp=text(stamp))
        parts = cut(self._table, _owner(name), stamp, squeezed, None)
        write(self._table, [Unit((put(self._table, head), *parts))])


def _owner(name: str) -> str:
    return f"document {name}"
