"""A message as plain text: for e-mail, pipes, and wherever formatting was refused."""

from __future__ import annotations

from wabawatch.messages.message import FormatTime, Message, ReasonText, Section
from wabawatch.messages.text import format_utc
from wabawatch.messages.titles import add_badge


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
