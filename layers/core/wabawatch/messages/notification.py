"""From an incident and the ledger to what is said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.domain.health import Reason, identify_reasons
from wabawatch.domain.incident import SEVERITIES, Incident, NotificationState
from wabawatch.domain.notification import Advice, Notification, ReasonShown, Subject, TargetInfo

NAMED: Final = 20
"""Targets that a message names at most."""
_POINTS: Final = 10

Advise = Callable[[Reason], Advice]


class RenderContext(msgspec.Struct, frozen=True):
    """What composing needs besides the incident: the fleet (by target id), its size, the catalogue, the deployment."""

    fleet: Mapping[str, TargetInfo]
    advise: Advise
    deployment: str = ""


class News(msgspec.Struct, frozen=True):
    """One incident's news for one destination, not yet composed. `targets` are some of those that it affects, or
    affected once it is over: as many as a message names."""

    incident: Incident
    targets: tuple[str, ...]
    notified: NotificationState
    kind: str
    severity: str
    acknowledged_by: str = ""


def subject(news: News, audience: RenderContext) -> Subject:
    """What is told about one incident: from what the destination knew to what is so now."""
    incident, notified = news.incident, news.notified
    total = 0 if incident.about_monitor else incident.affected if incident.is_open else incident.total_affected
    known = set(notified.reasons)
    return Subject(
        incident.id,
        *incident.key,
        severity=news.severity,
        old=notified.status if notified.status is not None else (None if incident.preexisting else "AVAILABLE"),
        new=incident.notified_status if news.kind != "brief" else incident.worst,
        opened_at=incident.opened_at,
        changed_at=incident.changed_at,
        resolved_at=incident.resolved_at,
        resolution=incident.resolution or "",
        preexisting=incident.preexisting,
        reasons=tuple(ReasonShown(reason, audience.advise(reason)) for reason in incident.reasons),
        reasons_gone=_gone(known, incident),
        affected=tuple(_named(target, incident, audience.fleet) for target in news.targets[:NAMED]),
        affected_total=total,
        affected_before=notified.affected if notified.status is not None else None,
        recovered_total=incident.recovered if incident.is_open else 0,
        share=total / len(audience.fleet) if audience.fleet else 0.0,
        history=_turns(incident),
        acknowledged_by=news.acknowledged_by,
    )


def _turns(incident: Incident) -> tuple[tuple[datetime, str], ...]:
    """The latest points of the story at which the status changed."""
    befores = ("", *(change.status for change in incident.changes))
    points = [
        (change.at, change.status)
        for before, change in zip(befores, incident.changes, strict=False)
        if change.status != before
    ]
    return tuple(points[-_POINTS:])


def _named(target: str, incident: Incident, fleet: Mapping[str, TargetInfo]) -> TargetInfo:
    known = fleet.get(target) or TargetInfo(target, target)
    member = incident.named.get(target)
    return TargetInfo(known.id, known.name, known.labels, member.status if member else "")


def _gone(known: set[str], incident: Incident) -> tuple[Reason, ...]:
    """Reasons that were told and no longer hold, by their codes: their words are not kept."""
    lost = sorted(known - identify_reasons(incident.reasons)) if incident.is_open else []
    return tuple(Reason(int(one)) if one.isdigit() else Reason(description=one.lstrip(":")) for one in lost)


def notification_id(destination: str, kind: str, news: Sequence[News]) -> str:
    """The same for the same news, however often it is attempted, by whatever process, in whatever order."""
    parts = sorted(f"{one.incident.id}.{one.incident.revision}.{one.notified.count}" for one in news)
    return hashlib.sha256("\x1f".join((destination, kind, *parts)).encode()).hexdigest()[:16]


def compose(
    destination: str, news: Sequence[News], now: datetime, audience: RenderContext, most: int = 50
) -> Notification:
    """One notification for one incident's news, or a digest of several (the worst first, `most` of them in full)."""
    kind = news[0].kind if len(news) == 1 else "digest"
    ranked = sorted(news, key=lambda one: (SEVERITIES.index(one.severity), -one.incident.affected))
    return Notification(
        notification_id(destination, kind, news),
        kind,
        destination,
        audience.deployment,
        now,
        tuple(subject(one, audience) for one in ranked[:most]),
        sequence=news[0].notified.count + 1 if len(news) == 1 else 1,
        total=len(news),
    )
