"""Define the notification that one destination is sent, and the log of what each destination was sent.

A notification is plain data that every notifier renders."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from wabawatch.domain.health import Reason, TargetInfo, identify_reasons
from wabawatch.domain.incident import Incident, NotificationState
from wabawatch.domain.snapshot import Key

KINDS: Final = (
    "opened", "escalated", "eased", "reasons_changed", "spread", "receded", "reminder", "resolved", "brief", "flapping",
    "flapping_ended", "digest", "test",
)  # fmt: skip
"""Why a notification is sent. `brief`: a problem that came and went before this destination could be notified.
`spread` and `receded`: more, or fewer, targets are affected, while the status stays."""


class Advice(msgspec.Struct, frozen=True, omit_defaults=True):
    """From the runbook: who can fix it, what to do, and a link to a guide."""

    who: str = ""
    action: str = ""
    link: str = ""


class ReasonShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reason with our advice beside the API's own possible solution."""

    reason: Reason
    advice: Advice = Advice()


class IncidentSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a notification says of one incident.

    `old` is the status that this destination was last sent (None: nothing yet), `new` the status now. `affected` names
    at most twenty of the `affected_total` targets; `affected_before` is the number this destination was last sent;
    `recovered_total` counts those that left. `share` is affected_total over the whole fleet, 0 to 1."""

    incident_id: str
    entity_type: str
    entity_id: str
    capability: str
    severity: str
    old: str | None
    new: str
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None = None
    resolution: str = ""
    preexisting: bool = False
    reasons: tuple[ReasonShown, ...] = ()
    reasons_gone: tuple[Reason, ...] = ()
    affected: tuple[TargetInfo, ...] = ()
    affected_total: int = 0
    affected_before: int | None = None
    recovered_total: int = 0
    share: float = 0.0
    history: tuple[tuple[datetime, str], ...] = ()
    acknowledged_by: str = ""

    @property
    def key(self) -> Key:
        return Key(self.entity_type, self.entity_id, self.capability)

    @property
    def is_over(self) -> bool:
        return self.resolved_at is not None

    def duration(self, now: datetime) -> timedelta:
        return (self.resolved_at or now) - self.opened_at


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message to one destination. `subjects` holds one incident, or several in a digest (`total` counts them all,
    those left out of the message too). `sequence` counts what this destination was sent about the incident, from 1."""

    id: str
    kind: str
    destination: str
    deployment: str
    at: datetime
    subjects: tuple[IncidentSummary, ...]
    sequence: int = 1
    total: int = 1
    headline: str = ""
    is_test: bool = False

    @property
    def subject(self) -> IncidentSummary:
        return self.subjects[0]


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
