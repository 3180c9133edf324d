"""The months for which there are rows of a kind; for the coverage of days, the years. So no clock has to guess them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from wabawatch.adapters.stores.dynamodb.keys import AFTER_ALL, BEFORE_ALL, expiry
from wabawatch.adapters.stores.dynamodb.table import Table, item

PERIOD: Final = "PERIOD"
_MONTH: Final = timedelta(days=31)


class Periods:
    """One row for each kind and period, written before the first row of that period by each process."""

    def __init__(self, table: Table, history: timedelta) -> None:
        self._table = table
        self._history = history
        self._noted: set[str] = set()

    def note(self, kind: str, periods: Iterable[str]) -> None:
        """Record that rows of these periods are about to be written."""
        for period in {*periods}:
            if (name := f"{kind}#{period}") not in self._noted:
                self._table.put(item((PERIOD, name), expires_at=expiry(self._end(period)) if "-" in period else None))
                self._noted.add(name)

    def newest_first(self, kind: str, since: str | None = None, until: str | None = None) -> list[str]:
        """Those that there are, `since` and `until` included."""
        low, high = f"{kind}#{since or BEFORE_ALL}", f"{kind}#{until or AFTER_ALL}"
        return [
            found["sk"]["S"].removeprefix(f"{kind}#")
            for found in self._table.query(PERIOD, since=low, until=high, newest_first=True)
        ]

    def _end(self, month: str) -> datetime:
        """After the last row of the month has expired."""
        return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC) + 2 * _MONTH + self._history
