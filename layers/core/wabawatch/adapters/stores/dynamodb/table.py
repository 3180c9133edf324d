"""Call one DynamoDB table: paginate, batch, retry, and explain errors."""

from __future__ import annotations

import heapq
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from wabawatch.domain.policy import exponential_delay
from wabawatch.errors import StoreError

if TYPE_CHECKING:  # the stubs are not there at run time
    from mypy_boto3_dynamodb import DynamoDBClient

Value = Mapping[str, Any]
"""As in the low-level API: {"S": text}, {"N": digits}, {"B": bytes}."""
Item = dict[str, Value]
Key = tuple[str, str]
"""(pk, sk)"""

THREADS: Final = 8
"""Concurrent calls; fewer than the pooled connections of a client."""
MAX_ITEM: Final = 400_000
"""Bytes, names included: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
KEYS_AT_ONCE: Final = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
_MAX_ATTEMPTS: Final = 8
_FIRST_PAUSE: Final = 0.1
_MAX_PAUSE: Final = 2.0

_ADVICE: Final = {
    "ResourceNotFoundException": "there is no such table: check its name, the region and the account",
    "AccessDeniedException": "these credentials may not do this: allow it in their IAM policy",
    "UnrecognizedClientException": "AWS does not know these credentials: check them",
    "InvalidSignatureException": "AWS does not accept these credentials: check the secret key and the clock",
    "ExpiredTokenException": "these credentials have expired: log in again",
}
FULL: Final = (
    "a partition is full (10 GB, a limit that AWS does not raise): poll less often, or split the fleet into several "
    "deployments"
)
TOO_LARGE: Final = "more than DynamoDB can hold in an item (400 KB) or write at once (4 MB)"
_SLOW_DOWN: Final = "throttled for too long: wait, or raise the table's limits"

A = TypeVar("A")
B = TypeVar("B")


class ConditionFailed(Exception):  # noqa: N818  # an outcome inside this package
    """The condition of a write failed. `found` is the stored item, {} where there is none."""

    def __init__(self, found: Item) -> None:
        super().__init__()
        self.found = found


class TransactionCancelled(Exception):  # noqa: N818  # an outcome inside this package
    """A transaction was cancelled. `reasons` holds the code and message of each action; the code is "None" for one that
    did not fail."""

    def __init__(self, reasons: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.reasons = reasons


class RefusedError(StoreError):
    """DynamoDB cannot hold an item: it is too large, or its partition is full. Trying again cannot help."""


class Condition(msgspec.Struct, frozen=True):
    """A condition expression with its values; `#…` names in it are looked up in `names`."""

    expression: str
    values: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}

    def request(self) -> dict[str, Any]:
        """Return its part of a request."""
        said: dict[str, Any] = {"ConditionExpression": self.expression}
        if self.values:
            said["ExpressionAttributeValues"] = dict(self.values)
        if self.names:
            said["ExpressionAttributeNames"] = dict(self.names)
        return said


class Table:
    """One table. The client retries throttled calls (it must be configured so); this class retries unprocessed
    items."""

    def __init__(self, client: DynamoDBClient, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._pause = pause
        self.name = name

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="dynamodb")

    def each(self, work: Callable[[A], B], arguments: Iterable[A]) -> list[B]:
        """Call `work` for every argument, several at once; return the results in order. Do not nest: threads would wait
        for each other."""
        given = list(arguments)
        return [work(given[0])] if len(given) == 1 else list(self._threads.map(work, given)) if given else []

    def call(self, operation: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401  # requests have many shapes
        """Call the API. Raises ConditionFailed, TransactionCancelled, RefusedError, or another StoreError."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            raise self._translate(operation, error) from error
        except (NoCredentialsError, NoRegionError) as error:
            raise self.trouble(operation, f"{error}: set up AWS (a profile, a role, or AWS_REGION)") from error
        except BotoCoreError as error:
            name = type(error).__name__
            raise self.trouble(operation, f"no answer ({name}): check the network, the region and the clock") from error
        return answer

    def _translate(self, operation: str, error: ClientError) -> Exception:
        """Translate an error. Only messages of invalid requests are kept: that of a wrong signature quotes the request
        with its session token."""
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ConditionalCheckFailedException":
            return ConditionFailed(error.response.get("Item", {}))  # type: ignore[arg-type]  # the stubs do not know this field
        if code == "TransactionCanceledException":
            reasons = error.response.get("CancellationReasons", [])
            return TransactionCancelled(
                [(str(reason.get("Code", "None")), str(reason.get("Message", ""))) for reason in reasons]
            )
        message = error.response.get("Error", {}).get("Message", "")
        if why := refusal(code, message):
            return RefusedError(f"DynamoDB table {self.name}, {operation}: {why}")
        if code == "ValidationException":
            return self.trouble(operation, f"{message[:300]}: was this table made by Wabawatch's template?")
        slow = "Throttl" in code or "LimitExceeded" in code or "ThroughputExceeded" in code
        return self.trouble(operation, f"{code}: {_ADVICE.get(code, _SLOW_DOWN if slow else 'try again later')}")

    def trouble(self, operation: str, what: str) -> StoreError:
        return StoreError(f"DynamoDB table {self.name}, {operation}: {what}")

    def tries(self, operation: str) -> Iterator[int]:
        """Yield the numbers of attempts, with growing pauses in between. Raises StoreError after the last one."""
        for attempt in range(_MAX_ATTEMPTS):
            if attempt:
                limit = exponential_delay(attempt, _FIRST_PAUSE, _MAX_PAUSE)
                self._pause(random.uniform(limit / 2, limit))  # noqa: S311  # spreads load, keeps no secret
            yield attempt
        raise self.trouble(operation, _SLOW_DOWN)

    def query(
        self,
        pk: str,
        index: str | None = None,
        *,
        since: str | None = None,
        until: str | None = None,
        consistent: bool = True,
        newest_first: bool = False,
        page: int | None = None,
    ) -> Iterator[Item]:
        """Items of a partition in the order of `sk`, or of an index in the order of the attribute that it is named
        for, from `since` to `until`, both included. Pages of `page` items are fetched as they are consumed."""
        values = {":pk": text(pk)}
        condition = "pk = :pk"
        if since and until:
            condition += " AND #range BETWEEN :since AND :until"
        elif since or until:
            condition += " AND #range >= :since" if since else " AND #range <= :until"
        values |= {name: text(bound) for name, bound in ((":since", since), (":until", until)) if bound}
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": consistent,
            "ScanIndexForward": not newest_first,
        }
        if index:
            request["IndexName"] = index
        if page:
            request["Limit"] = page
        if since or until:
            request["ExpressionAttributeNames"] = {"#range": index or "sk"}
        while True:
            answer = self.call("query", **request)
            yield from answer["Items"]
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last

    def merge(self, queries: Iterable[Iterator[Item]], by: str, *, newest_first: bool = False) -> Iterator[Item]:
        """Merge queries that are each in the order of the attribute `by`. Their first pages are fetched at once, later
        ones as they are consumed."""
        begun = self.each(_fetch_first, queries)
        return heapq.merge(*begun, key=lambda found: found[by]["S"], reverse=newest_first)

    def get(self, key: Key) -> Item | None:
        """Read an item, strongly consistent."""
        answer = self.call("get_item", TableName=self.name, Key=keyed(key), ConsistentRead=True)
        return answer.get("Item")

    def get_all(self, keys: Iterable[Key]) -> list[Item]:
        """Read the items that exist, in any order, strongly consistent."""
        wanted = list(dict.fromkeys(keys))
        chunks = [wanted[start : start + KEYS_AT_ONCE] for start in range(0, len(wanted), KEYS_AT_ONCE)]
        return [item for items in self.each(self._get_chunk, chunks) for item in items]

    def _get_chunk(self, keys: Sequence[Key]) -> list[Item]:
        found: list[Item] = []
        request = {self.name: {"Keys": [keyed(key) for key in keys], "ConsistentRead": True}}
        for _ in self.tries("batch_get_item"):
            answer = self.call("batch_get_item", RequestItems=request)
            found += answer["Responses"].get(self.name, [])
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                break
        return found

    def put(self, row: Item) -> Item:
        """Write without a condition; return the previous item, {} for none."""
        answer = self.call("put_item", TableName=self.name, Item=row, ReturnValues="ALL_OLD")
        found: Item = answer.get("Attributes", {})
        return found

    def put_if(self, row: Item, condition: Condition) -> Item | None:
        """Write under a condition; return the previous item ({} for none), or None where the condition failed.

        The client retries a call whose answer was lost. If the first call did write, the retry fails on its own item,
        which `by` shows: that counts as written."""
        if size(row) > MAX_ITEM:
            raise RefusedError(f"DynamoDB table {self.name}, put_item: {TOO_LARGE}")
        mine = {**row, "by": {"B": uuid.uuid4().bytes}}
        request = {"TableName": self.name, "Item": mine, **condition.request()}
        try:
            answer = self.call(
                "put_item", **request, ReturnValues="ALL_OLD", ReturnValuesOnConditionCheckFailure="ALL_OLD"
            )
        except ConditionFailed as failed:
            return {} if failed.found.get("by") == mine["by"] else None
        found: Item = answer.get("Attributes", {})
        return found

    def delete(self, key: Key) -> Item:
        """Delete without a condition; return the previous item, {} for none."""
        answer = self.call("delete_item", TableName=self.name, Key=keyed(key), ReturnValues="ALL_OLD")
        found: Item = answer.get("Attributes", {})
        return found

    def close(self) -> None:
        if "_threads" in self.__dict__:
            self._threads.shutdown()


def refusal(code: str, message: str) -> str | None:
    """Return why DynamoDB cannot hold an item, by the code and message of an error or of a transaction's reason; None
    for other errors."""
    if code.startswith("ItemCollectionSizeLimitExceeded"):
        return FULL
    if code.startswith("Validation") and "item size" in message.lower() and "exceeded" in message:
        return TOO_LARGE
    return None


def _fetch_first(found: Iterator[Item]) -> Iterator[Item]:
    first = next(found, None)
    return chain(() if first is None else (first,), found)


def text(value: str) -> Value:
    return {"S": value}


def number(value: int) -> Value:
    return {"N": str(value)}


def blob(value: bytes) -> Value:
    return {"B": value}


def keyed(key: Key) -> Item:
    """Return a key in the format of the API."""
    return {"pk": text(key[0]), "sk": text(key[1])}


def key_of(found: Mapping[str, Value]) -> Key:
    return found["pk"]["S"], found["sk"]["S"]


def name_of(found: Mapping[str, Value]) -> str:
    """Return a readable name of an item."""
    return str(found["sk"]["S"]).replace("#", " ")


def item(key: Key, **attributes: Value | None) -> Item:
    """Make an item, without the attributes that are None."""
    return {**keyed(key), **{name: value for name, value in attributes.items() if value is not None}}


def body_of(found: Mapping[str, Value], attribute: str = "body") -> bytes:
    """Return an attribute's bytes; b"", which no codec accepts, where there is none."""
    return bytes(found.get(attribute, {}).get("B", b""))


def size(found: Mapping[str, Value]) -> int:
    """Return the approximate bytes of an item as DynamoDB counts them: names and values."""
    total = 0
    for name, value in found.items():
        total += len(name)
        for content in value.values():
            is_counted = isinstance(content, bytes) or content.isascii()
            total += len(content) if is_counted else len(content.encode())
    return total
