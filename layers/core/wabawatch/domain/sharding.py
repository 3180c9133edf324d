"""How a fleet is cut: targets into a small, fixed number of buckets, buckets into shards.

A shard is made of whole buckets, so that a store that keeps a bucket together reads a shard's snapshots with a few
queries and nothing of anybody else's."""

from __future__ import annotations

from typing import Final
from zlib import crc32

BUCKETS: Final = 32


def bucket_of(target: str) -> int:
    """0 to 31; the same on every machine and in every version: stored rows are found by it."""
    return crc32(target.encode()) % BUCKETS


def shards_for(targets: int, most: int) -> int:
    """How many shards a fleet needs so that each holds about `most` targets; no more than there are buckets."""
    return min(BUCKETS, max(1, -(-targets // most)))


def shard_of(target: str, of: int) -> int:
    """The shard, 0 to of - 1, that a target belongs to."""
    return bucket_of(target) * of // BUCKETS
