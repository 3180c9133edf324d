"""The state of the live view, and how many lines each of its parts gets."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.cli.target_view import TargetView

_MIN_ALERTS: Final = 3
_MAX_FIRST_INCIDENTS: Final = 5
_MIN_TARGETS: Final = 3
MIN_MESSAGE_LINES: Final = 8
"""A message is hidden where there are fewer lines."""


class OpenIncident(msgspec.Struct, frozen=True):
    """A line of the incident list. `action` says who can fix it, and how; `entity` is set for several numbers."""

    id: str
    status: str
    severity: str
    opened_at: datetime
    title: str
    destinations: tuple[str, ...]
    action: str
    entity: str = ""


class Alert(msgspec.Struct, frozen=True):
    """A line of the list of deliveries. `failed` is the error of a failed delivery."""

    at: datetime
    destination: str
    badge: str
    notification_title: str
    failed: str


class LiveState(msgspec.Struct):
    """Everything that the view shows. One thread changes it field by field; another draws it.

    `error` is the latest error that will be retried; `warning` says that results are late or that most targets cannot
    be read; `config_error` says why the last good configuration stays in use; `log_line` is the latest log line."""

    interval: timedelta
    alerts: deque[Alert]
    deployment: str = "wabawatch"
    base_url: str = ""
    targets: tuple[TargetView, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    message: str = ""
    expected: int = 0
    read: int = 0
    passes: int = 0
    took: timedelta | None = None
    unread: str = ""
    pass_started_at: datetime | None = None
    next_at: datetime | None = None
    error: str = ""
    warning: str = ""
    config_error: str = ""
    log_line: str = ""
    ended: bool = False


class LineCounts(msgspec.Struct, frozen=True):
    """The number of lines of each part."""

    targets: int
    incidents: int
    alerts: int
    message: int


def share_lines(lines: int, targets: int, incidents: int, alerts: int, message: int) -> LineCounts:
    """Give each part its minimum, then distribute the rest: targets, incidents, the latest message, alerts."""
    few_alerts = min(alerts, _MIN_ALERTS)
    few_incidents = min(incidents, _MAX_FIRST_INCIDENTS)
    shown = max(min(targets, lines - few_alerts - few_incidents), min(targets, _MIN_TARGETS))
    rest = max(lines - shown - few_alerts - few_incidents, 0)
    more = min(rest, max(incidents - few_incidents, 0))
    rest -= more
    text = message + 2 if message and rest >= MIN_MESSAGE_LINES else 0
    text = min(text, rest)
    return LineCounts(shown, few_incidents + more, few_alerts + min(rest - text, max(alerts - few_alerts, 0)), text)
