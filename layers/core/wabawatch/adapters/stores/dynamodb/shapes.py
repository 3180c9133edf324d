"""Keys and attributes of the items: see the package's docstring for the whole picture."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from zlib import crc32

from wabawatch.adapters.stores.dynamodb.table import Item, Key, Value, keyed
from wabawatch.domain.sharding import BUCKETS, bucket_of

LOG_BUCKETS: Final = 8
"""Read by every notify, so fewer than the snapshots' and enough for 8,000 write units a second."""
INCIDENT_BUCKETS: Final = 4

BEFORE_ALL: Final = "0"
AFTER_ALL: Final = "~"
"""Sort before every instant (a key may not be empty), and behind digits, capitals and lower-case letters."""


def snapshot_partition(bucket: int) -> str:
    return f"SNAP#{bucket:02}"


def snapshot_key(target: str) -> Key:
    return snapshot_partition(bucket_of(target)), target


def log_partition(bucket: int) -> str:
    return f"LOG#{bucket}"


def log_partition_of(target: str) -> str:
    """A multiple of the snapshots' buckets: shards do not share one."""
    return log_partition(bucket_of(target) * LOG_BUCKETS // BUCKETS)


def log_key(target: str, at: datetime) -> Key:
    return log_partition_of(target), f"{target}#{iso(at)}"


def incident_partition(bucket: int) -> str:
    return f"INCIDENT#{bucket}"


def incident_key(incident_id: str) -> Key:
    return incident_partition(crc32(incident_id.encode()) % INCIDENT_BUCKETS), incident_id


def iso(at: datetime) -> str:
    """Sorts as text as it does in time: UTC, always with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def text(value: str) -> Value:
    return {"S": value}


def number(value: int) -> Value:
    return {"N": str(value)}


def blob(value: bytes) -> Value:
    return {"B": value}


def item(key: Key, **attributes: Value | None) -> Item:
    """An item without the attributes that are None."""
    return {**keyed(key), **{name: value for name, value in attributes.items() if value is not None}}


def expiry(at: datetime) -> Value:
    """DynamoDB deletes the item some time after this second, free of charge."""
    return number(int(at.timestamp()))


def body_of(found: Mapping[str, Value], attribute: str = "body") -> bytes:
    return bytes(found[attribute]["B"])
