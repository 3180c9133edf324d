"""What the live view knows, and how the lines of a terminal are shared out among its parts."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.cli.target_view import Picture

_FEWEST_ALERTS: Final = 3
_MOST_INCIDENTS: Final = 5
_FEWEST_TARGETS: Final = 3
MESSAGE_NEEDS: Final = 8
"""Lines below which a message is not worth showing."""


class OpenIncident(msgspec.Struct, frozen=True):
    """An incident's line; `todo` says who can fix it, and how; `entity` tells those apart that hit as many numbers."""

    id: str
    status: str
    severity: str
    opened_at: datetime
    title: str
    notified: tuple[str, ...]
    todo: str
    entity: str = ""


class Alert(msgspec.Struct, frozen=True):
    """A delivery's line; `failed` says why it was not taken."""

    at: datetime
    destination: str
    mark: str
    headline: str
    failed: str


class Scene(msgspec.Struct):
    """All that the view knows. One thread changes it field by field, another one draws it.

    `warning` says that the monitor cannot read most of the fleet."""

    interval: timedelta
    alerts: deque[Alert]
    deployment: str = "wabawatch"
    base_url: str = ""
    pictures: tuple[Picture, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    message: str = ""
    expected: int = 0
    read: int = 0
    passes: int = 0
    took: timedelta | None = None
    unread: str = ""
    passing_since: datetime | None = None
    next_at: datetime | None = None
    trouble: str = ""
    warning: str = ""
    stale: str = ""
    note: str = ""
    ended: bool = False


class Rooms(msgspec.Struct, frozen=True):
    """How many lines each part gets."""

    targets: int
    incidents: int
    alerts: int
    message: int


def share_out(lines: int, targets: int, incidents: int, alerts: int, message: int) -> Rooms:
    """Give each part its least, then the rest to the targets, the incidents, the alerts, and the latest message."""
    few_alerts = min(alerts, _FEWEST_ALERTS)
    few_incidents = min(incidents, _MOST_INCIDENTS)
    shown = max(min(targets, lines - few_alerts - few_incidents), min(targets, _FEWEST_TARGETS))
    rest = max(lines - shown - few_alerts - few_incidents, 0)
    more = min(rest, max(incidents - few_incidents, 0))
    rest -= more
    text = message + 2 if message and rest >= MESSAGE_NEEDS else 0
    text = min(text, rest)
    return Rooms(shown, few_incidents + more, few_alerts + min(rest - text, max(alerts - few_alerts, 0)), text)
