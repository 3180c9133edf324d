"""Save and load the bodies of rows: large ones in chunks; those that cannot be decoded are set aside."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Generic, NamedTuple, TypeVar

from wabawatch.adapters.stores.codec import instant, load, microseconds
from wabawatch.adapters.stores.dynamodb.keys import Periods, expiry, iso, month_of
from wabawatch.adapters.stores.dynamodb.table import (
    Condition,
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
from wabawatch.adapters.stores.dynamodb.transactions import Action, WriteGroup, delete, put, update, write
from wabawatch.application.ports import Outcome, SetAside
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Observation
from wabawatch.domain.incident import Incident, Member
from wabawatch.domain.notification import QueuedNotification
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Silence
from wabawatch.domain.snapshot import Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

INLINE: Final = 40_000
"""Bytes of the largest body that is stored in its head. Heads of one kind share a partition."""
CHUNK: Final = 350_000
"""Bytes."""
MAX_CHUNKS: Final = 11
"""A transaction takes 4 MB."""
_READS: Final = 5


class MismatchError(StoreError):
    """The chunks of a body are of different writes."""


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
    """Return the body of an item, from its chunks where it has any. Where another process wrote meanwhile, read the
    head again; None if it is gone. Raises MismatchError."""
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


ASIDE: Final = "ASIDE"
_MAX_LISTED: Final = 100
_MAX_COPY: Final = 300_000
"""Bytes of a damaged body that are kept; larger ones are whole in the table's backups."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Kind(NamedTuple, Generic[T]):
    """A kind of rows: the attribute of the value, and the update that removes a damaged one (None: delete the item)."""

    name: str
    type: type[T]
    attribute: str = "body"
    removal: str | None = None
    names: Mapping[str, str] = {}
    values: Mapping[str, Value] = {}


SNAPSHOT: Final = Kind("snapshot", Snapshot, removal="SET aside = :aside", values={":aside": number(1)})
"""A damaged snapshot stays, because its version and sequence number are still needed; the next one replaces it."""
OBSERVATION: Final = Kind("observation", Observation, "seen", "REMOVE #body")
TRANSITIONS: Final = Kind("transitions", tuple[Transition, ...], "body", "REMOVE #body, #when", {"#when": "when"})
PENDING: Final = Kind("pending change", tuple[Transition, ...])
RUN: Final = Kind("run", Run)
COVERAGE: Final = Kind("shard coverage", ShardCoverage)
DAY: Final = Kind("day coverage", DayCoverage)
INCIDENT: Final = Kind("incident", Incident)
MEMBER: Final = Kind("member", Member)
QUEUED: Final = Kind("queued notification", QueuedNotification)
SILENCE: Final = Kind("silence", Silence)
ACKNOWLEDGEMENT: Final = Kind("acknowledgement", Acknowledgement)
DOCUMENT: Final = Kind("document", bytes)


class Aside:
    """Decodes rows, and keeps copies of damaged ones."""

    def __init__(self, table: Table, periods: Periods, history: timedelta) -> None:
        self._table = table
        self._periods = periods
        self._history = history

    def decode(self, kind: Kind[T], found: Item, name: str) -> T | None:
        """Decode an item. Set it aside under this name and return None where that fails; raise SchemaError for a later
        format."""
        try:
            body = load_body(self._table, found) if kind.attribute == "body" else body_of(found, kind.attribute)
        except MismatchError as error:
            self._set_aside(kind, found, name, b"", error)
            return None
        if body is None:
            return None
        try:
            return load(kind.type, body)
        except SchemaError:
            raise
        except StoreError as error:
            self._set_aside(kind, found, name, body, error)
        return None

    def decode_all(self, kind: Kind[T], rows: Iterable[Item], name: Callable[[Item], str]) -> Iterator[T]:
        """Yield the values of the rows that can be decoded."""
        values = (self.decode(kind, found, name(found)) for found in rows)
        return (value for value in values if value is not None)

    def keep(self, kind: str, name: str, error: str, body: bytes) -> Action:
        """Make the action that sets a body aside."""
        at = datetime.now(UTC)
        month = month_of(at)
        self._periods.note(ASIDE, [month])
        row = item(
            (f"{ASIDE}#{month}", f"{iso(at)}#{kind}#{name}"),
            kind=text(kind),
            name=text(name),
            at=number(microseconds(at)),
            error=text(error),
            body=blob(body[:_MAX_COPY]),
            expires_at=expiry(at + self._history),
        )
        return put(self._table, row)

    def since(self, since: datetime) -> list[SetAside]:
        """Return the latest rows that were set aside since then."""
        months = self._periods.newest_first(ASIDE, since=month_of(since))
        rows = (
            found
            for month in months
            for found in self._table.query(f"{ASIDE}#{month}", since=iso(since), newest_first=True, page=_MAX_LISTED)
        )
        return [
            SetAside(row["kind"]["S"], row["name"]["S"], instant(int(row["at"]["N"])), row["error"]["S"])
            for row in islice(rows, _MAX_LISTED)
        ]

    def _set_aside(self, kind: Kind[T], found: Item, name: str, body: bytes, error: StoreError) -> None:
        """Set a row aside, unless it was replaced or removed meanwhile. A reader without write access leaves it."""
        if "aside" in found:
            return
        attribute = "stamp" if "stamp" in found else kind.attribute
        names = {"#body": attribute, **kind.names}
        values = {":body": found[attribute]} if attribute in found else {}
        unchanged = "#body = :body" if values else "attribute_exists(pk) AND attribute_not_exists(#body)"
        if kind.removal is None:
            removal = delete(self._table, key_of(found), Condition(unchanged, values, names))
        else:
            removal = update(
                self._table, key_of(found), kind.removal, Condition(unchanged, {**values, **kind.values}, names)
            )
        _log.warning("DynamoDB table %s: %s %s is set aside: %s", self._table.name, kind.name, name, error)
        try:
            write(self._table, [WriteGroup((self.keep(kind.name, name, str(error), body), removal))])
        except StoreError as trouble:
            _log.warning("DynamoDB table %s: %s %s stays in its place: %s", self._table.name, kind.name, name, trouble)
