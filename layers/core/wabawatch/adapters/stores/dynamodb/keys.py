"""Make the keys of items, and keep the periods that partition keys contain. docs/storage.md describes all keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

import msgspec

from wabawatch.adapters.stores.dynamodb.table import Key, Table, Value, item, number
from wabawatch.domain import incident
from wabawatch.domain.sharding import BUCKETS, bucket_of

SPREAD: Final = 8
"""Partitions over which a storm's rows of one kind are spread: enough for 8,000 write units a second, and few enough to
query all of them in each round."""
LOG_SPREAD: Final = 64
"""Partitions over which the log of a month is spread. A reading that fails is two rows, its own and the next one's.
With 1 % of failed readings at one-minute polls 100,000 numbers write 30 GB a month: 0.5 GB into each partition."""

PERIOD: Final = "PERIOD"
_MONTH: Final = timedelta(days=31)
BEFORE_ALL: Final = "!"
AFTER_ALL: Final = "~"
"""Sort before and after digits and letters."""


def snapshot_partition(bucket: int) -> str:
    return f"SNAP#{bucket:02}"


def snapshot_key(target: str) -> Key:
    return snapshot_partition(bucket_of(target)), target


def _spread(target: str, spread: int = SPREAD) -> int:
    """Use the part of the hash that the bucket does not: a shard has few buckets, and writes to all of these."""
    return crc32(target.encode()) // BUCKETS % spread


def log_partition(place: int, month: str) -> str:
    return f"LOG#{place:02}#{month}"


def log_partition_of(target: str, month: str) -> str:
    return log_partition(_spread(target, LOG_SPREAD), month)


def log_key(target: str, at: datetime) -> Key:
    return log_partition_of(target, month_of(at)), f"{target}#{iso(at)}"


def pending_partition(place: int) -> str:
    return f"PENDING#{place}"


def pending_key(target: str, at: datetime) -> Key:
    return pending_partition(_spread(target)), f"{iso(at)}#{target}"


def live_partition(place: int) -> str:
    return f"LIVE#{place}"


def live_key(incident_id: str) -> Key:
    return live_partition(crc32(incident_id.encode()) % SPREAD), incident_id


def done_partition(place: int, month: str) -> str:
    return f"DONE#{place}#{month}"


def done_key(incident_id: str, month: str) -> Key:
    return done_partition(crc32(incident_id.encode()) % SPREAD, month), incident_id


def latest_key(key: incident.Key) -> Key:
    """Use a digest: IDs come from outside, may be long and may contain separators."""
    digest = hashlib.blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()
    return f"LATEST#{digest[0]}", digest


def member_partition(incident_id: str, place: int) -> str:
    return f"MEMBER#{incident_id}#{place}"


def member_key(incident_id: str, target: str) -> Key:
    return member_partition(incident_id, _spread(target)), target


def shard_name(shard: int, of: int) -> str:
    return f"{of}#{shard}"


def month_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m")


def iso(at: datetime) -> str:
    """Format a time so that texts sort as times do: UTC, always with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expiry(at: datetime) -> Value:
    """Return the value of `expires_at`: DynamoDB deletes the item some time after it, free of charge."""
    return number(int(at.timestamp()))


class Periods:
    """The months (for day coverage: the years) for which there are rows of a kind, so that no clock has to guess them.

    Each is a row, which each process writes before its first row of that period."""

    def __init__(self, table: Table, history: timedelta) -> None:
        self._table = table
        self._history = history
        self._noted: set[str] = set()

    def note(self, kind: str, periods: Iterable[str]) -> None:
        """Record that rows of these periods will be written."""
        for period in {*periods}:
            if (name := f"{kind}#{period}") not in self._noted:
                self._table.put(item((PERIOD, name), expires_at=expiry(self._end(period)) if "-" in period else None))
                self._noted.add(name)

    def newest_first(self, kind: str, since: str | None = None, until: str | None = None) -> list[str]:
        """Return the recorded periods, `since` and `until` included."""
        low, high = f"{kind}#{since or BEFORE_ALL}", f"{kind}#{until or AFTER_ALL}"
        return [
            found["sk"]["S"].removeprefix(f"{kind}#")
            for found in self._table.query(PERIOD, since=low, until=high, newest_first=True)
        ]

    def _end(self, month: str) -> datetime:
        """Return a time after the expiry of the month's last row."""
        return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) + 2 * _MONTH + self._history
