"""Store queued notifications, small documents, and leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from wabawatch.adapters.stores.codec import dump, microseconds
from wabawatch.adapters.stores.dynamodb.aside import DOCUMENT, QUEUED, Aside
from wabawatch.adapters.stores.dynamodb.chunks import delete_body, save_body
from wabawatch.adapters.stores.dynamodb.table import (
    Condition,
    ConditionFailed,
    Table,
    item,
    keyed,
    name_of,
    number,
    text,
)
from wabawatch.domain.notification import QueuedNotification

_QUEUE: Final = "QUEUE"
_LEASE: Final = "LEASE"
_DOCUMENT: Final = "DOCUMENT"


class NotificationQueue:
    """Notifications that are decided and not yet recorded as sent."""

    def __init__(self, table: Table, aside: Aside) -> None:
        self._table = table
        self._aside = aside

    def put(self, notifications: Sequence[QueuedNotification]) -> None:
        self._table.each(lambda queued: save_body(self._table, (_QUEUE, queued.id), dump(queued)), notifications)

    def every(self) -> list[QueuedNotification]:
        found = self._aside.decode_all(QUEUED, self._table.query(_QUEUE), name_of)
        return sorted(found, key=lambda queued: (queued.destination, queued.id))

    def remove(self, ids: Sequence[str]) -> None:
        self._table.each(lambda name: delete_body(self._table, (_QUEUE, name)), ids)


class Documents:
    """Small documents of the application."""

    def __init__(self, table: Table, aside: Aside) -> None:
        self._table = table
        self._aside = aside

    def find(self, name: str) -> bytes | None:
        head = self._table.get((_DOCUMENT, name))
        return None if head is None else self._aside.decode(DOCUMENT, head, name)

    def save(self, name: str, body: bytes) -> None:
        save_body(self._table, (_DOCUMENT, name), dump(body))


class Leases:
    """Which process may run a task now."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Take the lease; an owner may take it again, so that a call whose answer was lost can be retried."""
        lease = item((_LEASE, name), owner=text(owner), ends_at=number(microseconds(now + ttl)))
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

    def release(self, name: str, owner: str) -> None:
        mine = Condition("#owner = :owner", {":owner": text(owner)}, {"#owner": "owner"})
        try:
            self._table.call("delete_item", TableName=self._table.name, Key=keyed((_LEASE, name)), **mine.request())
        except ConditionFailed:
            return
