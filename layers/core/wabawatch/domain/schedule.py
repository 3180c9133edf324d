"""Weekly times in a time zone, right across midnight and daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Weekly(msgspec.Struct, frozen=True):
    """Some days of the week, from a local time to another; one that is not later ends on the next day.

    A time that does not exist (clocks go forward) is as many hours after midnight as on any other day; one that comes
    twice (clocks go back) begins a span at the first and ends one at the second."""

    days: tuple[str, ...]
    start: time
    end: time
    timezone: str

    def holds_until(self, at: datetime) -> datetime | None:
        """When the span ends that holds at an instant (both UTC); None where none holds."""
        ends = [end for start, end in self._around(at) if start <= at < end]
        return max(ends) if ends else None

    def next_start(self, after: datetime) -> datetime:
        """The first beginning of a span after an instant; with no days at all, a week later."""
        starts = [start for start, _ in self._around(after) if start > after]
        return min(starts, default=after + timedelta(days=7))

    def _around(self, at: datetime) -> list[tuple[datetime, datetime]]:
        today = at.astimezone(ZoneInfo(self.timezone)).date()
        days = (today + timedelta(days=offset) for offset in range(-1, 9))
        return [self._span(day) for day in days if WEEKDAYS[day.weekday()] in self.days]

    def _span(self, day: date) -> tuple[datetime, datetime]:
        zone = ZoneInfo(self.timezone)
        last = day if self.end > self.start else day + timedelta(days=1)
        start = datetime.combine(day, self.start, zone).astimezone(UTC)
        ends = (datetime.combine(last, self.end, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        return start, max(ends)
