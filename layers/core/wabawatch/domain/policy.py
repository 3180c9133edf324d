"""The rules a deployment can choose: when a status is confirmed, when people are told, how deliveries are retried."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from wabawatch.domain.health import AVAILABLE, BLOCKED, LIMITED, MESSAGING, UNKNOWN, URGENT_CAUSES

_SKEW: Final = timedelta(minutes=1)
"""How far the clocks of two machines may differ before one of them counts as wrong."""
LONGEST_RETRY_AFTER: Final = timedelta(days=1)
"""A vendor that asks for more is asked again after this."""


Delay = TypeVar("Delay", float, timedelta)


def exponential_delay(attempts: int, first: Delay, limit: Delay) -> Delay:
    """Return the wait after this many failed attempts (1 or more): it doubles from `first` up to `limit`."""
    return min(first * (1 << min(attempts - 1, 20)), limit)


class Thresholds(msgspec.Struct, frozen=True):
    """How many observations in a row confirm a new status."""

    blocked: int = 1
    limited: int = 1
    available: int = 2
    unknown: int = 3

    def of(self, status: str) -> int:
        """A word nobody knows is confirmed like LIMITED; an entity that is gone like one that is AVAILABLE again."""
        named = {AVAILABLE: self.available, BLOCKED: self.blocked, LIMITED: self.limited, UNKNOWN: self.unknown}
        return named.get(status, self.available if status == "GONE" else self.limited)

    def of_failure(self, cause: str) -> int:
        return 1 if cause in URGENT_CAUSES else self.unknown

    @property
    def longest(self) -> int:
        return max(self.blocked, self.limited, self.available, self.unknown)


class Retry(msgspec.Struct, frozen=True):
    """Deliveries: the wait doubles from `first` to `most`; after `give_up_after` the destination is marked dead."""

    first: timedelta = timedelta(seconds=10)
    most: timedelta = timedelta(minutes=10)
    give_up_after: timedelta = timedelta(hours=24)

    def wait(self, attempts: int, retry_after: float | None = None) -> timedelta:
        """The wait after this many failed attempts (1 or more), or `retry_after` seconds, up to a day, if longer."""
        asked = timedelta(seconds=max(0.0, min(retry_after or 0.0, LONGEST_RETRY_AFTER.total_seconds())))
        return max(exponential_delay(attempts, self.first, self.most), asked)

    @property
    def longest(self) -> timedelta:
        return max(self.most, LONGEST_RETRY_AFTER)

    def farthest(self, now: datetime) -> datetime:
        """The latest instant that a wait which was set by now can end at."""
        return now + self.longest + _SKEW


class Flapping(msgspec.Struct, frozen=True):
    """An incident key that changed `high` times or more within `window` flaps, until only `low` or fewer."""

    high: int = 5
    low: int = 1
    window: timedelta = timedelta(hours=1)


class MassFailure(msgspec.Struct, frozen=True):
    """When more than `share` of a run's targets, and at least `at_least` of them, cannot be read, the rest freezes."""

    share: float = 0.5
    at_least: int = 3


class Policy(msgspec.Struct, frozen=True):
    """Everything that decides who is told what, and when; see the configuration's reference in README.md."""

    capabilities: tuple[str, ...] = (MESSAGING,)
    thresholds: Thresholds = Thresholds()
    group_wait: timedelta = timedelta(seconds=10)
    group_interval: timedelta = timedelta(minutes=5)
    reasons_interval: timedelta = timedelta(hours=1)
    reminders: dict[str, tuple[timedelta, ...]] = msgspec.field(
        default_factory=lambda: {
            "blocked": (timedelta(hours=1), timedelta(hours=4), timedelta(hours=24)),
            "limited": (timedelta(days=7),),
            "unknown": (timedelta(hours=4), timedelta(hours=24)),
        }
    )
    retry: Retry = Retry()
    flapping: Flapping = Flapping()
    mass_failure: MassFailure = MassFailure()
    digest_over: int = 5
    """A destination that would get more messages than this at once gets one digest of them."""
