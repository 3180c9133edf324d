"""One pass over the fleet, or over a shard of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a pass did. `expected` = `answered` + `unknown` + `skipped`; `causes` counts the unknown ones by cause, and
    those of the skipped ones that the monitor itself could not ask (health.NOT_ASKED); `codes` counts the answered ones
    by each reason code that they gave.

    `refused` counts those that were read and whose state could not be stored, whatever they answered; `interval` is the
    time between two passes (None: of a version that did not record it).

    `resume_at` is the id of the first target that was skipped: the next pass over this shard begins there.
    `mass_failure` tells that too many could not be read: the state of those that could not was left as it was."""

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
