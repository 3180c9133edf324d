"""How a fleet is cut: targets into a small, fixed number of buckets, buckets into shards.

A shard is made of whole buckets, so that a store that keeps a bucket together reads a shard's snapshots with a few
queries and nothing of anybody else's."""

from __future__ import annotations

from typing import Final
from zlib import crc32

BUCKETS: Final = 32
SHARD_SIZE: Final = 2000
"""About how many targets one invocation reads."""
_SHARD_ENTITY: Final = "~shard-"
"""What each shard says of the monitor itself has a snapshot of its own; no target's id begins like this."""


def bucket_of(target: str) -> int:
    """0 to 31; the same on every machine and in every version: stored rows are found by it."""
    return crc32(target.encode()) % BUCKETS


def shards_for(targets: int, most: int) -> int:
    """How many shards a fleet needs so that each holds about `most` targets; no more than there are buckets."""
    return min(BUCKETS, max(1, -(-targets // most)))


def shard_of(target: str, of: int) -> int:
    """The shard, 0 to of - 1, that a target belongs to."""
    return bucket_of(target) * of // BUCKETS


def shard_entity_id(shard: int, of: int) -> str:
    """Return the name under which a shard tells of the monitor itself, in place of a target's id: `~shard-3-8`."""
    return f"{_SHARD_ENTITY}{shard}-{of}"


def parse_shard_entity_id(name: str) -> tuple[int, int] | None:
    """Return the shard and the number of shards that a name stands for; None for a target's id."""
    shard, _, of = name.removeprefix(_SHARD_ENTITY).partition("-")
    if not name.startswith(_SHARD_ENTITY) or not (shard.isdecimal() and of.isdecimal()):
        return None
    return int(shard), int(of)
