"""The SQLite schema, and the steps from every earlier version of it to this one."""

from __future__ import annotations

import sqlite3
from typing import Final

from wabawatch.application.errors import SchemaError, StoreError

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE snapshots (
        target TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE transitions (
        target TEXT NOT NULL, at INTEGER NOT NULL, seq INTEGER NOT NULL, folded INTEGER NOT NULL DEFAULT 0,
        body BLOB NOT NULL, PRIMARY KEY (target, at, seq)
    ) WITHOUT ROWID;
    CREATE INDEX transitions_pending ON transitions (at, target, seq) WHERE folded = 0;
    CREATE INDEX transitions_by_time ON transitions (at, target, seq);

    CREATE TABLE observations (
        target TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (target, at)
    ) WITHOUT ROWID;
    CREATE INDEX observations_by_time ON observations (at);

    CREATE TABLE incidents (
        id TEXT PRIMARY KEY, entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, capability TEXT NOT NULL,
        version INTEGER NOT NULL, opened_at INTEGER NOT NULL, resolved_at INTEGER, due_at INTEGER, body BLOB NOT NULL
    );
    CREATE INDEX incidents_by_key ON incidents (entity_type, entity_id, capability, opened_at);
    CREATE INDEX incidents_by_time ON incidents (opened_at);
    CREATE INDEX incidents_due ON incidents (due_at) WHERE due_at IS NOT NULL;
    CREATE INDEX incidents_open ON incidents (opened_at) WHERE resolved_at IS NULL OR due_at IS NOT NULL;

    CREATE TABLE runs (
        id TEXT NOT NULL, shard INTEGER NOT NULL, started_at INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (id, shard)
    );
    CREATE INDEX runs_by_time ON runs (started_at);

    CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, ends_at INTEGER NOT NULL) WITHOUT ROWID;

    CREATE TABLE silences (id TEXT PRIMARY KEY, ends_at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

    CREATE TABLE acknowledgements (
        incident TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE documents (name TEXT PRIMARY KEY, body BLOB NOT NULL);
    """,
)
"""One script for each version, the first one for version 1. A script that was released never changes. Every instant is
in microseconds since 1970; every body but a document's is the codec's."""

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
    """Another process may have taken the step first: the version is read again inside the transaction."""
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
