"""What is written into an incident's ledger after a delivery to one destination."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from wabawatch.domain.health import identify_reasons
from wabawatch.domain.incident import Incident, NotificationState

_MINOR: Final = frozenset({"reasons_changed", "spread", "receded"})
"""News that does not begin the reminders anew."""


def record_sent(
    incident: Incident, notified: NotificationState, kind: str, now: datetime, thread: dict[str, str]
) -> NotificationState:
    """The ledger's line after a delivery that went through."""
    return NotificationState(
        status=incident.notified_status,
        revision=incident.revision,
        reasons=tuple(sorted(identify_reasons(incident.reasons))),
        affected=incident.affected,
        at=now,
        first_at=notified.first_at or now,
        flapping=incident.flapping_since is not None and (kind == "flapping" or notified.flapping),
        worst=incident.worst,
        reminders=notified.reminders + 1 if kind == "reminder" else (notified.reminders if kind in _MINOR else 0),
        count=notified.count + 1,
        thread=thread or notified.thread,
    )
