"""The JSON payload of a notification: one object for machines, the same for webhooks and SNS.

It is public interface. Fields are only ever added within a version; a reader ignores what it does not know. Every field
is always there; what does not apply is null, an empty string, or an empty list. Instants are ISO 8601 in UTC.

- `version`: 1.
- `notification_id`: the same when a delivery is repeated: keep it, and drop what you have seen.
- `kind`: why now: `opened`, `escalated`, `eased`, `reasons_changed`, `spread`, `receded`, `reminder`, `resolved`,
  `brief` (it came and went), `flapping`, `flapping_ended`, `digest` (several incidents), `test`.
- `test`: nothing has happened; a test.
- `sequence`: counts what this destination was sent about the incident, from 1. Deliveries may overtake each other.
- `deployment`, `destination`: the sender, and the recipient as configured.
- `at`: when the notification was made. `headline`: one line for people.
- `incident_id`: of the only incident; null in a digest.
- `total`: how many incidents it is about; `incidents` may hold fewer. `cut`: something was shortened or left out.
- `incidents`: each with
  - `incident_id`, `title`, `severity` (`critical`, `error`, `warning`, `info`),
  - `entity`: `{"type", "id"}`; `capability`: `can_send_message` and others of the API's words, `health_status` for a
    number that cannot be read,
  - `old` (null: nothing was known before), `new`: statuses,
  - `opened_at`, `changed_at`, `resolved_at` (null: open), `duration_seconds`, `found` (it was there when the monitor
    first looked), `resolution` (`recovered`, `gone`, `unwatched`, or empty while open),
  - `reasons`: each `{"code", "description", "possible_solution", "detail", "advice": {"who", "action", "link"}}`, with
    a null code for an additional info or a cause; `reasons_total`; `reasons_gone`: those that no longer hold,
  - `affected`: `{"total", "before", "recovered_total", "share", "named": [{"id", "name", "labels", "status"}]}`,
  - `history`: `[{"at", "status"}]`, `acknowledged_by`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeVar

import msgspec

from wabawatch.domain.health import TargetInfo
from wabawatch.domain.notification import IncidentSummary, Notification, ReasonShown
from wabawatch.messages.notification import TextLimits, fit_notification
from wabawatch.messages.text import replace_unencodable, truncate
from wabawatch.messages.titles import incident_title, is_test, notification_title

VERSION: Final = 1
_T = TypeVar("_T")


class EntityPayload(msgspec.Struct, frozen=True):
    type: str
    id: str


class AdvicePayload(msgspec.Struct, frozen=True):
    who: str
    action: str
    link: str


class ReasonPayload(msgspec.Struct, frozen=True):
    code: int | None
    description: str
    possible_solution: str
    detail: str
    advice: AdvicePayload


class TargetPayload(msgspec.Struct, frozen=True):
    id: str
    name: str
    labels: dict[str, str]
    status: str


class AffectedPayload(msgspec.Struct, frozen=True):
    total: int
    before: int | None
    recovered_total: int
    share: float
    named: list[TargetPayload]


class ChangePayload(msgspec.Struct, frozen=True):
    at: datetime
    status: str


class IncidentPayload(msgspec.Struct, frozen=True, kw_only=True):
    incident_id: str
    title: str
    severity: str
    entity: EntityPayload
    capability: str
    old: str | None
    new: str
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    duration_seconds: int
    preexisting: bool
    resolution: str
    reasons: list[ReasonPayload]
    reasons_total: int
    reasons_gone: list[ReasonPayload]
    affected: AffectedPayload
    history: list[ChangePayload]
    acknowledged_by: str


class NotificationPayload(msgspec.Struct, frozen=True, kw_only=True):
    """The whole object; the module's docstring says what each field means."""

    version: int
    notification_id: str
    kind: str
    test: bool
    sequence: int
    deployment: str
    destination: str
    at: datetime
    headline: str
    incident_id: str | None
    total: int
    cut: bool
    incidents: list[IncidentPayload]


class _Limits(msgspec.Struct, frozen=True):
    text: int
    short: int
    reasons: int
    named: int
    incidents: int


_STEPS: Final = (
    _Limits(4_000, 500, 50, 20, 50),
    _Limits(1_000, 200, 20, 20, 50),
    _Limits(300, 100, 10, 10, 20),
    _Limits(120, 60, 3, 3, 10),
    _Limits(40, 40, 1, 1, 1),
)


def encode_payload(notification: Notification, limit: int) -> bytes:
    """Encode the payload in at most `limit` bytes (no fewer than 4,000): as much as fits, truncated in steps."""
    for limits in _STEPS:
        if _minimum_size(notification, limits) > limit:
            continue
        body = msgspec.json.encode(_PayloadBuilder(limits).build(notification))
        if len(body) <= limit:
            return body
    raise ValueError(f"the JSON payload of a notification needs more than {limit} bytes")


def _minimum_size(notification: Notification, limits: _Limits) -> int:
    """Return a size in bytes that the payload would surely exceed, found without encoding it."""
    shown = notification.subjects[: limits.incidents]
    reasons = (each.reason for incident in shown for each in incident.reasons[: limits.reasons])
    texts = (text for reason in reasons for text in (reason.description, reason.possible_solution, reason.detail))
    return sum(min(len(text), limits.text) for text in texts)


class _PayloadBuilder:
    """Builds one payload within given limits, and remembers whether anything was truncated or left out."""

    def __init__(self, limits: _Limits) -> None:
        self._limits = limits
        self._is_cut = False

    def build(self, notification: Notification) -> NotificationPayload:
        limits = TextLimits(
            short=self._limits.short, long=self._limits.text, names=1, reasons=0, sections=self._limits.incidents
        )
        fitted = fit_notification(notification, limits).notification
        titles = [incident_title(incident, past=notification.kind == "brief") for incident in fitted.subjects]
        shown = notification.subjects[: self._limits.incidents]
        incidents = [
            self._build_incident(incident, title, notification.at)
            for incident, title in zip(shown, titles, strict=False)
        ]
        total = max(notification.total, len(notification.subjects))
        single = notification.kind != "digest" and len(incidents) == 1
        payload = NotificationPayload(
            version=VERSION,
            notification_id=self._short(notification.id),
            kind=notification.kind,
            test=is_test(notification),
            sequence=notification.sequence,
            deployment=self._short(notification.deployment),
            destination=self._short(notification.destination),
            at=notification.at.astimezone(UTC),
            headline=notification_title(fitted),
            incident_id=incidents[0].incident_id if single else None,
            total=total,
            cut=False,
            incidents=incidents,
        )
        return msgspec.structs.replace(payload, cut=self._is_cut or total > len(shown))

    def _build_incident(self, incident: IncidentSummary, title: str, now: datetime) -> IncidentPayload:
        return IncidentPayload(
            incident_id=self._short(incident.incident_id),
            title=title,
            severity=incident.severity,
            entity=EntityPayload(self._short(incident.entity_type), self._short(incident.entity_id)),
            capability=self._short(incident.capability),
            old=None if incident.old is None else self._short(incident.old),
            new=self._short(incident.new),
            opened_at=incident.opened_at.astimezone(UTC),
            changed_at=incident.changed_at.astimezone(UTC),
            resolved_at=None if incident.resolved_at is None else incident.resolved_at.astimezone(UTC),
            duration_seconds=max(0, int(incident.duration(now).total_seconds())),
            preexisting=incident.preexisting,
            resolution=incident.resolution,
            reasons=[self._build_reason(shown) for shown in self._first(incident.reasons, self._limits.reasons)],
            reasons_total=len(incident.reasons),
            reasons_gone=[
                self._build_reason(ReasonShown(reason))
                for reason in self._first(incident.reasons_gone, self._limits.reasons)
            ],
            affected=AffectedPayload(
                incident.affected_total,
                incident.affected_before,
                incident.recovered_total,
                round(incident.share, 4),
                [self._build_target(target) for target in incident.affected[: self._limits.named]],
            ),
            history=[ChangePayload(at.astimezone(UTC), self._short(status)) for at, status in incident.history[-10:]],
            acknowledged_by=self._short(incident.acknowledged_by),
        )

    def _build_reason(self, shown: ReasonShown) -> ReasonPayload:
        reason, advice = shown.reason, shown.advice
        return ReasonPayload(
            reason.code,
            self._long(reason.description),
            self._long(reason.possible_solution),
            self._long(reason.detail),
            AdvicePayload(self._long(advice.who), self._long(advice.action), self._long(advice.link)),
        )

    def _build_target(self, target: TargetInfo) -> TargetPayload:
        labels = islice(target.labels.items(), self._limits.named)
        shown = {self._short(key): self._short(value) for key, value in labels}
        return TargetPayload(self._short(target.id), self._short(target.name), shown, self._short(target.status))

    def _first(self, items: tuple[_T, ...], limit: int) -> tuple[_T, ...]:
        self._is_cut = self._is_cut or len(items) > limit
        return items[:limit]

    def _short(self, text: str) -> str:
        return self._fit(text, self._limits.short)

    def _long(self, text: str) -> str:
        return self._fit(text, self._limits.text)

    def _fit(self, text: str, limit: int) -> str:
        """JSON escapes everything else itself; a machine gets the text as the API wrote it."""
        self._is_cut = self._is_cut or len(text) > limit
        return truncate(replace_unencodable(text[: limit + 1]), limit)
