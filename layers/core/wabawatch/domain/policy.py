"""Define the configurable policy: when a status is confirmed, when it is notified, how deliveries are retried.

Weekly times are in a time zone; they may span midnight and changes of daylight saving time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from wabawatch.domain.health import AVAILABLE, BLOCKED, GONE, LIMITED, MESSAGING, UNKNOWN, URGENT_CAUSES

_SKEW: Final = timedelta(minutes=1)
"""How far the clocks of two machines may differ."""
LONGEST_RETRY_AFTER: Final = timedelta(days=1)
"""The largest `Retry-After` of a vendor that is respected."""


Delay = TypeVar("Delay", float, timedelta)


def exponential_delay(attempts: int, first: Delay, limit: Delay) -> Delay:
    """Return the wait after this many failed attempts (1 or more): it doubles from `first` up to `limit`."""
    return min(first * (1 << min(attempts - 1, 20)), limit)


class Thresholds(msgspec.Struct, frozen=True):
    """How many consecutive observations confirm a new status."""

    blocked: int = 1
    limited: int = 1
    available: int = 2
    unknown: int = 3

    def of(self, status: str) -> int:
        """Return the threshold of a status: GONE has that of AVAILABLE, an unknown word that of LIMITED."""
        by_status = {
            AVAILABLE: self.available,
            GONE: self.available,
            BLOCKED: self.blocked,
            LIMITED: self.limited,
            UNKNOWN: self.unknown,
        }
        return by_status.get(status, self.limited)

    def of_failure(self, cause: str) -> int:
        """Return the threshold of a failed probe with this cause."""
        return 1 if cause in URGENT_CAUSES else self.unknown

    @property
    def longest(self) -> int:
        return max(self.blocked, self.limited, self.available, self.unknown)


class Retry(msgspec.Struct, frozen=True):
    """Retries of a delivery: the wait doubles from `first` to `most`. A destination that fails for `give_up_after` is
    reported as dead."""

    first: timedelta = timedelta(seconds=10)
    most: timedelta = timedelta(minutes=10)
    give_up_after: timedelta = timedelta(hours=24)

    def wait(self, attempts: int, retry_after: float | None = None) -> timedelta:
        """Return the wait after this many failed attempts (at least 1).

        `retry_after` is the vendor's, in seconds. The longer wait counts, up to a day."""
        requested = timedelta(seconds=max(0.0, min(retry_after or 0.0, LONGEST_RETRY_AFTER.total_seconds())))
        return max(exponential_delay(attempts, self.first, self.most), requested)

    @property
    def longest(self) -> timedelta:
        return max(self.most, LONGEST_RETRY_AFTER)

    def farthest(self, now: datetime) -> datetime:
        """Return the latest end of a wait that began until now."""
        return now + self.longest + _SKEW


class Flapping(msgspec.Struct, frozen=True):
    """An incident is flapping from `high` changes of status within `window` until there are no more than `low`."""

    high: int = 5
    low: int = 1
    window: timedelta = timedelta(hours=1)


class MassFailure(msgspec.Struct, frozen=True):
    """A run is a mass failure if more than `share` of its targets, and at least `at_least`, cannot be read.

    The states of those targets are then left as they were."""

    share: float = 0.5
    at_least: int = 3


class Policy(msgspec.Struct, frozen=True):
    """What opens an incident, and when it is notified; README.md has the reference of the configuration."""

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
    """More notifications than this for one destination at once are sent as one digest."""


WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Weekly(msgspec.Struct, frozen=True):
    """Days of the week with a local start and end time; an end that is not after the start is on the next day.

    A local time that does not exist (clocks go forward) counts as if the clocks had not been changed. Of a local time
    that exists twice (clocks go back) the first starts a span and the second ends one."""

    days: tuple[str, ...]
    start: time
    end: time
    timezone: str

    def holds_until(self, at: datetime) -> datetime | None:
        """Return the end of the span that contains an instant (both UTC), or None."""
        ends = [end for start, end in self._spans_around(at) if start <= at < end]
        return max(ends) if ends else None

    def next_start(self, after: datetime) -> datetime:
        """Return the first start of a span after an instant; a week later if there are no days."""
        starts = [start for start, _ in self._spans_around(after) if start > after]
        return min(starts, default=after + timedelta(days=7))

    def _spans_around(self, at: datetime) -> list[tuple[datetime, datetime]]:
        today = at.astimezone(ZoneInfo(self.timezone)).date()
        days = (today + timedelta(days=offset) for offset in range(-1, 9))
        return [self._span(day) for day in days if WEEKDAYS[day.weekday()] in self.days]

    def _span(self, day: date) -> tuple[datetime, datetime]:
        zone = ZoneInfo(self.timezone)
        last_day = day if self.end > self.start else day + timedelta(days=1)
        start = datetime.combine(day, self.start, zone).astimezone(UTC)
        ends = (datetime.combine(last_day, self.end, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        return start, max(ends)
