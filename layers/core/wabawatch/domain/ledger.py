"""What is written into an incident's ledger after a delivery to one destination."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from wabawatch.domain.health import identities
from wabawatch.domain.incidents import Incident, Told
from wabawatch.domain.policy import Policy

_MINOR: Final = frozenset({"reasons_changed", "spread", "receded"})
"""News that does not begin the reminders anew."""


def record_sent(incident: Incident, told: Told, kind: str, now: datetime, thread: dict[str, str]) -> Told:
    """The ledger's line after a delivery that went through."""
    return Told(
        status=incident.told_status,
        revision=incident.revision,
        reasons=tuple(sorted(identities(incident.reasons))),
        affected=len(incident.members),
        at=now,
        first_at=told.first_at or now,
        flapping=incident.flapping_since is not None and (kind == "flapping" or told.flapping),
        worst=incident.worst,
        reminders=told.reminders + 1 if kind == "reminder" else (told.reminders if kind in _MINOR else 0),
        count=told.count + 1,
        thread=thread or told.thread,
    )


def record_failed(told: Told, error: str, now: datetime, policy: Policy, retry_after: float | None) -> Told:
    """The ledger's line after a delivery that failed: nothing was told, and the next attempt waits."""
    wait = policy.retry.wait(told.attempts + 1, retry_after)
    return msgspec.structs.replace(
        told,
        attempts=told.attempts + 1,
        failing_since=told.failing_since or now,
        retry_at=now + wait,
        error=error,
    )


def withdrawn(told: Told) -> Told:
    """The ledger's line once what could not be delivered needs no telling any more."""
    return msgspec.structs.replace(told, attempts=0, failing_since=None, retry_at=None, error="")
