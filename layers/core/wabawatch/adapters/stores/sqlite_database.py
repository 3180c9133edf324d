"""One SQLite file: opened safely, migrated to the present schema, used by one thread at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from wabawatch.application.private_files import OWNERS_FILE, explain_foreign, make_folders
from wabawatch.errors import SchemaError, StoreError

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE snapshots (
        target TEXT PRIMARY KEY, version INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE log (
        target TEXT NOT NULL, at INTEGER NOT NULL, moved INTEGER NOT NULL, observation BLOB, transitions BLOB,
        PRIMARY KEY (target, at)
    ) WITHOUT ROWID;
    CREATE INDEX log_by_time ON log (at, target, moved);

    CREATE TABLE pending_changes (
        at INTEGER NOT NULL, target TEXT NOT NULL, folded INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL,
        PRIMARY KEY (at, target)
    ) WITHOUT ROWID;

    CREATE TABLE runs (
        id TEXT NOT NULL, shard INTEGER NOT NULL, started_at INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (id, shard)
    );
    CREATE INDEX runs_by_time ON runs (started_at, id, shard);

    CREATE TABLE shard_coverage (
        shards INTEGER NOT NULL, shard INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (shards, shard)
    );

    CREATE TABLE day_coverage (
        day TEXT NOT NULL, shards INTEGER NOT NULL, shard INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (day, shards, shard)
    );

    CREATE TABLE incidents (
        id TEXT PRIMARY KEY, version INTEGER NOT NULL, opened_at INTEGER NOT NULL, resolved_at INTEGER, due_at INTEGER,
        body BLOB NOT NULL
    );
    CREATE INDEX incidents_by_time ON incidents (opened_at, id);
    CREATE INDEX incidents_due ON incidents (due_at, id) WHERE due_at IS NOT NULL;
    CREATE INDEX incidents_open ON incidents (id) WHERE resolved_at IS NULL OR due_at IS NOT NULL;
    CREATE INDEX incidents_done ON incidents (resolved_at) WHERE resolved_at IS NOT NULL AND due_at IS NULL;

    CREATE TABLE latest_incidents (
        entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, capability TEXT NOT NULL, generation INTEGER NOT NULL,
        incident TEXT NOT NULL, PRIMARY KEY (entity_type, entity_id, capability)
    ) WITHOUT ROWID;

    CREATE TABLE members (
        incident TEXT NOT NULL, target TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (incident, target)
    ) WITHOUT ROWID;

    CREATE TABLE queued_notifications (id TEXT PRIMARY KEY, destination TEXT NOT NULL, body BLOB NOT NULL);

    CREATE TABLE set_aside (
        kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, error TEXT NOT NULL, body BLOB NOT NULL
    );
    CREATE INDEX set_aside_by_time ON set_aside (at);

    CREATE TABLE silences (id TEXT PRIMARY KEY, ends_at INTEGER NOT NULL, body BLOB NOT NULL);

    CREATE TABLE acknowledgements (incident TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL);

    CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, ends_at INTEGER NOT NULL) WITHOUT ROWID;

    CREATE TABLE documents (name TEXT PRIMARY KEY, body BLOB NOT NULL);
    """,
)
"""One script for each version, the first one for version 1. A script that was released never changes. Every instant is
in microseconds since 1970, a day is YYYY-MM-DD; every body but a document's is the codec's. `moved` counts a log row's
transitions, so that the history by time is read without the rows that have none."""

VERSION: Final = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database to this version, one transaction for each step, so that a crash leaves a whole version.

    Raises SchemaError for a database of a later version, StoreError for one that something else made.
    """
    if _version(connection) == VERSION:
        return
    for _ in MIGRATIONS:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _step(connection, path)
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def _step(connection: sqlite3.Connection, path: str) -> None:
    """Run one migration. Another process may have run it first, so read the version again inside the transaction."""
    version = _version(connection)
    if version > VERSION:
        raise SchemaError(
            f"{path}: this database has version {version}, and this version of Wabawatch knows versions up to "
            f"{VERSION}: upgrade Wabawatch, or name another file"
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{path}: this database was not made by Wabawatch: name another file")
    if version < VERSION:
        for statement in MIGRATIONS[version].split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


_PAUSE: Final = 0.05
"""Seconds between two tries to switch to WAL, for which SQLite does not wait by itself."""

Values = Sequence[object] | Mapping[str, object]
Row = tuple[Any, ...]


class Database:
    """Transactions on one file. `wait` is how long another process's transaction is waited for.

    WAL lets readers go on while another process writes. Every commit is synced to disk (SQLite's default): a message
    that was sent is not forgotten when the power goes.
    """

    def __init__(self, path: Path, wait: timedelta) -> None:
        self._path = path
        self._wait = wait
        self._lock = threading.RLock()
        with self._said_clearly():
            _create(path)
            self._connection = sqlite3.connect(
                path, timeout=wait.total_seconds(), isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        give_up_at = time.monotonic() + self._wait.total_seconds()
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(_PAUSE)
        migrate(self._connection, str(self._path))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all of it or nothing. The write lock is taken at the start: what is read inside stays true until the end.

        What fails is undone, a commit too, so that the next transaction can begin. An error of the rollback is not
        raised: it would hide the cause, and SQLite ends the transaction all the same."""
        with self._lock, self._said_clearly():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.rollback()
                raise

    def execute(self, statement: str, values: Values = ()) -> int:
        """Run one statement in its own transaction; return the number of changed rows."""
        with self.transaction() as connection:
            return connection.execute(statement, values).rowcount

    def rows(self, statement: str, values: Values = ()) -> list[Row]:
        with self._lock, self._said_clearly():
            return self._connection.execute(statement, values).fetchall()

    def rows_of_each(self, statement: str, keys: Iterable[Values]) -> list[Row]:
        """Run one statement for each key."""
        with self._lock, self._said_clearly():
            cursor = self._connection.cursor()
            return [row for key in keys for row in cursor.execute(statement, key)]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _said_clearly(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: {_explained(error)}") from error


def _create(path: Path) -> None:
    """Create the file and its folders, for the owner only. SQLite gives its side files the same permissions.

    Raises StoreError for a path that another user controls. An existing file is not opened: closing it would release
    the locks that another connection of this process holds on it."""
    make_folders(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR, OWNERS_FILE))
    except FileExistsError:
        if why := explain_foreign(path):
            raise StoreError(f"{path}: {why}") from None


def _explained(error: sqlite3.Error | OSError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another process holds this database: wait until it is done, or stop it"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full: make room on it; what was being written was undone"
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"this database is damaged, or is none ({error}): restore a copy, or move it away to begin anew"
    if isinstance(error, sqlite3.ProgrammingError):
        return f"this database is closed, or used wrongly ({error})"
    cause = error.strerror if isinstance(error, OSError) else error
    return f"this database cannot be used ({cause}): check the path, its permissions and the space on the disk"
