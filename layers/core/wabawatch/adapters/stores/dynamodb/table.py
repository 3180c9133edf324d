"""Calls to one DynamoDB table: paged, grouped, tried again where that helps, and their errors in words that help."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from wabawatch.application.errors import StoreError

if TYPE_CHECKING:  # the stubs are not there at run time
    from mypy_boto3_dynamodb import DynamoDBClient

Value = Mapping[str, Any]
"""As the low-level API has it: {"S": text}, {"N": digits}, {"B": bytes}."""
Item = dict[str, Value]
Key = tuple[str, str]
"""(pk, sk)"""

THREADS: Final = 8
"""Calls at once. Below the ten pooled connections of a botocore client."""
KEYS_AT_ONCE: Final = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
_TRIES: Final = 8
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0

_ADVICE: Final = {
    "ResourceNotFoundException": "there is no such table: check its name, the region and the account",
    "AccessDeniedException": "these credentials may not do this: allow it in their IAM policy",
    "UnrecognizedClientException": "AWS does not know these credentials: check them",
    "InvalidSignatureException": "AWS does not accept these credentials: check the secret key and the clock",
    "ExpiredTokenException": "these credentials have expired: log in again",
    "ItemCollectionSizeLimitExceededException": "a bucket is full (10 GB): keep history for a shorter time",
}
_SLOW_DOWN: Final = "throttled for too long: wait, or raise the table's limits"

A = TypeVar("A")
B = TypeVar("B")


class Lost(Exception):  # noqa: N818  # an outcome inside this package, no error
    """The condition of a write failed. `found` is the stored item, {} where there is none."""

    def __init__(self, found: Item) -> None:
        super().__init__()
        self.found = found


class Cancelled(Exception):  # noqa: N818  # an outcome inside this package, no error
    """A transaction was cancelled. `codes` has one entry for each action: "None" or the reason's code."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__()
        self.codes = codes


class Condition(msgspec.Struct, frozen=True):
    """A condition expression with its values; `#…` names in it are looked up in `names`."""

    expression: str
    values: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}

    def request(self) -> dict[str, Any]:
        """The part of a request that says it."""
        said: dict[str, Any] = {"ConditionExpression": self.expression}
        if self.values:
            said["ExpressionAttributeValues"] = dict(self.values)
        if self.names:
            said["ExpressionAttributeNames"] = dict(self.names)
        return said


class Table:
    """One table. Throttled calls are tried again by the client (configure it so); what a batch leaves over, here."""

    def __init__(self, client: DynamoDBClient, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._pause = pause
        self.name = name

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="dynamodb")

    def each(self, work: Callable[[A], B], arguments: Iterable[A]) -> list[B]:
        """`work` for every argument, several at once, the answers in order. Not to be nested: threads would wait for
        each other."""
        given = list(arguments)
        return [work(given[0])] if len(given) == 1 else list(self._threads.map(work, given)) if given else []

    def call(self, operation: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401  # requests have many shapes
        """Raises Lost, Cancelled, or StoreError."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            raise self._translated(operation, error) from error
        except (NoCredentialsError, NoRegionError) as error:
            raise self.trouble(operation, f"{error}: set up AWS (a profile, a role, or AWS_REGION)") from error
        except BotoCoreError as error:
            name = type(error).__name__
            raise self.trouble(operation, f"no answer ({name}): check the network, the region and the clock") from error
        return answer

    def _translated(self, operation: str, error: ClientError) -> Exception:
        """Messages are left out but for those of invalid requests: a wrong signature's message quotes the request with
        its session token."""
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ConditionalCheckFailedException":
            return Lost(error.response.get("Item", {}))  # type: ignore[arg-type]  # the stubs do not know this field
        if code == "TransactionCanceledException":
            reasons = error.response.get("CancellationReasons", [])
            return Cancelled([str(reason.get("Code", "None")) for reason in reasons])
        if code == "ValidationException":
            message = error.response.get("Error", {}).get("Message", "")
            return self.trouble(operation, f"{message[:300]}: was this table made by Wabawatch's template?")
        slow = "Throttl" in code or "LimitExceeded" in code or "ThroughputExceeded" in code
        return self.trouble(operation, f"{code}: {_ADVICE.get(code, _SLOW_DOWN if slow else 'try again later')}")

    def trouble(self, operation: str, what: str) -> StoreError:
        return StoreError(f"DynamoDB table {self.name}, {operation}: {what}")

    def tries(self, operation: str) -> Iterator[int]:
        """Numbers of tries, with longer and longer pauses in between; StoreError once there were enough."""
        for attempt in range(_TRIES):
            if attempt:
                most = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
                self._pause(random.uniform(most / 2, most))  # noqa: S311  # spreads load, keeps no secret
            yield attempt
        raise self.trouble(operation, _SLOW_DOWN)

    def query(
        self,
        pk: str,
        index: str | None = None,
        between: tuple[str, str] | None = None,
        *,
        consistent: bool = True,
        newest_first: bool = False,
        page: int | None = None,
    ) -> Iterator[Item]:
        """Items of a partition in the order of `sk`, or of an index in the order of the attribute that it is named
        for. `between` includes both ends. Pages of `page` items are fetched as they are consumed."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": consistent,
            "ScanIndexForward": not newest_first,
        }
        if index:
            request["IndexName"] = index
        if page:
            request["Limit"] = page
        if between:
            request["KeyConditionExpression"] += " AND #range BETWEEN :low AND :high"
            request["ExpressionAttributeNames"] = {"#range": index or "sk"}
            request["ExpressionAttributeValues"] |= {":low": {"S": between[0]}, ":high": {"S": between[1]}}
        while True:
            answer = self.call("query", **request)
            yield from answer["Items"]
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last

    def get(self, key: Key) -> Item | None:
        """Strongly consistent."""
        answer = self.call("get_item", TableName=self.name, Key=keyed(key), ConsistentRead=True)
        return answer.get("Item")

    def get_all(self, keys: Iterable[Key]) -> list[Item]:
        """Those that are there, in any order, strongly consistent."""
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

    def put(self, item: Item) -> Item:
        """Write without a condition; what was there before, {} for nothing."""
        answer = self.call("put_item", TableName=self.name, Item=item, ReturnValues="ALL_OLD")
        found: Item = answer.get("Attributes", {})
        return found

    def put_if(self, item: Item, condition: Condition) -> Item | None:
        """Write under a condition; what was there before, or None where the condition failed.

        The client tries a call again whose answer was lost. If the first try did write, the second one fails on the
        item that is ours, which `by` tells: that is no failure."""
        mine = {**item, "by": {"B": uuid.uuid4().bytes}}
        request = {"TableName": self.name, "Item": mine, **condition.request()}
        try:
            answer = self.call(
                "put_item", **request, ReturnValues="ALL_OLD", ReturnValuesOnConditionCheckFailure="ALL_OLD"
            )
        except Lost as lost:
            return {} if lost.found.get("by") == mine["by"] else None
        found: Item = answer.get("Attributes", {})
        return found

    def delete(self, key: Key) -> None:
        self.call("delete_item", TableName=self.name, Key=keyed(key))

    def close(self) -> None:
        if "_threads" in self.__dict__:
            self._threads.shutdown()


def keyed(key: Key) -> Item:
    """A key as the API wants it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
