"""Store the state in one SQLite file, for one machine. Any number of processes may use the file concurrently."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from wabawatch.adapters.process import is_dead
from wabawatch.adapters.stores.codec import dump, instant, microseconds
from wabawatch.adapters.stores.sqlite_database import Database
from wabawatch.adapters.stores.sqlite_rows import (
    ACKNOWLEDGEMENT,
    COVERAGE,
    DAY,
    INCIDENT,
    MEMBER,
    OBSERVATION,
    PENDING,
    QUEUED,
    RUN,
    SILENCE,
    SNAPSHOT,
    TRANSITIONS,
    Kind,
    Rows,
    attempt,
    keep_aside,
    write_changes,
    write_folds,
    write_incidents,
)
from wabawatch.application.ports import Change, FoldBatch, Outcome, PendingChange, SetAside
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Observation
from wabawatch.domain.incident import Incident, Key, Member
from wabawatch.domain.notification import QueuedNotification
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Silence
from wabawatch.domain.snapshot import Snapshot, Transition

T = TypeVar("T")

_AT_ONCE: Final = 1000
"""Rows in one transaction or page: in between, other processes and threads can use the file."""
_FOLD_LIMIT: Final = 5000
_LISTED_ASIDE: Final = 100

_LATEST: Final = "FROM latest_incidents WHERE entity_type = ? AND entity_id = ? AND capability = ?"
_IS_OPEN: Final = "(resolved_at IS NULL OR due_at IS NOT NULL)"
_IS_DONE_BEFORE: Final = "resolved_at IS NOT NULL AND due_at IS NULL AND resolved_at < ?"
_PURGES: Final = (
    "DELETE FROM log WHERE at < ?",
    "DELETE FROM runs WHERE started_at < ?",
    f"DELETE FROM members WHERE incident IN (SELECT id FROM incidents WHERE {_IS_DONE_BEFORE})",  # noqa: S608 - as above
    f"DELETE FROM incidents WHERE {_IS_DONE_BEFORE}",  # noqa: S608 - as above
    "DELETE FROM silences WHERE ends_at < ?",
    "DELETE FROM acknowledgements WHERE at < ? AND incident NOT IN (SELECT id FROM incidents)",
    "DELETE FROM set_aside WHERE at < ?",
)


class SqliteStore:
    """The Store port over one SQLite file, which is created with its folders if it does not exist.

    Raises StoreError, which names the path and says what to do, when the file is locked for longer than `wait`, is
    damaged, belongs to another user, or cannot be written; SchemaError when a later version of Wabawatch made it.
    """

    fold_limit = _FOLD_LIMIT

    def __init__(self, path: str | Path, *, wait: timedelta = timedelta(seconds=10)) -> None:
        self._database = Database(Path(path), wait)
        self._rows = Rows(self._database)

    # --- poll
    def snapshots(self, targets: Sequence[str]) -> dict[str, Snapshot]:
        rows = self._database.rows_of_each(SNAPSHOT.select + "WHERE target = ?", [(target,) for target in targets])
        return {snapshot.target: snapshot for snapshot in self._rows.read_snapshots(rows)}

    def every_snapshot(self) -> Iterator[Snapshot]:
        after = ""
        query = SNAPSHOT.select + "WHERE target > ? ORDER BY target LIMIT ?"
        while rows := self._database.rows(query, (after, _AT_ONCE)):
            after = rows[-1][1]
            yield from self._rows.read_snapshots(rows)

    def commit(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._write_each(write_changes, changes)

    def save_run(self, run: Run) -> None:
        self._database.execute(
            "REPLACE INTO runs (id, shard, started_at, body) VALUES (?, ?, ?, ?)",
            (run.id, run.shard, microseconds(run.started_at), dump(run)),
        )

    def runs(self, limit: int) -> list[Run]:
        return self._rows.read(RUN, "ORDER BY started_at DESC, id DESC, shard DESC LIMIT ?", (limit,))

    def save_coverage(self, coverage: ShardCoverage) -> None:
        self._database.execute(
            "REPLACE INTO shard_coverage (shards, shard, body) VALUES (?, ?, ?)",
            (coverage.of, coverage.shard, dump(coverage)),
        )

    def coverages(self) -> list[ShardCoverage]:
        return self._rows.read(COVERAGE, "ORDER BY shards, shard")

    def remove_coverage(self, shard: int, of: int) -> None:
        self._database.execute("DELETE FROM shard_coverage WHERE shards = ? AND shard = ?", (of, shard))

    def save_day(self, day: DayCoverage) -> None:
        self._database.execute(
            "REPLACE INTO day_coverage (day, shards, shard, body) VALUES (?, ?, ?, ?)",
            (day.day.isoformat(), day.of, day.shard, dump(day)),
        )

    def days(self, since: date, until: date) -> list[DayCoverage]:
        between = (since.isoformat(), until.isoformat())
        return self._rows.read(DAY, "WHERE day >= ? AND day < ? ORDER BY day, shards, shard", between)

    # --- notify
    def pending(self, limit: int) -> list[PendingChange]:
        found = self._rows.read_pairs(PENDING, "ORDER BY at, target LIMIT ?", (limit,))
        return [
            PendingChange(target, instant(at), tuple(each for each in transitions if each.seq > folded))
            for transitions, (_, target, at, folded) in found
        ]

    def fold(self, batch: FoldBatch) -> Outcome:
        with self._database.transaction() as connection:
            return attempt(connection, write_folds, [batch])

    def set_aside_change(self, change: PendingChange, error: str) -> None:
        key = (change.target, microseconds(change.at))
        with self._database.transaction() as connection:
            for body, *_ in connection.execute(PENDING.select + "WHERE target = ? AND at = ?", key).fetchall():
                connection.execute("DELETE FROM pending_changes WHERE target = ? AND at = ?", key)
                keep_aside(connection, PENDING.name, PENDING.name_row(key), error, body)

    def set_aside(self, since: datetime) -> list[SetAside]:
        rows = self._database.rows(
            "SELECT kind, name, at, error FROM set_aside WHERE at >= ? ORDER BY at DESC, rowid DESC LIMIT ?",
            (microseconds(since), _LISTED_ASIDE),
        )
        return [SetAside(kind, name, instant(at), error) for kind, name, at, error in rows]

    def latest_incidents(self, keys: Sequence[Key]) -> dict[Key, Incident]:
        found = self._rows.read_each(INCIDENT, f"WHERE id = (SELECT incident {_LATEST})", keys)
        return {incident.key: incident for incident, _ in found}

    def generations(self, keys: Sequence[Key]) -> dict[Key, int]:
        rows = self._database.rows_of_each(f"SELECT generation, entity_type, entity_id, capability {_LATEST}", keys)
        return {Key(*key): generation for generation, *key in rows}

    def open_incidents(self, after: str = "", limit: int | None = None) -> list[Incident]:
        return self._rows.read(INCIDENT, f"WHERE {_IS_OPEN} AND id > ? ORDER BY id LIMIT ?", (after, _limit(limit)))

    def due_incidents(self, now: datetime, limit: int | None = None) -> list[Incident]:
        return self._rows.read(
            INCIDENT, "WHERE due_at <= ? ORDER BY due_at, id LIMIT ?", (microseconds(now), _limit(limit))
        )

    def incident(self, incident_id: str) -> Incident | None:
        return self.incidents_by_id([incident_id]).get(incident_id)

    def incidents_by_id(self, ids: Sequence[str]) -> dict[str, Incident]:
        found = self._rows.read_each(INCIDENT, "WHERE id = ?", [(incident_id,) for incident_id in ids])
        return {incident.id: incident for incident, _ in found}

    def incidents(self, limit: int) -> list[Incident]:
        return self._rows.read(INCIDENT, "ORDER BY opened_at DESC, id DESC LIMIT ?", (limit,))

    def save_incidents(self, incidents: Sequence[Incident]) -> list[Outcome]:
        return self._write_each(write_incidents, incidents)

    def members(self, incident_id: str) -> Iterator[tuple[str, Member]]:
        after = ""
        clauses = "WHERE incident = ? AND target > ? ORDER BY target LIMIT ?"
        while found := self._rows.read_pairs(MEMBER, clauses, (incident_id, after, _AT_ONCE)):
            page = [(target, member) for member, (_, _, target) in found]
            after = page[-1][0]
            yield from page

    def members_of(self, rows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Member]:
        found = self._rows.read_each(MEMBER, "WHERE incident = ? AND target = ?", rows)
        return {(incident_id, target): member for member, (_, incident_id, target) in found}

    def queue(self, notifications: Sequence[QueuedNotification]) -> None:
        rows = [(notification.id, notification.destination, dump(notification)) for notification in notifications]
        with self._database.transaction() as connection:
            connection.executemany("REPLACE INTO queued_notifications (id, destination, body) VALUES (?, ?, ?)", rows)

    def queued(self) -> list[QueuedNotification]:
        return self._rows.read(QUEUED, "ORDER BY destination, id")

    def unqueue(self, ids: Sequence[str]) -> None:
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM queued_notifications WHERE id = ?", [(each,) for each in ids])

    def acquire_lease(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Take the lease as the port says; the lease of an ended process of this machine counts as free."""
        if self._take_lease(name, owner, now, ttl):
            return True
        holders = self._database.rows("SELECT owner FROM leases WHERE name = ?", (name,))
        if not holders or not is_dead(holders[0][0]):
            return False
        self.release_lease(name, holders[0][0])
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

    # --- people
    def save_silence(self, silence: Silence) -> None:
        self._database.execute(
            "REPLACE INTO silences (id, ends_at, body) VALUES (?, ?, ?)",
            (silence.id, microseconds(silence.ends_at), dump(silence)),
        )

    def silences(self) -> list[Silence]:
        return self._rows.read(SILENCE, "ORDER BY id")

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        self._database.execute(
            "REPLACE INTO acknowledgements (incident, at, body) VALUES (?, ?, ?)",
            (acknowledgement.incident, microseconds(acknowledgement.at), dump(acknowledgement)),
        )

    def acknowledgements(self) -> dict[str, Acknowledgement]:
        found = self._rows.read(ACKNOWLEDGEMENT, "ORDER BY incident")
        return {acknowledgement.incident: acknowledgement for acknowledgement in found}

    # --- history
    def history(
        self, target: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Transition]:
        found = self._read_log(TRANSITIONS, "moved > 0", target, since, until, limit)
        latest_first = [transition for transitions in found for transition in reversed(transitions)]
        return latest_first[:limit]

    def observations(
        self, target: str, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Observation]:
        return self._read_log(OBSERVATION, "observation IS NOT NULL", target, since, until, limit)

    def _read_log(
        self,
        kind: Kind[T],
        condition: str,
        target: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> list[T]:
        given = {
            "target = ?": target,
            "at >= ?": since and microseconds(since),
            "at < ?": until and microseconds(until),
        }
        values = {words: value for words, value in given.items() if value is not None}
        where = " AND ".join([condition, *values])
        return self._rows.read(kind, f"WHERE {where} ORDER BY at DESC, target DESC LIMIT ?", [*values.values(), limit])

    # --- small documents
    def document(self, name: str) -> bytes | None:
        rows = self._database.rows("SELECT body FROM documents WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def save_document(self, name: str, body: bytes) -> None:
        self._database.execute("REPLACE INTO documents (name, body) VALUES (?, ?)", (name, body))

    def purge(self, before: datetime) -> int:
        with self._database.transaction() as connection:
            return sum(connection.execute(purge, (microseconds(before),)).rowcount for purge in _PURGES)

    def close(self) -> None:
        self._database.close()

    def _write_each(
        self, write: Callable[[sqlite3.Connection, Sequence[T]], bool], values: Sequence[T]
    ) -> list[Outcome]:
        """Write many values in one transaction; if that fails, each value in its own."""
        outcomes: list[Outcome] = []
        for start in range(0, len(values), _AT_ONCE):
            group = values[start : start + _AT_ONCE]
            with self._database.transaction() as connection:
                if attempt(connection, write, group) is Outcome.WRITTEN:
                    outcomes += [Outcome.WRITTEN] * len(group)
                else:
                    outcomes += [attempt(connection, write, [value]) for value in group]
        return outcomes


def _limit(limit: int | None) -> int:
    """Return -1 for None: SQLite reads a negative limit as no limit."""
    return -1 if limit is None else limit
