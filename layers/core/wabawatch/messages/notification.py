"""Build notifications from incidents, and fit them to what a destination has room for.

Fitting sanitises the texts, and truncates what is too long."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

import msgspec

from wabawatch.domain.health import AVAILABLE, BLOCKED, MESSAGING, Reason, TargetInfo, identify_reasons
from wabawatch.domain.incident import SEVERITIES, Incident, NotificationState
from wabawatch.domain.notification import Advice, IncidentSummary, Notification, ReasonShown
from wabawatch.messages.text import Cost, sanitize, truncate

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


_LONGEST_LINK: Final = 400
_CONSIDERED: Final = 20
"""A text is read up to this multiple of its limit: sanitising rarely removes most of it."""


class TextLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of each thing a message holds.

    `short` is the limit of a name, an id or a word, `long` that of a sentence, both in units of `cost`, which measures
    what a text becomes when it is escaped."""

    short: int = 100
    long: int = 1500
    names: int = 20
    reasons: int = 50
    sections: int = 50
    cost: Cost = len


class Fitted(msgspec.Struct, frozen=True):
    """A notification in which every outside text is harmless and short enough. Incidents that are not shown are only
    counted: they have no texts."""

    notification: Notification
    is_truncated: bool


def fit_notification(notification: Notification, limits: TextLimits) -> Fitted:
    """Sanitise and truncate everything that a message shows, and drop what it does not show.

    A digest is a list to choose from: its incidents keep one reason each, and no details. Its title names the first
    open incident, the worst."""
    fitter = _Fitter(limits)
    in_full = notification.kind != "digest"
    worst = next((number for number, incident in enumerate(notification.subjects) if not incident.is_over), 0)
    subjects = (
        fitter.fit_incident(incident, in_full=in_full)
        if number < limits.sections or number == worst
        else _drop_texts(incident)
        for number, incident in enumerate(notification.subjects)
    )
    fitted = msgspec.structs.replace(
        notification,
        id=fitter.fit_short(notification.id),
        destination=fitter.fit_short(notification.destination),
        deployment=fitter.fit_short(notification.deployment),
        headline=fitter.fit_long(notification.headline),
        subjects=tuple(subjects),
    )
    return Fitted(fitted, fitter.is_truncated)


def fit_incident(incident: IncidentSummary, limits: TextLimits) -> IncidentSummary:
    """Sanitise and truncate all texts of one incident."""
    return _Fitter(limits).fit_incident(incident, in_full=True)


def _drop_texts(incident: IncidentSummary) -> IncidentSummary:
    return IncidentSummary(
        "", "", "", "", incident.severity, None, "", incident.opened_at, incident.changed_at, incident.resolved_at
    )


class _Fitter:
    """Fits texts, and remembers whether one was truncated."""

    def __init__(self, limits: TextLimits) -> None:
        self._limits = limits
        self.is_truncated = False

    def fit_short(self, text: str) -> str:
        return self._fit(text, self._limits.short)

    def fit_long(self, text: str) -> str:
        return self._fit(text, self._limits.long)

    def _fit(self, text: str, limit: int) -> str:
        considered = text[: limit * _CONSIDERED]
        harmless = sanitize(considered)
        kept = truncate(harmless, limit, self._limits.cost)
        self.is_truncated = self.is_truncated or kept is not harmless or considered is not text
        return kept

    def fit_incident(self, incident: IncidentSummary, *, in_full: bool) -> IncidentSummary:
        reasons = incident.reasons[: self._limits.reasons if in_full else min(self._limits.reasons, 1)]
        if incident.is_over and not in_full:
            reasons = ()
        return msgspec.structs.replace(
            incident,
            incident_id=self.fit_short(incident.incident_id),
            entity_type=self.fit_short(incident.entity_type),
            entity_id=self.fit_short(incident.entity_id),
            capability=self.fit_short(incident.capability),
            old=None if incident.old is None else self.fit_short(incident.old),
            new=self.fit_short(incident.new),
            reasons=tuple(self._fit_reason(shown, is_over=incident.is_over) for shown in reasons),
            reasons_gone=tuple(self._fit_gone(reason) for reason in incident.reasons_gone) if in_full else (),
            affected=self._fit_targets(incident.affected, in_full=in_full),
            history=self._fit_history(incident) if in_full else (),
            acknowledged_by=self.fit_short(incident.acknowledged_by) if in_full else "",
        )

    def _fit_reason(self, shown: ReasonShown, *, is_over: bool) -> ReasonShown:
        """The reason of a resolved incident is only named: there is nothing left to do about it."""
        reason, advice = shown.reason, Advice() if is_over else shown.advice
        return ReasonShown(
            msgspec.structs.replace(
                reason,
                description=self.fit_long(reason.description),
                possible_solution="" if is_over else self.fit_long(reason.possible_solution),
                detail=self.fit_long(reason.detail),
            ),
            Advice(self.fit_short(advice.who), self.fit_long(advice.action), self._fit_link(advice.link)),
        )

    def _fit_gone(self, reason: Reason) -> Reason:
        return Reason(reason.code, "" if reason.code is not None else self.fit_short(reason.description))

    def _fit_link(self, url: str) -> str:
        """Encode everything that could end a web address or begin something else. Drop it if it is too long: half an
        address leads nowhere."""
        if not url.startswith(("https://", "http://")) or len(url) > _LONGEST_LINK:
            return ""
        encoded = quote(url, safe=":/?#[]@!$&'()*+,;=%~", errors="replace")
        return encoded if self._limits.cost(encoded) <= _LONGEST_LINK else ""

    def _fit_targets(self, affected: tuple[TargetInfo, ...], *, in_full: bool) -> tuple[TargetInfo, ...]:
        """Keep the targets that are named, and the labels that all affected targets share."""
        shared = set.intersection(*(set(target.labels.items()) for target in affected)) if affected and in_full else ()
        labels = {self.fit_short(key): self.fit_short(value) for key, value in sorted(shared)[: self._limits.names]}
        return tuple(
            TargetInfo(self.fit_short(target.id), self.fit_short(target.name), labels)
            for target in affected[: self._limits.names]
        )

    def _fit_history(self, incident: IncidentSummary) -> tuple[tuple[datetime, str], ...]:
        return tuple((at, self.fit_short(status)) for at, status in incident.history[-self._limits.names :])
