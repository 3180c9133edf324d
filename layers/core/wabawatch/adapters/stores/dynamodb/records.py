"""Store what is small: runs and coverage, silences and acknowledgements, queued notifications, documents, leases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

from wabawatch.adapters.stores.codec import dump, microseconds
from wabawatch.adapters.stores.dynamodb.bodies import (
    ACKNOWLEDGEMENT,
    COVERAGE,
    DAY,
    DOCUMENT,
    QUEUED,
    RUN,
    SILENCE,
    Aside,
    delete_body,
    save_body,
)
from wabawatch.adapters.stores.dynamodb.keys import Periods, expiry, iso, month_of, shard_name
from wabawatch.adapters.stores.dynamodb.table import (
    Condition,
    ConditionFailed,
    Table,
    blob,
    item,
    keyed,
    name_of,
    number,
    text,
)
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.incident import Incident
from wabawatch.domain.notification import QueuedNotification
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Silence

_RUN: Final = "RUN"
_COVERAGE: Final = "COVERAGE"
_DAY: Final = "DAY"
_RUNS_KEPT: Final = timedelta(days=90)
"""Runs are many; the coverage of days is kept longer."""


class Runs:
    """Runs, and their coverage by shard and by day."""

    def __init__(self, table: Table, aside: Aside, periods: Periods, history: timedelta) -> None:
        self._table = table
        self._aside = aside
        self._periods = periods
        self._kept = min(history, _RUNS_KEPT)

    def save(self, run: Run) -> None:
        month = month_of(run.started_at)
        self._periods.note(_RUN, [month])
        key = (f"{_RUN}#{month}", f"{iso(run.started_at)}#{run.id}#{run.shard:03}")
        self._table.put(item(key, body=blob(dump(run)), expires_at=expiry(run.started_at + self._kept)))

    def latest(self, limit: int) -> list[Run]:
        rows = (
            found
            for month in self._periods.newest_first(_RUN)
            for found in self._table.query(f"{_RUN}#{month}", newest_first=True, page=limit)
        )
        return list(islice(self._aside.decode_all(RUN, rows, name_of), limit))

    def save_coverage(self, coverage: ShardCoverage) -> None:
        save_body(self._table, (_COVERAGE, shard_name(coverage.shard, coverage.of)), dump(coverage))

    def coverages(self) -> list[ShardCoverage]:
        found = self._aside.decode_all(COVERAGE, self._table.query(_COVERAGE), name_of)
        return sorted(found, key=lambda coverage: (coverage.of, coverage.shard))

    def remove_coverage(self, shard: int, of: int) -> None:
        delete_body(self._table, (_COVERAGE, shard_name(shard, of)))

    def save_day(self, day: DayCoverage) -> None:
        year = f"{day.day.year:04}"
        self._periods.note(_DAY, [year])
        name = f"{day.day.isoformat()}#{shard_name(day.shard, day.of)}"
        save_body(self._table, (f"{_DAY}#{year}", name), dump(day))

    def days(self, since: date, until: date) -> list[DayCoverage]:
        """Return the coverage of the days from `since` up to, but not including, `until`: every name is longer than its
        date, so that the end of the range is excluded."""
        years = self._periods.newest_first(_DAY, f"{since.year:04}", f"{until.year:04}")
        rows = (
            found
            for year in years
            for found in self._table.query(f"{_DAY}#{year}", since=since.isoformat(), until=until.isoformat())
        )
        return sorted(self._aside.decode_all(DAY, rows, name_of), key=lambda day: (day.day, day.of, day.shard))


_SILENCE: Final = "SILENCE"
_ACKNOWLEDGEMENT: Final = "ACK"
_SILENCES_KEPT: Final = timedelta(days=30)
"""Ended silences are read every minute while they are kept, so they are not kept for the whole history."""


class OperatorActions:
    """Silences and acknowledgements."""

    def __init__(self, table: Table, aside: Aside, history: timedelta) -> None:
        self._table = table
        self._aside = aside
        self._kept = min(history, _SILENCES_KEPT)

    def save_silence(self, silence: Silence) -> None:
        ended = expiry(silence.ends_at + self._kept)
        self._table.put(item((_SILENCE, silence.id), body=blob(dump(silence)), expires_at=ended))

    def silences(self) -> list[Silence]:
        return list(self._aside.decode_all(SILENCE, self._table.query(_SILENCE), name_of))

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        """Save without an expiry, which is set when the incident ends."""
        self._table.put(item((_ACKNOWLEDGEMENT, acknowledgement.incident), body=blob(dump(acknowledgement))))

    def acknowledgements(self) -> dict[str, Acknowledgement]:
        found = self._aside.decode_all(ACKNOWLEDGEMENT, self._table.query(_ACKNOWLEDGEMENT), name_of)
        return {acknowledgement.incident: acknowledgement for acknowledgement in found}

    def let_expire(self, incidents: Iterable[Incident]) -> None:
        """Set the expiry of acknowledgements of finished incidents. After a crash before this, one stays for ever,
        which costs a fraction of a read unit."""
        done = {incident.id: incident for incident in incidents if incident.is_done}
        if not done:
            return
        rows = [found["sk"]["S"] for found in self._table.query(_ACKNOWLEDGEMENT) if "expires_at" not in found]
        self._table.each(self._let_expire, [done[name] for name in rows if name in done])

    def _let_expire(self, incident: Incident) -> None:
        at = (incident.resolved_at or incident.changed_at) + self._kept
        try:
            self._table.call(
                "update_item",
                TableName=self._table.name,
                Key=keyed((_ACKNOWLEDGEMENT, incident.id)),
                UpdateExpression="SET expires_at = :at",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":at": expiry(at)},
            )
        except ConditionFailed:
            return


_QUEUE: Final = "QUEUE"
_LEASE: Final = "LEASE"
_DOCUMENT: Final = "DOCUMENT"


class NotificationQueue:
    """Notifications that are decided and not yet recorded as sent."""

    def __init__(self, table: Table, aside: Aside) -> None:
        self._table = table
        self._aside = aside

    def put(self, notifications: Sequence[QueuedNotification]) -> None:
        self._table.each(lambda queued: save_body(self._table, (_QUEUE, queued.id), dump(queued)), notifications)

    def every(self) -> list[QueuedNotification]:
        found = self._aside.decode_all(QUEUED, self._table.query(_QUEUE), name_of)
        return sorted(found, key=lambda queued: (queued.destination, queued.id))

    def remove(self, ids: Sequence[str]) -> None:
        self._table.each(lambda name: delete_body(self._table, (_QUEUE, name)), ids)


class Documents:
    """Small documents of the application."""

    def __init__(self, table: Table, aside: Aside) -> None:
        self._table = table
        self._aside = aside

    def find(self, name: str) -> bytes | None:
        head = self._table.get((_DOCUMENT, name))
        return None if head is None else self._aside.decode(DOCUMENT, head, name)

    def save(self, name: str, body: bytes) -> None:
        save_body(self._table, (_DOCUMENT, name), dump(body))


class Leases:
    """Which process may run a task now."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Take the lease; an owner may take it again, so that a call whose answer was lost can be retried."""
        lease = item((_LEASE, name), owner=text(owner), ends_at=number(microseconds(now + ttl)))
        free = Condition(
            "attribute_not_exists(pk) OR ends_at <= :now OR ends_at > :farthest OR #owner = :owner",
            {
                ":now": number(microseconds(now)),
                ":farthest": number(microseconds(now + 2 * ttl)),
                ":owner": text(owner),
            },
            {"#owner": "owner"},
        )
        return self._table.put_if(lease, free) is not None

    def release(self, name: str, owner: str) -> None:
        mine = Condition("#owner = :owner", {":owner": text(owner)}, {"#owner": "owner"})
        try:
            self._table.call("delete_item", TableName=self._table.name, Key=keyed((_LEASE, name)), **mine.request())
        except ConditionFailed:
            return
