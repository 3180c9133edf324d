"""Rows with a body of the codec's: read, and set aside where the body can't be decoded."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from wabawatch.adapters.stores.codec import instant, load, microseconds
from wabawatch.adapters.stores.sqlite_database import Database, Row, Values
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Observation
from wabawatch.domain.incident import Incident, Member
from wabawatch.domain.notification_log import QueuedNotification
from wabawatch.domain.run import Run
from wabawatch.domain.silence import Acknowledgement, Silence
from wabawatch.domain.snapshot import Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of rows: `keys` are the columns that name a row, `body` is the one that holds its value, and `others` are
    read with it.

    `remove` takes a damaged row away; "": it stays."""

    name: str
    type: type[T]
    table: str
    keys: tuple[str, ...]
    body: str = "body"
    others: tuple[str, ...] = ()
    remove: str = "DELETE FROM {table}"

    @property
    def select(self) -> str:
        """Return the start of a query: the body, the keys, the others."""
        return f"SELECT {', '.join((self.body, *self.keys, *self.others))} FROM {self.table} "  # noqa: S608 - names of this module

    @property
    def removal(self) -> str:
        """Return the statement that removes a damaged row, by its keys and its body: it may have been replaced."""
        condition = " AND ".join(f"{column} = ?" for column in (*self.keys, self.body))
        return f"{self.remove.format(table=self.table, body=self.body)} WHERE {condition}"

    def name_row(self, keys: Sequence[object]) -> str:
        """Return a readable name of a row: its keys, with times in ISO format."""
        named = zip(self.keys, keys, strict=True)
        return " ".join(
            instant(key).isoformat() if column == "at" and isinstance(key, int) else str(key) for column, key in named
        )


_HALF: Final = "UPDATE {table} SET {body} = NULL"
"""The other half of a log row stays."""

SNAPSHOT: Final = Kind("snapshot", Snapshot, "snapshots", ("target",), others=("version", "seq"), remove="")
OBSERVATION: Final = Kind("observation", Observation, "log", ("target", "at"), "observation", remove=_HALF)
TRANSITIONS: Final = Kind(
    "transitions", tuple[Transition, ...], "log", ("target", "at"), "transitions", remove=_HALF + ", moved = 0"
)
PENDING: Final = Kind("pending change", tuple[Transition, ...], "pending_changes", ("target", "at"), others=("folded",))
RUN: Final = Kind("run", Run, "runs", ("id", "shard"))
COVERAGE: Final = Kind("shard coverage", ShardCoverage, "shard_coverage", ("shards", "shard"))
DAY: Final = Kind("day coverage", DayCoverage, "day_coverage", ("day", "shards", "shard"))
INCIDENT: Final = Kind("incident", Incident, "incidents", ("id",))
MEMBER: Final = Kind("member", Member, "members", ("incident", "target"))
QUEUED: Final = Kind("queued notification", QueuedNotification, "queued_notifications", ("id",))
SILENCE: Final = Kind("silence", Silence, "silences", ("id",))
ACKNOWLEDGEMENT: Final = Kind("acknowledgement", Acknowledgement, "acknowledgements", ("incident",))


class Rows:
    """Reads rows of a database. Raises SchemaError for a body of a later format."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, kind: Kind[T], clauses: str, values: Values = ()) -> list[T]:
        """Return the values of the rows that the clauses of a query choose."""
        return [value for value, _ in self.read_pairs(kind, clauses, values)]

    def read_pairs(self, kind: Kind[T], clauses: str, values: Values = ()) -> list[tuple[T, Row]]:
        """Return each value with its row, as `Kind.select` has it."""
        return self._read(kind, lambda: self._database.rows(kind.select + clauses, values))

    def read_each(self, kind: Kind[T], clauses: str, keys: Sequence[Values]) -> list[tuple[T, Row]]:
        """Run the query for each of the keys; return what was found, as `read_pairs`."""
        return self._read(kind, lambda: self._database.rows_of_each(kind.select + clauses, keys))

    def read_snapshots(self, rows: Iterable[Row]) -> list[Snapshot]:
        """Decode rows of snapshots. A damaged one is kept aside, and stays where it is until the next commit replaces
        it."""
        found, damaged = _decode(SNAPSHOT, rows)
        snapshots = [snapshot for snapshot, _ in found]
        if damaged:
            self._set_aside(SNAPSHOT, damaged)
            snapshots += [Snapshot(target, version, seq, is_reset=True) for (_, target, version, seq), _ in damaged]
        return snapshots

    def _read(self, kind: Kind[T], query: Callable[[], list[Row]]) -> list[tuple[T, Row]]:
        """Read until no row is damaged, so that those that were set aside leave no gap within a limit."""
        while True:
            found, damaged = _decode(kind, query())
            if not damaged or not self._set_aside(kind, damaged):
                return found

    def _set_aside(self, kind: Kind[T], damaged: Sequence[tuple[Row, str]]) -> int:
        """Return the number of rows set aside."""
        removed = 0
        with self._database.transaction() as connection:
            for (body, *columns), error in damaged:
                keys = columns[: len(kind.keys)]
                removed += connection.execute(kind.removal, (*keys, body)).rowcount if kind.remove else 0
                keep_aside(connection, kind.name, kind.name_row(keys), error, body)
        return removed


def keep_aside(connection: sqlite3.Connection, kind: str, name: str, error: str, body: bytes) -> None:
    """Keep a body with the reason. A damaged snapshot may be read several times: it is kept once."""
    connection.execute(
        "INSERT INTO set_aside (kind, name, at, error, body) SELECT :kind, :name, :at, :error, :body "
        "WHERE NOT EXISTS (SELECT 1 FROM set_aside WHERE kind = :kind AND name = :name AND body = :body)",
        {"kind": kind, "name": name, "at": microseconds(datetime.now(UTC)), "error": error, "body": body},
    )


def _decode(kind: Kind[T], rows: Iterable[Row]) -> tuple[list[tuple[T, Row]], list[tuple[Row, str]]]:
    """Return the values with their rows, and the damaged rows with what is wrong with them."""
    found: list[tuple[T, Row]] = []
    damaged: list[tuple[Row, str]] = []
    for row in rows:
        try:
            found.append((load(kind.type, row[0]), row))
        except SchemaError:
            raise
        except StoreError as error:
            damaged.append((row, str(error)))
    return found, damaged
