"""The SQLite schema, and its migrations."""

from __future__ import annotations

import sqlite3
from typing import Final

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
