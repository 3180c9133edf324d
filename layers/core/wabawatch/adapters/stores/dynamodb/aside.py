"""Rows that can't be decoded are set aside, so that what is around them goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Generic, NamedTuple, TypeVar

from wabawatch.adapters.stores.codec import instant, load, microseconds
from wabawatch.adapters.stores.dynamodb.chunks import MismatchError, load_body
from wabawatch.adapters.stores.dynamodb.keys import expiry, iso, month_of
from wabawatch.adapters.stores.dynamodb.periods import Periods
from wabawatch.adapters.stores.dynamodb.table import (
    Condition,
    Item,
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
from wabawatch.application.ports import SetAside
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Observation
from wabawatch.domain.incident import Incident, Member
from wabawatch.domain.notification_log import QueuedNotification
from wabawatch.domain.run import Run
from wabawatch.domain.silence import Acknowledgement, Silence
from wabawatch.domain.snapshot import Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

ASIDE: Final = "ASIDE"
_MAX_LISTED: Final = 100
_MAX_COPY: Final = 300_000
"""Bytes of a damaged body that are kept; larger ones are whole in the table's backups."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Kind(NamedTuple, Generic[T]):
    """A kind of rows: the attribute that holds the value, and how a damaged one is taken out (None: with its item)."""

    name: str
    type: type[T]
    attribute: str = "body"
    removal: str | None = None
    names: Mapping[str, str] = {}
    values: Mapping[str, Value] = {}


SNAPSHOT: Final = Kind("snapshot", Snapshot, removal="SET aside = :aside", values={":aside": number(1)})
"""It stays, because its version and its number are still needed; the next one replaces it."""
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
    """Decodes rows and keeps what can't be decoded."""

    def __init__(self, table: Table, periods: Periods, history: timedelta) -> None:
        self._table = table
        self._periods = periods
        self._history = history

    def decode(self, kind: Kind[T], found: Item, name: str) -> T | None:
        """The value of an item; None where it can't be decoded, and is set aside under this name. Raises SchemaError
        for one of a later format."""
        try:
            body = load_body(self._table, found) if kind.attribute == "body" else body_of(found, kind.attribute)
        except MismatchError as error:
            self._take_out(kind, found, name, b"", error)
            return None
        if body is None:
            return None
        try:
            return load(kind.type, body)
        except SchemaError:
            raise
        except StoreError as error:
            self._take_out(kind, found, name, body, error)
        return None

    def decode_all(self, kind: Kind[T], rows: Iterable[Item], name: Callable[[Item], str]) -> Iterator[T]:
        """Those that can be decoded."""
        values = (self.decode(kind, found, name(found)) for found in rows)
        return (value for value in values if value is not None)

    def keep(self, kind: str, name: str, error: str, body: bytes) -> Action:
        """The action that keeps a body aside."""
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

    def _take_out(self, kind: Kind[T], found: Item, name: str, body: bytes, error: StoreError) -> None:
        """Unless it was replaced or taken out meanwhile. A reader that may not write leaves it where it is."""
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
