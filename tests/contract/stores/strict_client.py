"""A DynamoDB client that holds callers to limits which an emulator does not know, and counts what calls would cost."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator

MOST_ITEM = 400 * 1024
MOST_TRANSACTION = 4 * 1024 * 1024
TOKEN = 36
READ_BLOCK = 4096
WRITE_BLOCK = 1024
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items", "batch_write_item")
INDEXES = ("due", "when")
ASSIGNMENT = re.compile(r"(#?\w+) = (:\w+)")


class StrictClient:
    """Calls go one at a time: moto undoes a cancelled transaction by restoring the whole state from before it.

    `write_units` counts by partition key: a started KB of the larger of the item before and the item after, and the
    same for each index that one of them is in (of an index whose attribute changed, the item that is removed too); all
    of it twice in a transaction. Only writes that went through are counted."""

    def __init__(self, client):
        self._client = client
        self._lock = threading.Lock()
        self._items = {}
        self.calls = []
        self.read_units = 0.0
        self.write_units = Counter()

    def __getattr__(self, operation: str) -> Callable[..., object]:
        def call(**request):
            CHECKS.get(operation, _nothing)(request)
            with self._lock:
                self.calls.append((operation, request))
                answer = getattr(self._client, operation)(**request)
                self.read_units += UNITS.get(operation, _free)(request, answer)
                self._count_writes(operation, request)
                return answer

        return call

    def count(self, *operations: str) -> int:
        return sum(name in operations for name, _ in self.calls)

    def forget(self) -> None:
        self.calls, self.read_units, self.write_units = [], 0.0, Counter()

    def rows(self, table: str, *partitions: str) -> list[dict]:
        """All items whose partition key begins with one of these, by key. Not counted: stores do not scan."""
        pages = self._client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        kept = [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith(partitions or ("",))]
        return sorted(kept, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))

    def _count_writes(self, operation, request):
        for kind, body in _actions(operation, request):
            name = body.get("Item", body.get("Key"))
            key = (body["TableName"], name["pk"]["S"], name["sk"]["S"])
            before = self._items.get(key)
            after = _written(kind, body, before)
            self._items[key] = after
            times = 2 if operation == "transact_write_items" else 1
            self.write_units[key[1]] += times * _units_of_write(before or {}, after or {})


def size(item: dict) -> int:
    """Bytes of an item as DynamoDB counts them, near enough: names and values."""
    return sum(len(name) + sum(_bytes(content) for content in value.values()) for name, value in item.items())


def _bytes(content):
    return len(content.encode()) if isinstance(content, str) else len(content)


def _actions(operation: str, request: dict) -> Iterator[tuple[str, dict]]:
    if operation == "transact_write_items":
        for action in request["TransactItems"]:
            yield from action.items()
    elif operation in {"put_item", "update_item", "delete_item"}:
        yield operation.removesuffix("_item").capitalize(), request


def _written(kind, body, before):
    """The item afterwards, None for a deleted one."""
    if kind == "Put":
        return body["Item"]
    if kind == "Delete":
        return None
    expression = body["UpdateExpression"]
    names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
    after = {**body["Key"], **(before or {})}
    if expression.startswith("SET "):
        return after | {names.get(name, name): values[value] for name, value in ASSIGNMENT.findall(expression)}
    removed = {names.get(name, name) for name in expression.removeprefix("REMOVE ").split(", ")}
    return {name: value for name, value in after.items() if name not in removed}


def _units_of_write(before, after):
    blocks = [max(1, -(-size(item) // WRITE_BLOCK)) if item else 0 for item in (before, after)]
    units = max(1, *blocks)
    for index in INDEXES:
        inside = [blocks[place] if index in item else 0 for place, item in enumerate((before, after))]
        if before != after:
            units += max(inside) if before.get(index) == after.get(index) else sum(inside)
    return units


def _free(_request, _answer):
    return 0.0


def _units_of_query(request, answer):
    """Billed by the sum of a page's sizes, in steps of 4 KB, at least one; half where the read may lag."""
    blocks = max(1, -(-sum(size(item) for item in answer["Items"]) // READ_BLOCK))
    return blocks if request.get("ConsistentRead") else blocks / 2


def _units_of_items(request, answer):
    """Each item is billed by itself."""
    (asked,) = request["RequestItems"].values()
    blocks = sum(max(1, -(-size(item) // READ_BLOCK)) for items in answer["Responses"].values() for item in items)
    return blocks if asked.get("ConsistentRead") else blocks / 2


def _units_of_item(request, answer):
    blocks = max(1, -(-size(answer.get("Item", {})) // READ_BLOCK))
    return blocks if request.get("ConsistentRead") else blocks / 2


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
UNITS = {"query": _units_of_query, "batch_get_item": _units_of_items, "get_item": _units_of_item}
