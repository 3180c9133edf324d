"""Build notifications: of an incident and what was last sent of it, of several as a digest, or a sample as a test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, BLOCKED, MESSAGING, Reason, identify_reasons
from wabawatch.domain.incident import SEVERITIES, Incident, NotificationState
from wabawatch.domain.notification import Advice, IncidentSummary, Notification, ReasonShown
from wabawatch.domain.target import TargetInfo

NAMED: Final = 20
"""How many affected targets a notification names at most."""
_CHANGES: Final = 10
_SAMPLE_REASON: Final = Reason(
    141006,
    "An example: a payment failed.",
    "An example of what the API suggests: add a valid payment method.",
)

Advise = Callable[[Reason], Advice]


class RenderContext(msgspec.Struct, frozen=True):
    """What building needs besides the incident: the fleet (by target id), the runbook, the deployment's name."""

    fleet: Mapping[str, TargetInfo]
    advise: Advise
    deployment: str = ""


class PendingNotification(msgspec.Struct, frozen=True):
    """What one destination should be sent of one incident. `targets` are some of those that it affects, or affected
    once it is over: as many as a notification names."""

    incident: Incident
    targets: tuple[str, ...]
    notified: NotificationState
    kind: str
    severity: str
    acknowledged_by: str = ""


def build_notification(
    destination: str, pending: Sequence[PendingNotification], now: datetime, context: RenderContext, limit: int = 50
) -> Notification:
    """Build the notification of one incident, or a digest of several: the worst first, at most `limit` of them."""
    kind = pending[0].kind if len(pending) == 1 else "digest"
    ranked = sorted(pending, key=lambda each: (SEVERITIES.index(each.severity), -each.incident.affected))
    return Notification(
        notification_id(destination, kind, pending),
        kind,
        destination,
        context.deployment,
        now,
        tuple(summarize_incident(each, context) for each in ranked[:limit]),
        sequence=pending[0].notified.count + 1 if len(pending) == 1 else 1,
        total=len(pending),
    )


def build_sample(
    destination: str, deployment: str, now: datetime, notification_id: str, advise: Advise
) -> Notification:
    """Build a test for one destination, marked as such, that looks like a real notification."""
    incident = IncidentSummary(
        "test",
        "WABA",
        "000000000000000",
        MESSAGING,
        "warning",
        AVAILABLE,
        BLOCKED,
        opened_at=now - timedelta(minutes=5),
        changed_at=now,
        reasons=(ReasonShown(_SAMPLE_REASON, advise(_SAMPLE_REASON)),),
        affected=(TargetInfo("example", "Example number"),),
        affected_total=1,
    )
    headline = f"{destination} can be reached"
    return Notification(
        notification_id, "test", destination, deployment, now, (incident,), headline=headline, is_test=True
    )


def notification_id(destination: str, kind: str, pending: Sequence[PendingNotification]) -> str:
    """Derive a stable ID: the same for the same content, independent of the process, retries and the order."""
    parts = sorted(f"{each.incident.id}.{each.incident.revision}.{each.notified.count}" for each in pending)
    return hashlib.sha256("\x1f".join((destination, kind, *parts)).encode()).hexdigest()[:16]


def summarize_incident(pending: PendingNotification, context: RenderContext) -> IncidentSummary:
    """Summarise an incident for one destination: the change from what it was last sent to what is true now."""
    incident, notified = pending.incident, pending.notified
    total = 0 if incident.about_monitor else incident.affected if incident.is_open else incident.total_affected
    return IncidentSummary(
        incident.id,
        *incident.key,
        severity=pending.severity,
        old=notified.status if notified.status is not None else (None if incident.preexisting else "AVAILABLE"),
        new=incident.notified_status if pending.kind != "brief" else incident.worst,
        opened_at=incident.opened_at,
        changed_at=incident.changed_at,
        resolved_at=incident.resolved_at,
        resolution=incident.resolution or "",
        preexisting=incident.preexisting,
        reasons=tuple(ReasonShown(reason, context.advise(reason)) for reason in incident.reasons),
        reasons_gone=_gone_reasons(notified, incident),
        affected=tuple(_target_info(target, incident, context.fleet) for target in pending.targets[:NAMED]),
        affected_total=total,
        affected_before=notified.affected if notified.status is not None else None,
        recovered_total=incident.recovered if incident.is_open else 0,
        share=total / len(context.fleet) if context.fleet else 0.0,
        history=_status_changes(incident),
        acknowledged_by=pending.acknowledged_by,
    )


def _status_changes(incident: Incident) -> tuple[tuple[datetime, str], ...]:
    """Return the latest changes of the incident's status; other changes keep it."""
    befores = ("", *(change.status for change in incident.changes))
    changes = [
        (change.at, change.status)
        for before, change in zip(befores, incident.changes, strict=False)
        if change.status != before
    ]
    return tuple(changes[-_CHANGES:])


def _target_info(target: str, incident: Incident, fleet: Mapping[str, TargetInfo]) -> TargetInfo:
    known = fleet.get(target) or TargetInfo(target, target)
    member = incident.named.get(target)
    return TargetInfo(known.id, known.name, known.labels, member.status if member else "")


def _gone_reasons(notified: NotificationState, incident: Incident) -> tuple[Reason, ...]:
    """Return the reasons that were sent and no longer hold. Only their codes are known: their texts are not kept."""
    gone = sorted(set(notified.reasons) - identify_reasons(incident.reasons)) if incident.is_open else []
    return tuple(
        Reason(int(identity)) if identity.isdigit() else Reason(description=identity.lstrip(":")) for identity in gone
    )
