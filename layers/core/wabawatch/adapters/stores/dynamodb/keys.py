"""The keys of the items. docs/storage.md has the whole picture."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final
from zlib import crc32

import msgspec

from wabawatch.adapters.stores.dynamodb.table import Key, Value, number
from wabawatch.domain import incident
from wabawatch.domain.sharding import BUCKETS, bucket_of

SPREAD: Final = 8
"""Partitions over which a storm's rows of one kind are spread: enough for 8,000 write units a second, and few enough to
query all of them in each round."""
LOG_SPREAD: Final = 64
"""Partitions over which the log of a month is spread. A reading that fails is two rows, its own and the next one's.
With 1 % of failed readings at one-minute polls 100,000 numbers write 30 GB a month: 0.5 GB into each partition."""

BEFORE_ALL: Final = "!"
AFTER_ALL: Final = "~"
"""Sort before and behind digits and letters."""


def snapshot_partition(bucket: int) -> str:
    return f"SNAP#{bucket:02}"


def snapshot_key(target: str) -> Key:
    return snapshot_partition(bucket_of(target)), target


def _place(target: str, spread: int = SPREAD) -> int:
    """Of the hash what the target's bucket does not use: a shard has few buckets, and writes to all of these."""
    return crc32(target.encode()) // BUCKETS % spread


def log_partition(place: int, month: str) -> str:
    return f"LOG#{place:02}#{month}"


def log_partition_of(target: str, month: str) -> str:
    return log_partition(_place(target, LOG_SPREAD), month)


def log_key(target: str, at: datetime) -> Key:
    return log_partition_of(target, month_of(at)), f"{target}#{iso(at)}"


def pending_partition(place: int) -> str:
    return f"PENDING#{place}"


def pending_key(target: str, at: datetime) -> Key:
    return pending_partition(_place(target)), f"{iso(at)}#{target}"


def live_partition(place: int) -> str:
    return f"LIVE#{place}"


def live_key(incident_id: str) -> Key:
    return live_partition(crc32(incident_id.encode()) % SPREAD), incident_id


def done_partition(place: int, month: str) -> str:
    return f"DONE#{place}#{month}"


def done_key(incident_id: str, month: str) -> Key:
    return done_partition(crc32(incident_id.encode()) % SPREAD, month), incident_id


def latest_key(key: incident.Key) -> Key:
    """Ids come from outside and may be long: a digest has the length of a key, and no trouble with separators."""
    digest = hashlib.blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()
    return f"LATEST#{digest[0]}", digest


def member_partition(incident_id: str, place: int) -> str:
    return f"MEMBER#{incident_id}#{place}"


def member_key(incident_id: str, target: str) -> Key:
    return member_partition(incident_id, _place(target)), target


def shard_name(shard: int, of: int) -> str:
    return f"{of}#{shard}"


def month_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m")


def iso(at: datetime) -> str:
    """Sorts as text as it does in time: UTC, always with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expiry(at: datetime) -> Value:
    """DynamoDB deletes the item some time after this second, free of charge."""
    return number(int(at.timestamp()))
