"""Assign targets to shards, and define a run: one pass over the fleet, or over a shard of it.

A shard is made of whole buckets, and each target belongs to one of a fixed number of buckets. So a store that
partitions by bucket reads the snapshots of a shard with a few queries and no others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zlib import crc32

import msgspec

BUCKETS: Final = 32
SHARD_SIZE: Final = 2000
"""The approximate number of targets that one invocation reads."""
_SHARD_ENTITY: Final = "~shard-"
"""The prefix of a shard's own snapshot, which has the monitor's problems. No target's id begins like this."""


def bucket_of(target: str) -> int:
    """Return the bucket of a target, 0 to 31. It must never change: the keys of stored rows contain it."""
    return crc32(target.encode()) % BUCKETS


def shards_for(targets: int, shard_size: int) -> int:
    """Return how many shards a fleet needs so that each has about `shard_size` targets; at most one per bucket."""
    return min(BUCKETS, max(1, -(-targets // shard_size)))


def shard_of(target: str, of: int) -> int:
    """Return the shard of a target, 0 to of - 1."""
    return bucket_of(target) * of // BUCKETS


def shard_entity_id(shard: int, of: int) -> str:
    """Return the name of a shard's own snapshot, in place of a target's id: `~shard-3-8`."""
    return f"{_SHARD_ENTITY}{shard}-{of}"


def parse_shard_entity_id(name: str) -> tuple[int, int] | None:
    """Return the shard and the number of shards of such a name; None for a target's id."""
    shard, _, of = name.removeprefix(_SHARD_ENTITY).partition("-")
    if not name.startswith(_SHARD_ENTITY) or not (shard.isdecimal() and of.isdecimal()):
        return None
    return int(shard), int(of)


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a run.

    `expected` = `answered` + `unknown` + `skipped`. `causes` counts, by cause, the unknown targets and those skipped
    ones that the monitor could not probe (health.NOT_ASKED). `codes` counts the answered targets by reason code.
    `refused` counts the targets whose state the store refused, whatever they answered. `interval` is the time between
    two runs (None: recorded by an older version).

    `resume_at` is the id of the first skipped target: the next run over this shard begins there. `mass_failure`: too
    many targets could not be read, so their states were left as they were."""

    id: str
    shard: int
    of: int
    started_at: datetime
    finished_at: datetime | None = None
    expected: int = 0
    answered: int = 0
    unknown: int = 0
    skipped: int = 0
    transitions: int = 0
    writes: int = 0
    conflicts: int = 0
    mass_failure: bool = False
    resume_at: str | None = None
    causes: dict[str, int] = {}
    statuses: dict[str, int] = {}
    codes: dict[int, int] = {}
    refused: int = 0
    interval: timedelta | None = None
