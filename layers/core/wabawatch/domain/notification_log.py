"""Record what each destination was sent, and queue the notifications that are not recorded yet."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from wabawatch.domain.health import identify_reasons
from wabawatch.domain.incident import Incident, NotificationState
from wabawatch.domain.notification import Notification

_MINOR_KINDS: Final = frozenset({"reasons_changed", "spread", "receded"})
"""Notifications after which the reminders go on as before."""


class Stage(StrEnum):
    """The stage of a queued notification."""

    SENDING = "sending"
    """Stored, and perhaps sent. After a crash it is sent again with the same id."""
    FAILED = "failed"
    """The destination did not accept it. At `retry_at` the notification is decided again."""
    SENT = "sent"
    """The destination accepted it. It must still be recorded in the incidents of `lines`."""


class QueuedLine(msgspec.Struct, frozen=True, array_like=True):
    """One incident of a queued notification, and its log entry for the destination once this is sent."""

    incident_id: str
    notified: NotificationState


class QueuedNotification(msgspec.Struct, frozen=True, omit_defaults=True):
    """One notification to one destination. It is stored before it is sent, and removed once it is recorded.

    `position` grows with each queued notification and gives the order of sending again. `attempts` counts the failed
    deliveries since `failing_since`; `error` is the last error. `refused`: the destination works, but does not accept
    this message. `thread` is what the notifier needs for the next notification."""

    id: str
    destination: str
    stage: Stage
    notification: Notification
    lines: tuple[QueuedLine, ...]
    thread: dict[str, str] = {}
    attempts: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    error: str = ""
    refused: bool = False
    sent_at: datetime | None = None
    position: int = 0


def record_sent(
    incident: Incident, notified: NotificationState, kind: str, now: datetime, thread: dict[str, str]
) -> NotificationState:
    """Return the log entry of a destination after a successful delivery."""
    return NotificationState(
        status=incident.notified_status,
        revision=incident.revision,
        reasons=tuple(sorted(identify_reasons(incident.reasons))),
        affected=incident.affected,
        at=now,
        first_at=notified.first_at or now,
        flapping=incident.flapping_since is not None and (kind == "flapping" or notified.flapping),
        worst=incident.worst,
        reminders=notified.reminders + 1 if kind == "reminder" else (notified.reminders if kind in _MINOR_KINDS else 0),
        count=notified.count + 1,
        thread=thread or notified.thread,
    )
