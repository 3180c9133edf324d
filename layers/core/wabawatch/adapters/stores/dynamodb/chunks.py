"""Bodies larger than an item may be: cut into chunks that are written with their head, in one transaction.

Each chunk has a partition of its own, because a partition takes 1,000 write units a second, of which a chunk
alone costs up to 700.
"""

from __future__ import annotations

import uuid
from typing import Final

from wabawatch.adapters.stores.dynamodb.table import (
    Item,
    Key,
    RefusedError,
    Table,
    Value,
    blob,
    body_of,
    item,
    key_of,
    number,
    text,
)
from wabawatch.adapters.stores.dynamodb.transactions import WriteGroup, delete, put, write
from wabawatch.application.ports import Outcome
from wabawatch.errors import StoreError

INLINE: Final = 40_000
"""Bytes up to which a body is in its head. Heads of one kind share a partition."""
CHUNK: Final = 350_000
"""Bytes."""
MAX_CHUNKS: Final = 11
"""A transaction takes 4 MB."""
_READS: Final = 5


class MismatchError(StoreError):
    """The chunks of a body do not belong together."""


def save_body(table: Table, key: Key, body: bytes, **attributes: Value | None) -> None:
    """Insert or replace an item and its body. Raises StoreError for a body that no transaction holds."""
    if len(body) <= INLINE:
        before = table.put(item(key, body=blob(body), **attributes))
        _forget_chunks(table, key, before)
        return
    pieces = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    if len(pieces) > MAX_CHUNKS:
        raise StoreError(
            f"{' '.join(key)} needs {len(body) / 1e6:.1f} MB, and DynamoDB takes {MAX_CHUNKS * CHUNK / 1e6:.1f} MB at "
            "once: split the fleet into several deployments"
        )
    stamp = text(uuid.uuid4().hex)
    head = item(key, parts=number(len(pieces)), stamp=stamp, **attributes)
    chunks = [
        put(table, item(_chunk_key(key, position), stamp=stamp, body=blob(piece)))
        for position, piece in enumerate(pieces)
    ]
    left_over = [delete(table, _chunk_key(key, position)) for position in range(len(pieces), MAX_CHUNKS)]
    (answer,) = write(table, [WriteGroup((put(table, head), *chunks, *left_over))])
    if answer.outcome is not Outcome.WRITTEN:
        raise RefusedError(f"DynamoDB table {table.name}: {' '.join(key)} was refused; the log says why")


def load_body(table: Table, head: Item) -> bytes | None:
    """The body of an item: its own, or that of its chunks. Where a writer came in between, the head is read again; None
    if it is gone by then. Raises MismatchError."""
    key, found = key_of(head), head
    for _ in range(_READS):
        if "parts" not in found:
            return body_of(found)
        wanted = [_chunk_key(key, position) for position in range(int(found["parts"]["N"]))]
        chunks = {key_of(chunk): chunk for chunk in table.get_all(wanted)}
        if len(chunks) == len(wanted) and all(chunk["stamp"] == found["stamp"] for chunk in chunks.values()):
            return b"".join(body_of(chunks[chunk]) for chunk in wanted)
        again = table.get(key)
        if again is None:
            return None
        found = again
    raise MismatchError(f"the chunks of {' '.join(key)} do not belong together: restore the table from a backup")


def delete_body(table: Table, key: Key) -> None:
    """Delete an item and its chunks."""
    _forget_chunks(table, key, table.delete(key))


def _forget_chunks(table: Table, key: Key, before: Item) -> None:
    for position in range(int(before.get("parts", number(0))["N"])):
        table.delete(_chunk_key(key, position))


def _chunk_key(key: Key, position: int) -> Key:
    return f"PART#{key[0]}#{key[1]}#{position}", "part"
