"""The number of targets that an incident affects: when a change of it is news."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from wabawatch.domain.incident import Change
from wabawatch.domain.policy import Flapping

_SHARE: Final = 4
"""A change by one in so many, or more, is much."""


def extent_is_news(before: int, now: int, changes: Sequence[Change]) -> bool:
    """Decide whether a number that differs from the one that was told is worth a message of its own.

    It is when it changed by a quarter or more, or needs more digits than before. The latter only for the first time in
    the incident's story: one of a hundred that leaves and comes back does not reach a new order of size."""
    if _is_much(before, now):
        return True
    digits = len(str(now))
    if digits <= len(str(before)):
        return False
    sizes = [1, *(len(str(change.affected)) for change in changes)]  # it began with none, in however few points
    return sum(earlier < digits <= later for earlier, later in pairwise(sizes)) <= 1


def extent_calm_at(changes: Sequence[Change], now: datetime, flapping: Flapping) -> datetime | None:
    """Return when the number will have stopped going up and down, by the measure for a status that flaps; None: it has.

    Changes from the future do not count: the clock was set back."""
    recent = [at for at in _turns(changes) if now - flapping.window < at <= now]
    return recent[-flapping.high] + flapping.window if len(recent) >= flapping.high else None


def _turns(changes: Sequence[Change]) -> list[datetime]:
    """List the instants at which the number began to grow by much after it had shrunk by much, or the reverse."""
    turned: list[datetime] = []
    extreme, grows = (changes[0].affected if changes else 0), None
    for change in changes:
        if change.affected != extreme and (change.affected > extreme) is grows:
            extreme = change.affected
        elif _is_much(extreme, change.affected):
            extreme, grows = change.affected, change.affected > extreme
            turned.append(change.at)
    return turned


def _is_much(before: int, after: int) -> bool:
    return before != after and abs(after - before) * _SHARE >= before
