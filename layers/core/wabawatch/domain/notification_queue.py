"""Notifications that are decided and stored, and not yet recorded as sent."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import Notification


class Stage(StrEnum):
    """How far a queued notification has come."""

    SENDING = "sending"
    """Stored, and perhaps sent: whoever finds it so sends it again under its id."""
    FAILED = "failed"
    """The destination did not take it. What is to be said is decided anew when `retry_at` has come."""
    SENT = "sent"
    """The destination took it. What remains is to record that with the incidents in `lines`."""


class QueuedLine(msgspec.Struct, frozen=True, array_like=True):
    """One incident of a queued notification, and what its ledger will say of the destination once it is sent."""

    incident_id: str
    notified: NotificationState


class QueuedNotification(msgspec.Struct, frozen=True, omit_defaults=True):
    """One notification to one destination. It is stored before it is sent, and removed once it is recorded.

    `position` grows with each notification that is queued: what is sent again is sent in that order.
    `attempts` counts the deliveries that failed, the first of them at `failing_since`; `error` is the last one's.
    `refused` tells that the destination is well and does not take this message. `thread` is what the notifier wanted
    back, or handed back when it was sent."""

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
