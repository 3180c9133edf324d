"""Bodies larger than one item may be: cut into parts that are written with their head, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from zlib import crc32

from wabawatch.adapters.stores.dynamodb.shapes import INCIDENT_BUCKETS, blob, body_of, item, number, text
from wabawatch.adapters.stores.dynamodb.table import Item, Key, Table, Value
from wabawatch.adapters.stores.dynamodb.units import MOST_BYTES, Action, delete, put
from wabawatch.application.errors import StoreError

PART: Final = 350_000
"""Bytes. An item is 400 KB at most, its attributes' names included:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
MOST_PARTS: Final = MOST_BYTES // PART
_READS: Final = 5


def part_key(owner: str, position: int) -> Key:
    """Beside other parts, away from what is listed."""
    return f"PART#{crc32(owner.encode()) % INCIDENT_BUCKETS}", f"{owner}#{position:02}"


def cut(table: Table, owner: str, stamp: str, body: bytes, expires_at: Value | None) -> list[Action]:
    """The actions that write a body as parts, and remove those that a longer body left. `stamp` ties parts to their
    head. Raises StoreError for a body that no transaction can hold."""
    pieces = [body[start : start + PART] for start in range(0, len(body), PART)]
    if len(pieces) > MOST_PARTS:
        raise StoreError(
            f"{owner} needs {len(body) / 1e6:.1f} MB, and DynamoDB takes {MOST_PARTS * PART / 1e6:.1f} MB at once: "
            "cut the fleet into several deployments"
        )
    written = [
        put(table, item(part_key(owner, position), stamp=text(stamp), body=blob(piece), expires_at=expires_at))
        for position, piece in enumerate(pieces)
    ]
    return written + [delete(table, part_key(owner, position)) for position in range(len(pieces), MOST_PARTS)]


def parts_in(head: Item) -> Value:
    """How many parts a head has, as an attribute."""
    return head.get("parts", number(0))


def joined(table: Table, owner: str, head: Item, again: Callable[[], Item | None]) -> bytes | None:
    """The body of a head: its own, or that of its parts. Where a writer came in between, the head is read again; None
    if it is gone by then."""
    for _ in range(_READS):
        if "body" in head:
            return body_of(head)
        wanted = int(head["parts"]["N"])
        partition, first = part_key(owner, 0)
        found = list(table.query(partition, between=(first, part_key(owner, wanted - 1)[1])))
        if len(found) == wanted and all(part["stamp"] == head["stamp"] for part in found):
            return b"".join(body_of(part) for part in found)
        anew = again()
        if anew is None:
            return None
        head = anew
    raise table.trouble("query", f"the parts of {owner} do not fit together: restore the table from a backup")


def forget_parts(table: Table, owner: str, before: Item) -> None:
    """Remove the parts of a body that has since become small enough for its head."""
    for position in range(int(parts_in(before)["N"])):
        table.delete(part_key(owner, position))
