"""Define weekly times in a time zone. They may span midnight and changes of daylight saving time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

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
