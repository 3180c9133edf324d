"""The notification document: one JSON object for machines, the same for webhooks, SNS and EventBridge.

It is public interface. Fields are only ever added within a version; a reader ignores what it does not know. Every field
is always there; what does not apply is null, an empty string, or an empty list. Instants are ISO 8601 in UTC.

- `version`: 1.
- `notification_id`: the same when a delivery is repeated: keep it, and drop what you have seen.
- `kind`: why now: `opened`, `escalated`, `eased`, `reasons_changed`, `spread`, `receded`, `reminder`, `resolved`,
  `brief` (it came and went), `flapping`, `flapping_ended`, `digest` (several incidents), `test`.
- `test`: nothing has happened; a test.
- `sequence`: counts what this destination was told about the incident, from 1. Deliveries may overtake each other.
- `deployment`, `destination`: who speaks, and to whom.
- `at`: when the notification was made. `headline`: one line for people.
- `incident_id`: of the only incident; null in a digest.
- `total`: how many incidents it is about; `incidents` may hold fewer. `cut`: something was shortened or left out.
- `incidents`: each with
  - `incident_id`, `title`, `severity` (`critical`, `error`, `warning`, `info`), `summary`,
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

from wabawatch.domain.notification import Advice, Notification, ReasonShown, Subject, TargetInfo
from wabawatch.domain.pen import Pen, Room
from wabawatch.messages.text import cut, whole
from wabawatch.messages.titles import headline, title

VERSION: Final = 1
_T = TypeVar("_T")


class Entity(msgspec.Struct, frozen=True):
    type: str
    id: str


class ReasonTold(msgspec.Struct, frozen=True):
    code: int | None
    description: str
    possible_solution: str
    detail: str
    advice: Advised


class Advised(msgspec.Struct, frozen=True):
    who: str
    action: str
    link: str


class Named(msgspec.Struct, frozen=True):
    id: str
    name: str
    labels: dict[str, str]
    status: str


class AffectedTold(msgspec.Struct, frozen=True):
    total: int
    before: int | None
    recovered_total: int
    share: float
    named: list[Named]


class Point(msgspec.Struct, frozen=True):
    at: datetime
    status: str


class IncidentTold(msgspec.Struct, frozen=True):
    incident_id: str
    title: str
    summary: str
    severity: str
    entity: Entity
    capability: str
    old: str | None
    new: str
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    duration_seconds: int
    preexisting: bool
    resolution: str
    reasons: list[ReasonTold]
    reasons_total: int
    reasons_gone: list[ReasonTold]
    affected: AffectedTold
    history: list[Point]
    acknowledged_by: str


class Document(msgspec.Struct, frozen=True):
    """The whole document; the module's docstring says what each field means."""

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
    incidents: list[IncidentTold]


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


def encode(notification: Notification, most: int) -> bytes:
    """The document in at most `most` bytes (no fewer than 4,000): as much as there is room for, cut in steps."""
    for limits in _STEPS:
        if _at_least(notification, limits) > most:
            continue
        body = msgspec.json.encode(_Clerk(limits).document(notification))
        if len(body) <= most:
            return body
    raise ValueError(f"a notification document needs more than {most} bytes")


def _at_least(notification: Notification, limits: _Limits) -> int:
    """A size in bytes that the document would surely exceed, found without writing it."""
    shown = (one for subject in notification.subjects[: limits.incidents] for one in subject.reasons[: limits.reasons])
    texts = (
        text for one in shown for text in (one.reason.description, one.reason.possible_solution, one.reason.detail)
    )
    return sum(min(len(text), limits.text) for text in texts)


class _Clerk:
    """Fills in one document within given limits, and notes whether anything was cut."""

    def __init__(self, limits: _Limits) -> None:
        self._limits = limits
        self._cut = False

    def document(self, notification: Notification) -> Document:
        shown = notification.subjects[: self._limits.incidents]
        incidents = [self._incident(one, notification) for one in shown]
        total = max(notification.total, len(notification.subjects))
        single = notification.kind != "digest" and len(incidents) == 1
        head = Document(
            VERSION,
            self._short(notification.id),
            notification.kind,
            notification.is_test or notification.kind == "test",
            notification.sequence,
            self._short(notification.deployment),
            self._short(notification.destination),
            notification.at.astimezone(UTC),
            headline(notification, self._pen()),
            incidents[0].incident_id if single else None,
            total,
            cut=False,
            incidents=incidents,
        )
        return msgspec.structs.replace(head, cut=self._cut or total > len(shown))

    def _incident(self, subject: Subject, notification: Notification) -> IncidentTold:
        return IncidentTold(
            self._short(subject.incident_id),
            title(subject, self._pen(), past=notification.kind == "brief"),
            self._long(subject.summary),
            subject.severity,
            Entity(self._short(subject.entity_type), self._short(subject.entity_id)),
            self._short(subject.capability),
            None if subject.old is None else self._short(subject.old),
            self._short(subject.new),
            subject.opened_at.astimezone(UTC),
            subject.changed_at.astimezone(UTC),
            None if subject.resolved_at is None else subject.resolved_at.astimezone(UTC),
            max(0, int(subject.duration(notification.at).total_seconds())),
            subject.preexisting,
            subject.resolution,
            [self._reason(one) for one in self._first(subject.reasons, self._limits.reasons)],
            len(subject.reasons),
            [self._reason(ReasonShown(one)) for one in self._first(subject.reasons_gone, self._limits.reasons)],
            self._affected(subject),
            [Point(at.astimezone(UTC), self._short(status)) for at, status in subject.history[-10:]],
            self._short(subject.acknowledged_by),
        )

    def _reason(self, shown: ReasonShown) -> ReasonTold:
        reason = shown.reason
        return ReasonTold(
            reason.code,
            self._long(reason.description),
            self._long(reason.possible_solution),
            self._long(reason.detail),
            self._advice(shown.advice),
        )

    def _advice(self, advice: Advice) -> Advised:
        return Advised(self._long(advice.who), self._long(advice.action), self._long(advice.link))

    def _affected(self, subject: Subject) -> AffectedTold:
        named = [self._named(one) for one in subject.affected[: self._limits.named]]
        share = round(subject.share, 4)
        return AffectedTold(subject.affected_total, subject.affected_before, subject.recovered_total, share, named)

    def _named(self, affected: TargetInfo) -> Named:
        labels = islice(affected.labels.items(), self._limits.named)
        shown = {self._short(key): self._short(value) for key, value in labels}
        return Named(self._short(affected.id), self._short(affected.name), shown, self._short(affected.status))

    def _first(self, items: tuple[_T, ...], most: int) -> tuple[_T, ...]:
        self._cut = self._cut or len(items) > most
        return items[:most]

    def _short(self, text: str) -> str:
        return self._text(text, self._limits.short)

    def _long(self, text: str) -> str:
        return self._text(text, self._limits.text)

    def _text(self, text: str, most: int) -> str:
        """JSON escapes everything else itself; a machine gets the text as the API wrote it."""
        kept = cut(whole(text[: most + 1]), most)
        self._cut = self._cut or len(text) > most
        return kept

    def _pen(self) -> Pen:
        return Pen(Room(short=self._limits.short, long=self._limits.text))
