"""Write groups of actions, each atomically, in as few transactions as DynamoDB allows.

A transaction takes 100 actions, 4 MB, and each item once. A condition that fails, or an item that DynamoDB cannot hold,
cancels all of it. Groups that share a transaction only to save calls must not fail for each other: the one at fault is
taken out, and the rest goes again.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from wabawatch.adapters.stores.dynamodb.table import (
    MAX_ITEM,
    TOO_LARGE,
    Condition,
    Item,
    Key,
    RefusedError,
    Table,
    TransactionCancelled,
    key_of,
    keyed,
    refusal,
    size,
)
from wabawatch.application.ports import Outcome

MAX_ACTIONS: Final = 100
MAX_BYTES: Final = 4_000_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html says 4 MB."""
_PACK_BYTES: Final = 2_900_000
"""The size up to which groups share a transaction. The limit counts bytes; this holds even if they are counted as
base64 in JSON."""
_CONDITION: Final = "ConditionalCheckFailed"
_TRANSIENT: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

_log = logging.getLogger(__name__)

Action = dict[str, Any]


class WriteGroup(msgspec.Struct, frozen=True):
    """Actions that are written together or not at all."""

    actions: tuple[Action, ...]

    @property
    def keys(self) -> list[Key]:
        """Return the keys of the items that it writes."""
        return [_key(action) for action in self.actions]

    def sizes(self) -> list[int]:
        """Return the bytes of each action, rounded up."""
        return [_size(action) for action in self.actions]


class Answer(msgspec.Struct, frozen=True):
    """The outcome of a group. `failed` holds the positions of the actions whose conditions failed."""

    outcome: Outcome
    failed: frozenset[int] = frozenset()


def put(table: Table, row: Item, condition: Condition | None = None) -> Action:
    """Make a Put action of a group."""
    return {"Put": {"TableName": table.name, "Item": row, **(condition.request() if condition else {})}}


def delete(table: Table, key: Key, condition: Condition | None = None) -> Action:
    """Make a Delete action of a group."""
    return {"Delete": {"TableName": table.name, "Key": keyed(key), **(condition.request() if condition else {})}}


def update(table: Table, key: Key, expression: str, condition: Condition) -> Action:
    """Make an Update action of a group. The condition's values include those of the expression."""
    request = {"TableName": table.name, "Key": keyed(key), "UpdateExpression": expression, **condition.request()}
    return {"Update": request}


def write(table: Table, groups: Sequence[WriteGroup]) -> list[Answer]:
    """Write each group atomically, several in a transaction. Groups with a common item are written in their order.

    Raises StoreError for an error that is not of a single group."""
    sizes = [group.sizes() for group in groups]
    answers = {
        position: _refuse(table, group, TOO_LARGE)
        for position, group in enumerate(groups)
        if _is_too_large(sizes[position])
    }
    for wave in _waves(groups):
        packs = list(_pack({position: groups[position] for position in wave if position not in answers}, sizes))
        written = table.each(lambda pack: _write_pack(table, [*pack.values()]), packs)
        for pack, pack_answers in zip(packs, written, strict=True):
            answers |= zip(pack, pack_answers, strict=True)
    return [answers[position] for position in range(len(groups))]


def _waves(groups: Sequence[WriteGroup]) -> list[list[int]]:
    """Divide the groups, by position, into waves without a common item."""
    waves: list[list[int]] = []
    last: dict[Key, int] = {}
    for position, group in enumerate(groups):
        keys = group.keys
        wave = 1 + max(last.get(key, -1) for key in keys)
        last |= dict.fromkeys(keys, wave)
        if wave == len(waves):
            waves.append([])
        waves[wave].append(position)
    return waves


def _is_too_large(sizes: Sequence[int]) -> bool:
    """Return whether a group is too large for any transaction."""
    return len(sizes) > MAX_ACTIONS or sum(sizes) > MAX_BYTES or max(sizes) > MAX_ITEM


def _pack(groups: Mapping[int, WriteGroup], sizes: Sequence[Sequence[int]]) -> Iterator[dict[int, WriteGroup]]:
    pack: dict[int, WriteGroup] = {}
    actions, bytes_ = 0, 0
    for position, group in groups.items():
        length, size_ = len(group.actions), sum(sizes[position])
        if pack and (actions + length > MAX_ACTIONS or bytes_ + size_ > _PACK_BYTES):
            yield pack
            pack, actions, bytes_ = {}, 0, 0
        pack[position] = group
        actions, bytes_ = actions + length, bytes_ + size_
    if pack:
        yield pack


def _write_pack(table: Table, groups: Sequence[WriteGroup]) -> list[Answer]:
    """Write groups in one transaction. Failed groups are removed at once; a pause is needed only where none failed,
    because another process writes the same items."""
    answers: dict[int, Answer] = {}
    tries = table.tries("transact_write_items")
    next(tries)
    while going := [position for position in range(len(groups)) if position not in answers]:
        try:
            reasons = _transact(table, [action for position in going for action in groups[position].actions])
        except RefusedError as refused:  # of the call, which does not say for which action
            if len(going) == 1:
                answers[going[0]] = _refuse(table, groups[going[0]], str(refused))
            else:
                answers |= {position: _write_pack(table, [groups[position]])[0] for position in going}
            continue
        if reasons is None:
            answers |= dict.fromkeys(going, Answer(Outcome.WRITTEN))
            continue
        given = iter(reasons)
        judged = {
            position: _judge(table, groups[position], [next(given, ("None", "")) for _ in groups[position].actions])
            for position in going
        }
        at_fault = {position: answer for position, answer in judged.items() if answer}
        answers |= at_fault
        if not at_fault:
            next(tries)
    return [answers[position] for position in range(len(groups))]


def _transact(table: Table, actions: Sequence[Action]) -> Sequence[tuple[str, str]] | None:
    """Return None when it was written, else the reasons. The token makes the client's retries of this call count
    once."""
    try:
        table.call("transact_write_items", TransactItems=actions, ClientRequestToken=uuid.uuid4().hex)
    except TransactionCancelled as cancelled:
        return cancelled.reasons
    return None


def _judge(table: Table, group: WriteGroup, reasons: Sequence[tuple[str, str]]) -> Answer | None:
    """Return the outcome of a group of a cancelled transaction, None where it did not fail. Raises StoreError for an
    error of the transaction itself."""
    if why := next((why for code, message in reasons if (why := refusal(code, message))), None):
        return _refuse(table, group, why)
    if wrong := {code for code, _ in reasons} - {"None", _CONDITION} - _TRANSIENT:
        raise table.trouble("transact_write_items", f"cancelled ({', '.join(sorted(wrong))})")
    failed = frozenset(position for position, (code, _) in enumerate(reasons) if code == _CONDITION)
    return Answer(Outcome.CONFLICT, failed) if failed else None


def _refuse(table: Table, group: WriteGroup, why: str) -> Answer:
    pk, sk = _key(group.actions[0])
    _log.warning("DynamoDB table %s: %s %s was not written: %s", table.name, pk, sk, why)
    return Answer(Outcome.REFUSED)


def _size(action: Action) -> int:
    ((_, body),) = action.items()
    return size(body.get("Item", body.get("Key", {}))) + size(body.get("ExpressionAttributeValues", {}))


def _key(action: Action) -> Key:
    ((_, body),) = action.items()
    return key_of(body.get("Item", body.get("Key")))
