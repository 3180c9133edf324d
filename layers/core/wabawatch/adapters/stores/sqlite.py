"""State in one SQLite file, for one machine. Any number of processes may use the file at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from wabawatch.adapters.owners import is_dead
from wabawatch.adapters.stores.codec import dump, load
from wabawatch.adapters.stores.compact import microseconds
from wabawatch.adapters.stores.sqlite_database import Database
from wabawatch.application.ports import Change
from wabawatch.domain.health import Observation
from wabawatch.domain.incidents import Incident, Key
from wabawatch.domain.runs import Run
from wabawatch.domain.steering import Acknowledgement, Silence
from wabawatch.domain.transitions import Snapshot, Transition

_AT_ONCE: Final = 1000
"""Changes in one transaction: between two of them another process gets its turn."""

_FIRST_SNAPSHOT: Final = "INSERT INTO snapshots (version, body, target) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_NEXT_SNAPSHOT: Final = "UPDATE snapshots SET version = ?, body = ? WHERE target = ? AND version = ?"
_FIRST_INCIDENT: Final = (
    "INSERT INTO incidents (version, resolved_at, due_at, body, id, entity_type, entity_id, capability, opened_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_NEXT_INCIDENT: Final = (
    "UPDATE incidents SET version = ?, resolved_at = ?, due_at = ?, body = ? WHERE id = ? AND version = ?"
)
_PURGES: Final = (
    "DELETE FROM transitions WHERE at < ? AND folded = 1",
    "DELETE FROM observations WHERE at < ?",
    "DELETE FROM runs WHERE started_at < ?",
    "DELETE FROM incidents WHERE resolved_at < ? AND due_at IS NULL",
    "DELETE FROM silences WHERE ends_at < ?",
    "DELETE FROM acknowledgements WHERE at < ? AND incident NOT IN (SELECT id FROM incidents)",
)


class SqliteStore:
    """The Store port over one SQLite file, which is created with its folders if it is not there.

    Raises StoreError, which names the path and says what to do, when the file is locked for longer than `wait`, is
    damaged, or cannot be written; SchemaError when a later version of Wabawatch made it.
    """

    def __init__(self, path: str | Path, *, wait: timedelta = timedelta(seconds=10)) -> None:
        self._database = Database(Path(path), wait)

    def snapshots(self, targets: Sequence[str]) -> dict[str, Snapshot]:
        bodies = self._database.bodies(
            "SELECT body FROM snapshots WHERE target IN (SELECT value FROM json_each(?))", [json.dumps(list(targets))]
        )
        found = [load(Snapshot, body) for body in bodies]
        return {snapshot.target: snapshot for snapshot in found}

    def every_snapshot(self) -> list[Snapshot]:
        return [load(Snapshot, body) for body in self._database.bodies("SELECT body FROM snapshots ORDER BY target")]

    def commit(self, changes: Sequence[Change]) -> list[bool]:
        outcomes: list[bool] = []
        for start in range(0, len(changes), _AT_ONCE):
            with self._database.transaction() as connection:
                outcomes += [_commit(connection, change) for change in changes[start : start + _AT_ONCE]]
        return outcomes

    def save_run(self, run: Run) -> None:
        self._database.execute(
            "REPLACE INTO runs (id, shard, started_at, body) VALUES (?, ?, ?, ?)",
            (run.id, run.shard, microseconds(run.started_at), dump(run)),
        )

    def runs(self, limit: int) -> list[Run]:
        bodies = self._database.bodies(
            "SELECT body FROM runs ORDER BY started_at DESC, id DESC, shard DESC LIMIT ?", [limit]
        )
        return [load(Run, body) for body in bodies]

    def pending(self, limit: int) -> list[Transition]:
        bodies = self._database.bodies(
            "SELECT body FROM transitions WHERE folded = 0 ORDER BY at, target, seq LIMIT ?", [limit]
        )
        return [load(Transition, body) for body in bodies]

    def mark_folded(self, transitions: Sequence[Transition]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE transitions SET folded = 1 WHERE target = ? AND at = ? AND seq = ?",
                [(one.target, microseconds(one.at), one.seq) for one in transitions],
            )

    def latest_incidents(self, keys: Sequence[Key]) -> dict[Key, Incident]:
        found = {key: self._latest(key) for key in keys}
        return {key: incident for key, incident in found.items() if incident}

    def _latest(self, key: Key) -> Incident | None:
        bodies = self._database.bodies(
            "SELECT body FROM incidents WHERE entity_type = ? AND entity_id = ? AND capability = ? "
            "ORDER BY opened_at DESC, rowid DESC LIMIT 1",
            key,
        )
        return load(Incident, bodies[0]) if bodies else None

    def open_incidents(self) -> list[Incident]:
        return self._incidents("WHERE resolved_at IS NULL OR due_at IS NOT NULL ORDER BY opened_at, id")

    def due_incidents(self, now: datetime) -> list[Incident]:
        return self._incidents("WHERE due_at <= ? ORDER BY due_at, id", microseconds(now))

    def incident(self, incident_id: str) -> Incident | None:
        return next(iter(self._incidents("WHERE id = ?", incident_id)), None)

    def incidents(self, limit: int) -> list[Incident]:
        return self._incidents("ORDER BY opened_at DESC, id DESC LIMIT ?", limit)

    def _incidents(self, clause: str, *values: object) -> list[Incident]:
        statement = f"SELECT body FROM incidents {clause}"  # noqa: S608  # clauses are written in this class
        return [load(Incident, body) for body in self._database.bodies(statement, values)]

    def save_incidents(self, incidents: Sequence[Incident]) -> list[bool]:
        outcomes: list[bool] = []
        for start in range(0, len(incidents), _AT_ONCE):
            with self._database.transaction() as connection:
                outcomes += [_save_incident(connection, one) for one in incidents[start : start + _AT_ONCE]]
        return outcomes

    def acquire_lease(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """As the port; an owner that was a process of this machine and is no more does not hold it any longer."""
        if self._take_lease(name, owner, now, ttl):
            return True
        with self._database.transaction() as connection:
            holder = connection.execute("SELECT owner FROM leases WHERE name = ?", (name,)).fetchone()
        if holder is None or not is_dead(holder[0]):
            return False
        self.release_lease(name, holder[0])
        return self._take_lease(name, owner, now, ttl)

    def _take_lease(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        taken = self._database.execute(
            "INSERT INTO leases (name, owner, ends_at) VALUES (:name, :owner, :ends_at) ON CONFLICT DO UPDATE "
            "SET owner = :owner, ends_at = :ends_at WHERE owner = :owner OR ends_at <= :now OR ends_at > :farthest",
            {
                "name": name,
                "owner": owner,
                "ends_at": microseconds(now + ttl),
                "now": microseconds(now),
                "farthest": microseconds(now + 2 * ttl),
            },
        )
        return taken == 1

    def release_lease(self, name: str, owner: str) -> None:
        self._database.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))

    def save_silence(self, silence: Silence) -> None:
        self._database.execute(
            "REPLACE INTO silences (id, ends_at, body) VALUES (?, ?, ?)",
            (silence.id, microseconds(silence.ends_at), dump(silence)),
        )

    def silences(self) -> list[Silence]:
        return [load(Silence, body) for body in self._database.bodies("SELECT body FROM silences ORDER BY id")]

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        self._database.execute(
            "REPLACE INTO acknowledgements (incident, at, body) VALUES (?, ?, ?)",
            (acknowledgement.incident, microseconds(acknowledgement.at), dump(acknowledgement)),
        )

    def acknowledgements(self) -> dict[str, Acknowledgement]:
        bodies = self._database.bodies("SELECT body FROM acknowledgements ORDER BY incident")
        found = [load(Acknowledgement, body) for body in bodies]
        return {acknowledgement.incident: acknowledgement for acknowledgement in found}

    def history(
        self, target: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Transition]:
        bodies = self._log("transitions", "at DESC, target DESC, seq DESC", target, since, until, limit)
        return [load(Transition, body) for body in bodies]

    def observations(
        self, target: str, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Observation]:
        return [load(Observation, body) for body in self._log("observations", "at DESC", target, since, until, limit)]

    def _log(
        self, table: str, order: str, target: str | None, since: datetime | None, until: datetime | None, limit: int
    ) -> list[bytes]:
        given = {"target = ?": target, "at >= ?": _stored(since), "at < ?": _stored(until)}
        conditions = {condition: value for condition, value in given.items() if value is not None}
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = f"SELECT body FROM {table} {where} ORDER BY {order} LIMIT ?"  # noqa: S608  # words of this class
        return self._database.bodies(statement, [*conditions.values(), limit])

    def document(self, name: str) -> bytes | None:
        return next(iter(self._database.bodies("SELECT body FROM documents WHERE name = ?", [name])), None)

    def save_document(self, name: str, body: bytes) -> None:
        self._database.execute("REPLACE INTO documents (name, body) VALUES (?, ?)", (name, body))

    def purge(self, before: datetime) -> int:
        with self._database.transaction() as connection:
            return sum(connection.execute(purge, [microseconds(before)]).rowcount for purge in _PURGES)

    def close(self) -> None:
        self._database.close()


def _stored(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _save_incident(connection: sqlite3.Connection, incident: Incident) -> bool:
    ends = (_stored(incident.resolved_at), _stored(incident.due_at))
    values = (incident.version, *ends, dump(incident), incident.id)
    if incident.version > 1:
        return connection.execute(_NEXT_INCIDENT, (*values, incident.version - 1)).rowcount == 1
    opened_at = microseconds(incident.opened_at)
    return connection.execute(_FIRST_INCIDENT, (*values, *incident.key, opened_at)).rowcount == 1


def _commit(connection: sqlite3.Connection, change: Change) -> bool:
    snapshot = change.snapshot
    values = (snapshot.version, dump(snapshot), snapshot.target)
    if snapshot.version > 1:
        written = connection.execute(_NEXT_SNAPSHOT, (*values, snapshot.version - 1)).rowcount
    else:
        written = connection.execute(_FIRST_SNAPSHOT, values).rowcount
    if not written:
        return False
    connection.executemany(
        "INSERT INTO transitions (target, at, seq, body) VALUES (?, ?, ?, ?)",
        [(one.target, microseconds(one.at), one.seq, dump(one)) for one in change.transitions],
    )
    seen = change.observation
    connection.execute(
        "REPLACE INTO observations (target, at, body) VALUES (?, ?, ?)",
        (seen.target, microseconds(seen.observed_at), dump(seen)),
    )
    return True
