"""What is written into an incident's ledger after a delivery to one destination."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from wabawatch.domain.health import identities
from wabawatch.domain.incidents import Incident, Told

_MINOR: Final = frozenset({"reasons_changed", "spread", "receded"})
"""News that does not begin the reminders anew."""


def record_sent(incident: Incident, told: Told, kind: str, now: datetime, thread: dict[str, str]) -> Told:
    """The ledger's line after a delivery that went through."""
    return Told(
        status=incident.told_status,
        revision=incident.revision,
        reasons=tuple(sorted(identities(incident.reasons))),
        affected=incident.affected,
        at=now,
        first_at=told.first_at or now,
        flapping=incident.flapping_since is not None and (kind == "flapping" or told.flapping),
        worst=incident.worst,
        reminders=told.reminders + 1 if kind == "reminder" else (told.reminders if kind in _MINOR else 0),
        count=told.count + 1,
        thread=thread or told.thread,
    )
