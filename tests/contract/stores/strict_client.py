"""A DynamoDB client that holds callers to limits which an emulator does not know, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable

MOST_ITEM = 400 * 1024
MOST_TRANSACTION = 4 * 1024 * 1024
TOKEN = 36
BLOCK = 4096
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items", "batch_write_item")


class StrictClient:
    """Calls go one at a time: moto undoes a cancelled transaction by restoring the whole state from before it."""

    def __init__(self, client):
        self._client = client
        self._lock = threading.Lock()
        self.calls = []
        self.read_units = 0.0

    def __getattr__(self, operation: str) -> Callable[..., object]:
        def call(**request):
            CHECKS.get(operation, _nothing)(request)
            with self._lock:
                self.calls.append((operation, request))
                answer = getattr(self._client, operation)(**request)
                self.read_units += UNITS.get(operation, _free)(request, answer)
                return answer

        return call

    def count(self, *operations: str) -> int:
        return sum(name in operations for name, _ in self.calls)

    def forget(self) -> None:
        self.calls, self.read_units = [], 0.0


def size(item: dict) -> int:
    """Bytes of an item as DynamoDB counts them, near enough: names and values."""
    return sum(len(name) + sum(len(content) for content in value.values()) for name, value in item.items())


def _free(_request, _answer):
    return 0.0


def _units_of_query(request, answer):
    """Billed by the sum of a page's sizes, in steps of 4 KB, at least one; half where the read may lag."""
    blocks = max(1, -(-sum(size(item) for item in answer["Items"]) // BLOCK))
    return blocks if request.get("ConsistentRead") else blocks / 2


def _units_of_items(request, answer):
    """Each item is billed by itself."""
    (asked,) = request["RequestItems"].values()
    blocks = sum(max(1, -(-size(item) // BLOCK)) for items in answer["Responses"].values() for item in items)
    return blocks if asked.get("ConsistentRead") else blocks / 2


def _nothing(request):
    assert request


def _scan(request):
    raise AssertionError(f"a scan reads the whole table: {request}")


def _put(request):
    assert size(request["Item"]) <= MOST_ITEM


def _get_many(request):
    (keys,) = request["RequestItems"].values()
    assert 1 <= len(keys["Keys"]) <= 100
    _distinct(keys["Keys"])


def _transact(request):
    actions = [body for action in request["TransactItems"] for body in action.values()]
    assert 1 <= len(actions) <= 100
    assert len(request["ClientRequestToken"]) <= TOKEN
    assert sum(size(body.get("Item", body.get("Key"))) for body in actions) <= MOST_TRANSACTION
    assert all(size(body["Item"]) <= MOST_ITEM for body in actions if "Item" in body)
    _distinct([body.get("Key", body.get("Item")) for body in actions])


def _query(request):
    values = request["ExpressionAttributeValues"].values()
    assert all(content for value in values for content in value.values()), "a key may not be compared with nothing"


def _distinct(keys):
    named = [(key["pk"]["S"], key["sk"]["S"]) for key in keys]
    assert len(set(named)) == len(named)


CHECKS = {
    "scan": _scan,
    "put_item": _put,
    "batch_get_item": _get_many,
    "transact_write_items": _transact,
    "query": _query,
}
UNITS = {"query": _units_of_query, "batch_get_item": _units_of_items}
