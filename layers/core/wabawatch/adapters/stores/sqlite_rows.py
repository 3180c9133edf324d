"""Read and write rows whose body the codec encodes; set rows aside whose body cannot be decoded."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from wabawatch.adapters.stores.codec import dump, instant, load, microseconds
from wabawatch.adapters.stores.sqlite_database import Database, Row, Values
from wabawatch.application.ports import Change, FoldBatch, Outcome
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Observation
from wabawatch.domain.incident import Incident, Member
from wabawatch.domain.notification import QueuedNotification
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Silence
from wabawatch.domain.snapshot import Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

_LARGE: Final = 4096
_CANNOT_BE_HELD: Final = (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError)
"""Errors of a value: too large, more than 64 bits, a lone surrogate, a second change at the same time."""

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


def attempt(
    connection: sqlite3.Connection, write: Callable[[sqlite3.Connection, Sequence[T]], bool], values: Sequence[T]
) -> Outcome:
    """Write all values or, within the transaction, nothing. `write` returns False if a version differs."""
    connection.execute("SAVEPOINT attempt")
    try:
        outcome = Outcome.WRITTEN if write(connection, values) else Outcome.CONFLICT
    except _CANNOT_BE_HELD:
        outcome = Outcome.REFUSED
    if outcome is not Outcome.WRITTEN:
        connection.execute("ROLLBACK TO attempt")
    connection.execute("RELEASE attempt")
    return outcome


def _dump(value: object) -> bytes:
    """Encode values that are written by the thousand, uncompressed: deflating would double the time of a commit, and
    the size of a file costs nothing."""
    return dump(value, _LARGE)


def write_changes(connection: sqlite3.Connection, changes: Sequence[Change]) -> bool:
    first: list[tuple[object, ...]] = []
    following: list[tuple[object, ...]] = []
    log: list[tuple[object, ...]] = []
    pending: list[tuple[object, ...]] = []
    for change in changes:
        snapshot, seen = change.snapshot, change.observation
        row = (snapshot.version, snapshot.seq, _dump(snapshot), snapshot.target)
        if snapshot.version > 1:
            following.append((*row, snapshot.version - 1))
        else:
            first.append(row)
        at = microseconds(seen.observed_at)
        transitions = _dump(change.transitions) if change.transitions else None
        log.append((seen.target, at, len(change.transitions), _dump(seen), transitions))
        if transitions is not None:
            pending.append((seen.target, at, transitions))
    insert = "INSERT INTO snapshots (version, seq, body, target) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    update = "UPDATE snapshots SET version = ?, seq = ?, body = ? WHERE target = ? AND version = ?"
    if not (_reaches_all(connection, insert, first) and _reaches_all(connection, update, following)):
        return False
    connection.executemany("REPLACE INTO log (target, at, moved, observation, transitions) VALUES (?, ?, ?, ?, ?)", log)
    connection.executemany("INSERT INTO pending_changes (target, at, body) VALUES (?, ?, ?)", pending)
    return True


def write_incidents(connection: sqlite3.Connection, incidents: Sequence[Incident]) -> bool:
    rows = [
        (
            incident.version,
            incident.resolved_at and microseconds(incident.resolved_at),
            incident.due_at and microseconds(incident.due_at),
            dump(incident),
            incident.id,
        )
        for incident in incidents
    ]
    both = list(zip(incidents, rows, strict=True))
    first = [(*row, microseconds(incident.opened_at)) for incident, row in both if incident.version == 1]
    latest = [(*incident.key, incident.generation, incident.id) for incident in incidents if incident.version == 1]
    following = [(*row, incident.version - 1) for incident, row in both if incident.version > 1]
    return (
        _reaches_all(
            connection,
            "INSERT INTO incidents (version, resolved_at, due_at, body, id, opened_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            first,
        )
        and _reaches_all(
            connection,
            "INSERT INTO latest_incidents (entity_type, entity_id, capability, generation, incident) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET generation = excluded.generation, "
            "incident = excluded.incident WHERE excluded.generation > generation",
            latest,
        )
        and _reaches_all(
            connection,
            "UPDATE incidents SET version = ?, resolved_at = ?, due_at = ?, body = ? WHERE id = ? AND version = ?",
            following,
        )
    )


def write_folds(connection: sqlite3.Connection, batches: Sequence[FoldBatch]) -> bool:
    """Write batches, unless another notify folded one of their changes meanwhile. Where a batch makes nothing of its
    changes, that does not matter."""
    makes_something = any(batch.incidents or batch.members for batch in batches)
    wholly: list[tuple[object, ...]] = []
    partly: list[tuple[object, ...]] = []
    for batch in batches:
        if not write_incidents(connection, batch.incidents):
            return False
        connection.executemany(
            "REPLACE INTO members (incident, target, body) VALUES (?, ?, ?)",
            [(row.incident_id, row.target, dump(row.member)) for row in batch.members],
        )
        for change, number in batch.folded:
            key = (change.target, microseconds(change.at), change.transitions[0].seq)
            if number < change.transitions[-1].seq:
                partly.append((number, *key))
            else:
                wholly.append(key)
    unfolded = "WHERE target = ? AND at = ? AND folded < ?"
    done = _reaches_all(connection, f"DELETE FROM pending_changes {unfolded}", wholly)  # noqa: S608 - as above
    done &= _reaches_all(connection, f"UPDATE pending_changes SET folded = ? {unfolded}", partly)  # noqa: S608 - as above
    return done or not makes_something


def _reaches_all(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> bool:
    """Run a statement for each row; return whether each changed a row."""
    return not rows or connection.executemany(statement, rows).rowcount == len(rows)
