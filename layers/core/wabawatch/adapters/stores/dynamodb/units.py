"""Writes that must land together, packed into as few transactions as DynamoDB allows.

A transaction takes 100 actions, 4 MB, and each item once. One lost condition cancels all of it, so that units that
share a transaction only to save calls must not fail for each other: whoever lost is taken out, and the rest goes again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from wabawatch.adapters.stores.dynamodb.table import Cancelled, Condition, Item, Key, Table, keyed

MOST_ACTIONS: Final = 100
MOST_BYTES: Final = 4_000_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html says 4 MB."""
_ITEM_OVERHEAD: Final = 200
_CONDITION: Final = "ConditionalCheckFailed"
_TRANSIENT: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

Action = dict[str, Any]


class Unit(msgspec.Struct, frozen=True):
    """Actions that land together or not at all."""

    actions: tuple[Action, ...]

    @property
    def size(self) -> int:
        """Bytes, rather too many than too few."""
        return sum(_size(action) for action in self.actions)

    @property
    def keys(self) -> set[Key]:
        """What it touches."""
        return {_key(action) for action in self.actions}


def put(table: Table, item: Item, condition: Condition | None = None) -> Action:
    """An action of a unit."""
    return {"Put": {"TableName": table.name, "Item": item, **(condition.request() if condition else {})}}


def delete(table: Table, key: Key) -> Action:
    """An action of a unit."""
    return {"Delete": {"TableName": table.name, "Key": keyed(key)}}


def write(table: Table, units: Sequence[Unit]) -> list[tuple[str, ...]]:
    """Write every unit. For each: () when it was written, else the codes of its actions, of which at least one is
    ConditionalCheckFailed and the others are "None". Raises StoreError for everything else."""
    packs = list(_packed(units))
    answers = table.each(lambda pack: _write_pack(table, pack), packs)
    return [codes for pack in answers for codes in pack]


def lost(code: str) -> bool:
    """Whether an action's code says that its condition failed."""
    return code == _CONDITION


def _packed(units: Sequence[Unit]) -> Iterator[list[Unit]]:
    pack: list[Unit] = []
    actions, size, keys = 0, 0, set[Key]()
    for unit in units:
        full = actions + len(unit.actions) > MOST_ACTIONS or size + unit.size > MOST_BYTES
        if pack and (full or keys & unit.keys):
            yield pack
            pack, actions, size, keys = [], 0, 0, set()
        pack.append(unit)
        actions, size, keys = actions + len(unit.actions), size + unit.size, keys | unit.keys
    if pack:
        yield pack


def _write_pack(table: Table, units: Sequence[Unit]) -> list[tuple[str, ...]]:
    """Losers are taken out at once; a pause comes only where nobody lost, because somebody else is writing there."""
    outcomes: dict[int, tuple[str, ...]] = {}
    tries = table.tries("transact_write_items")
    next(tries)
    while going := [position for position in range(len(units)) if position not in outcomes]:
        codes = _transact(table, [action for position in going for action in units[position].actions])
        if codes is None:
            break
        losers = _losers(table, {position: units[position] for position in going}, iter(codes))
        outcomes |= losers
        if not losers:
            next(tries)
    return [outcomes.get(position, ()) for position in range(len(units))]


def _transact(table: Table, actions: Sequence[Action]) -> Sequence[str] | None:
    """None when it was written. The token makes the client's own tries of this call count once."""
    try:
        table.call("transact_write_items", TransactItems=actions, ClientRequestToken=uuid.uuid4().hex)
    except Cancelled as cancelled:
        return cancelled.codes
    return None


def _losers(table: Table, units: Mapping[int, Unit], codes: Iterator[str]) -> dict[int, tuple[str, ...]]:
    mine = {position: tuple(next(codes, "None") for _ in unit.actions) for position, unit in units.items()}
    said = {code for each in mine.values() for code in each} - {"None", _CONDITION}
    if said - _TRANSIENT:
        raise table.trouble("transact_write_items", f"cancelled ({', '.join(sorted(said))})")
    return {
        position: tuple(code if code == _CONDITION else "None" for code in each)
        for position, each in mine.items()
        if _CONDITION in each
    }


def _size(action: Action) -> int:
    ((_, body),) = action.items()
    values = [*body.get("Item", body.get("Key", {})).values(), *body.get("ExpressionAttributeValues", {}).values()]
    return _ITEM_OVERHEAD + sum(len(content) for value in values for content in value.values())


def _key(action: Action) -> Key:
    ((_, body),) = action.items()
    key = body.get("Item", body.get("Key"))
    return (key["pk"]["S"], key["sk"]["S"])
