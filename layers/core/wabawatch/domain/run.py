"""Define a run: one pass over the fleet, or over a shard of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec


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
