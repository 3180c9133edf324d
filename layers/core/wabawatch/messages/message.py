"""Render a notification, once, to a message of plain text.

A Message has everything that people should read, in the order in which they need it. Its texts are sanitised and short
enough for the destination, and not escaped: a notifier escapes each of them where it puts it into its own format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec

from wabawatch.domain.health import CALLING, MESSAGING, READABLE, TARGET, Reason
from wabawatch.domain.incident import DESTINATION, MONITOR
from wabawatch.domain.notification import IncidentSummary, Notification, ReasonShown
from wabawatch.messages.notification import TextLimits, fit_notification
from wabawatch.messages.runbook import cause_of, meaning
from wabawatch.messages.text import format_utc, humanize_duration, join_limited, pluralize
from wabawatch.messages.titles import (
    Badge,
    add_badge,
    entity_name,
    incident_badge,
    incident_title,
    is_test,
    noticeable_duration,
    notification_badge,
    notification_title,
    recovered_count,
)

FormatTime = Callable[[datetime], str]
TEST_NOTE: Final = "This is a test. Nothing has happened, and nobody has to do anything."
_DEFAULT_LIMITS: Final = TextLimits()


class Field(msgspec.Struct, frozen=True):
    """A label and its text. `times` are the instants that the text mentions, as `format_utc` writes them."""

    label: str
    text: str
    times: tuple[datetime, ...] = ()

    def format(self, format_time: FormatTime) -> str:
        """Return the text with its instants written in another way."""
        text = self.text
        for written, at in {format_utc(at): at for at in self.times}.items():
            text = text.replace(written, format_time(at))
        return text


class ReasonText(msgspec.Struct, frozen=True):
    """A reason: its code (`141006`, a cause, or ""), text, the API's own suggestion, and our advice."""

    code: str
    text: str
    solution: str
    who: str
    action: str
    link: str
    label: str = "Reason"


class Section(msgspec.Struct, frozen=True):
    """One incident. `hidden_reasons` counts the reasons that are not shown."""

    incident_id: str
    badge: Badge
    title: str
    fields: tuple[Field, ...]
    reasons: tuple[ReasonText, ...] = ()
    hidden_reasons: int = 0


class Message(msgspec.Struct, frozen=True):
    """A whole message. `hidden_incidents` counts those that are not shown; `footer` and `at`: its origin."""

    badge: Badge
    title: str
    sections: tuple[Section, ...]
    footer: tuple[str, ...]
    at: datetime
    note: str = ""
    hidden_incidents: int = 0
    is_truncated: bool = False

    @property
    def truncation_note(self) -> str:
        hidden_reasons = sum(section.hidden_reasons for section in self.sections)
        is_cut = self.is_truncated or hidden_reasons > 0 or self.hidden_incidents > 0
        return truncation_note(self.sections, hidden_reasons, self.hidden_incidents) if is_cut else ""

    def format_footer(self, format_time: FormatTime) -> str:
        return " · ".join([*self.footer, format_time(self.at)])


def truncation_note(sections: Sequence[Section], hidden_reasons: int, hidden_incidents: int) -> str:
    """Say that the message is not complete, and how to read the rest."""
    hidden = [pluralize(hidden_reasons, "more reason")] if hidden_reasons else []
    hidden += [pluralize(hidden_incidents, "more incident")] if hidden_incidents else []
    what = f"{' and '.join(hidden)} not shown" if hidden else "long texts are shortened"
    command = f"wabawatch explain {sections[0].incident_id}" if len(sections) == 1 else "wabawatch incidents"
    return f"This message was cut: {what}. All of it: {command}"


def map_texts(message: Message, write: Callable[[str], str], write_link: Callable[[str], str] | None = None) -> Message:
    """Escape a message for a format: return it with each text that may come from outside passed through `write`."""
    sections = [
        msgspec.structs.replace(
            section,
            incident_id=write(section.incident_id),
            title=write(section.title),
            fields=tuple(msgspec.structs.replace(field, text=write(field.text)) for field in section.fields),
            reasons=tuple(
                ReasonText(
                    write(reason.code),
                    write(reason.text),
                    write(reason.solution),
                    write(reason.who),
                    write(reason.action),
                    (write_link or write)(reason.link),
                    reason.label,
                )
                for reason in section.reasons
            ),
        )
        for section in message.sections
    ]
    footer = tuple(write(part) for part in message.footer)
    return msgspec.structs.replace(message, title=write(message.title), sections=tuple(sections), footer=footer)


def render_title(notification: Notification, limits: TextLimits = _DEFAULT_LIMITS) -> str:
    """Write a notification's title alone."""
    return notification_title(fit_notification(notification, limits).notification)


def render_message(notification: Notification, limits: TextLimits = _DEFAULT_LIMITS) -> Message:
    """Render a notification of any kind within these limits."""
    fitted = fit_notification(notification, limits)
    shown = fitted.notification.subjects[: limits.sections]
    sections = tuple(
        _render_section(incident, len(whole.reasons), fitted.notification, limits)
        for incident, whole in zip(shown, notification.subjects, strict=False)
    )
    total = max(notification.total, len(notification.subjects))
    return Message(
        badge=notification_badge(notification),
        title=notification_title(fitted.notification),
        sections=sections,
        footer=_render_footer(fitted.notification),
        at=notification.at,
        note=TEST_NOTE if is_test(notification) else "",
        hidden_incidents=total - len(shown) if shown else 0,
        is_truncated=fitted.is_truncated,
    )


def _render_section(
    incident: IncidentSummary, reasons_total: int, notification: Notification, limits: TextLimits
) -> Section:
    in_full = notification.kind != "digest"
    render_fields = _render_fields if in_full else _render_short_fields
    return Section(
        incident.incident_id,
        incident_badge(incident),
        incident_title(incident, past=notification.kind == "brief"),
        tuple(field for field in render_fields(incident, notification, limits) if field.text),
        tuple(_render_reason(shown, is_over=incident.is_over) for shown in incident.reasons),
        reasons_total - len(incident.reasons) if in_full or not incident.is_over else 0,
    )


def _render_fields(incident: IncidentSummary, notification: Notification, limits: TextLimits) -> list[Field]:
    gone = (reason.description if reason.code is None else str(reason.code) for reason in incident.reasons_gone)
    return [
        Field("Status", _describe_status(incident, notification)),
        Field("Affected", _describe_affected(incident, limits)),
        Field("Recovered", recovered_count(incident).removesuffix(" recovered")),
        _render_time(incident, notification),
        Field("Where", _describe_entity(incident)),
        Field("Labels", _list_labels(incident)),
        Field("No longer a reason", join_limited(gone, len(incident.reasons_gone), limits.names)),
        Field("Acknowledged by", incident.acknowledged_by),
        *([_render_history(incident)] if notification.kind.startswith("flapping") else []),
    ]


def _render_short_fields(incident: IncidentSummary, notification: Notification, limits: TextLimits) -> list[Field]:
    return [
        Field("Status", _describe_status(incident, notification)),
        Field("Affected", _describe_affected(incident, limits) if incident.affected_total > 1 else ""),
        _render_time(incident, notification),
        Field("Incident", incident.incident_id),
    ]


def _describe_status(incident: IncidentSummary, notification: Notification) -> str:
    """Write the change: `AVAILABLE → BLOCKED`. The old status is the last one that this destination was sent."""
    new = incident.new
    if notification.kind == "brief":
        return f"{new}, and over again"
    if incident.is_over:
        new = {"gone": "no longer reported", "unwatched": "no longer watched"}.get(incident.resolution, new)
    if incident.old is None:
        return new if incident.is_over else f"already {new} when monitoring started"
    return f"{new}, as before" if incident.old == incident.new else f"{incident.old} → {new}"


def _describe_affected(incident: IncidentSummary, limits: TextLimits) -> str:
    """Count and name the affected numbers: `40 numbers (4 before, 33% of all): A (a), B (b) +38 more`."""
    total, before = incident.affected_total, incident.affected_before
    if total == 0:
        return ""
    notes = [f"{before} before"] if before and before != total and not incident.is_over else []
    notes += [f"{incident.share:.0%} of all"] if total > 1 and incident.share else []
    counts = pluralize(total, "number") + (f" ({', '.join(notes)})" if notes else "")
    names = (
        f"{target.name} ({target.id})" if target.name and target.name != target.id else target.id
        for target in incident.affected
    )
    listed = join_limited(names, total, limits.names)
    return f"{counts}: {listed}" if listed else counts


def _render_time(incident: IncidentSummary, notification: Notification) -> Field:
    """Say since when, or how long. What was found when monitoring started began at an unknown time before."""
    duration = noticeable_duration(incident, notification.at)
    length = f"at least {duration}" if duration and incident.preexisting else duration
    start = f"{'before ' if incident.preexisting else ''}{format_utc(incident.opened_at)}"
    if incident.resolved_at is None:
        return Field("Since", f"{start}, for {length}" if length else start, (incident.opened_at,))
    span = f"from {start} to {format_utc(incident.resolved_at)}"
    times = (incident.opened_at, incident.resolved_at)
    return Field("Lasted", f"{length}, {span}" if length else span, times)


def _describe_entity(incident: IncidentSummary) -> str:
    """Name the entity, and the capability where it is not the usual one."""
    if incident.entity_type in {MONITOR, DESTINATION}:
        return "the monitor itself" if incident.entity_type == MONITOR else "the monitor's deliveries"
    if incident.capability in {MESSAGING, READABLE}:
        return "" if incident.entity_type == TARGET else entity_name(incident)
    note = "; messages are not affected" if incident.capability == CALLING else ""
    return f"{entity_name(incident)}, {incident.capability}{note}"


def _list_labels(incident: IncidentSummary) -> str:
    labels = incident.affected[0].labels if incident.affected else {}
    return ", ".join(f"{key}: {value}" for key, value in labels.items())


def _render_history(incident: IncidentSummary) -> Field:
    """List the latest changes: `BLOCKED 2026-03-01 01:00 UTC, AVAILABLE 10 min later, BLOCKED 10 min later`."""
    first = [f"{status} {format_utc(at)}" for at, status in incident.history[:1]]
    later = [
        f"{status} {humanize_duration(at - before)} later" for (before, _), (at, status) in pairwise(incident.history)
    ]
    return Field("Changes", ", ".join(first + later), tuple(at for at, _ in incident.history[:1]))


def _render_reason(shown: ReasonShown, *, is_over: bool) -> ReasonText:
    reason, advice = shown.reason, shown.advice
    return ReasonText(
        code=cause_of(reason) or ("" if reason.code is None else str(reason.code)),
        text=_describe_reason(reason),
        solution=reason.possible_solution,
        who=advice.who,
        action=advice.action,
        link=advice.link,
        label="The reason was" if is_over else "Reason",
    )


def _describe_reason(reason: Reason) -> str:
    """Return the API's text; the runbook's for a cause, and for a known code that came without a text."""
    own = meaning(reason) if cause_of(reason) or not reason.description else reason.description
    text = own or "no text came with it"
    return f"{text}: {reason.detail}" if reason.detail else text


def _render_footer(notification: Notification) -> tuple[str, ...]:
    single = notification.subject.incident_id if notification.kind != "digest" and notification.subjects else None
    return (
        *([f"deployment {notification.deployment}"] if notification.deployment else []),
        *([f"incident {single}"] if single is not None else []),
        f"notification {notification.id}",
        *(
            [f"no. {notification.sequence} about this incident"]
            if single is not None and notification.sequence > 1
            else []
        ),
    )


def format_lines(message: Message, format_time: FormatTime = format_utc) -> list[str]:
    """Lay out the whole message. The first line is the title."""
    single = len(message.sections) == 1 and not message.hidden_incidents
    parts = [[add_badge(message.badge, message.title), *([message.note] if message.note else [])]]
    for section in message.sections:
        heading = [] if single else [add_badge(section.badge, section.title)]
        parts.append([*heading, *_format_section(section, format_time)])
    truncation = message.truncation_note
    parts.append([message.format_footer(format_time), *([truncation] if truncation else [])])
    return [line for number, part in enumerate(parts) for line in ([""] if number and not single else []) + part]


def _format_section(section: Section, format_time: FormatTime) -> list[str]:
    return [
        *(f"  {field.label}: {field.format(format_time)}" for field in section.fields),
        *(line for reason in section.reasons for line in format_reason(reason)),
    ]


def format_reason(reason: ReasonText) -> list[str]:
    """Lay out a reason in up to five lines."""
    advice = (
        ("The API suggests", reason.solution),
        ("Who can fix it", reason.who),
        ("What to do", reason.action),
        ("Guide", reason.link),
    )
    return [
        f"  {f'{reason.label} {reason.code}'.strip()}: {reason.text}",
        *(f"    {label}: {text}" for label, text in advice if text),
    ]
