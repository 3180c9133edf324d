"""A notification as SNS takes it: a subject that is never refused, a body for each protocol, or the JSON payload with
attributes for filter policies."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from wabawatch.adapters.notifiers.slack_payload import escape, escape_formatting
from wabawatch.domain.health import TargetInfo
from wabawatch.domain.notification import IncidentSummary, Notification
from wabawatch.messages.json_payload import encode_payload
from wabawatch.messages.message import Message, ReasonText, format_lines, map_texts, render_message
from wabawatch.messages.notification import TextLimits
from wabawatch.messages.text import sanitize, truncate
from wabawatch.messages.titles import add_badge, is_test

MAX_MESSAGE: Final = 262_144
"""Bytes of a message, with its attributes, by the SNS quota."""
_MAX_SUBJECT: Final = 99
_MAX_SMS: Final = 160
"""GSM-7 characters of one part."""
_MACHINE_PROTOCOLS: Final = ("sqs", "lambda", "http", "https", "email-json", "firehose")
_PAYLOAD_SIZES: Final = (36_000, 24_000, 12_000, 5_000)
_PAYLOAD_ALONE: Final = 100_000
"""SNS wraps it in JSON once more for subscribers without raw delivery, which may double it."""
_EMAIL_LIMITS: Final = (
    TextLimits(short=150, long=2_000, names=20, reasons=20, sections=50),
    TextLimits(short=80, long=300, names=10, reasons=10, sections=15),
    TextLimits(short=60, long=120, names=5, reasons=5, sections=5),
)
_MAX_EMAIL: Final = 40_000
_MAX_ATTRIBUTE: Final = 100
_ATTRIBUTE_VALUES: Final = 20
_CONSIDERED: Final = 500
_CONSIDERED_OF_NAME: Final = 200
"""Characters: Unicode normalisation of thousands of combining marks on one letter takes minutes."""

_TRANSLITERATION: Final = str.maketrans(
    {
        "→": "->", "…": "...", "\u2013": "-", "\u2014": "-", "·": "-",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "«": '"', "»": '"',
        "ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "Ø": "Oe", "æ": "ae",
        "Æ": "Ae", "å": "aa", "Å": "Aa", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "\u0131": "i",
        "€": "EUR", "£": "GBP", "№": "No.",
    }
)  # fmt: skip
_NOT_IN_GSM7: Final = str.maketrans("`^{}[]~|\\", "''()()-//")
"""The first is not in GSM-7 at all, the others count twice there."""

Attributes = dict[str, dict[str, str]]


def to_ascii(text: str) -> str:
    """Transliterate to one line of ASCII. Each run of characters without a likeness becomes a question mark."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_TRANSLITERATION)).translate(_TRANSLITERATION)
    kept: list[str] = []
    for character in decomposed:
        if " " <= character <= "~":
            kept.append(character)
        elif not unicodedata.category(character).startswith("M") and kept[-1:] != ["?"]:
            kept.append("?")
    return " ".join("".join(kept).split())


def to_gsm7(text: str) -> str:
    """Transliterate to ASCII of which each character is one GSM-7 unit."""
    return to_ascii(text).translate(_NOT_IN_GSM7)


def _ascii_cost(text: str) -> int:
    """The length in ASCII, and in GSM-7."""
    return len(to_ascii(text))


_ASCII_LIMITS: Final = TextLimits(short=60, long=300, names=3, reasons=3, sections=3, cost=_ascii_cost)


def _render_for_ascii(notification: Notification) -> Message:
    """Render the message without the names that ASCII has no letters for: the id stands in, which is always ASCII."""
    named = _ASCII_LIMITS.names
    subjects = tuple(
        msgspec.structs.replace(incident, affected=tuple(_drop_lost_name(each) for each in incident.affected[:named]))
        for incident in notification.subjects
    )
    return render_message(msgspec.structs.replace(notification, subjects=subjects), _ASCII_LIMITS)


def _drop_lost_name(target: TargetInfo) -> TargetInfo:
    written = to_ascii(target.name[:_CONSIDERED_OF_NAME])
    is_lost = not written or ("?" in written and "?" not in target.name)
    return msgspec.structs.replace(target, name="") if is_lost else target


def build_subject(notification: Notification) -> str:
    """Write one line of ASCII, at most 99 characters long, that begins with a bracket or a letter."""
    message = _render_for_ascii(notification)
    return to_ascii(truncate(add_badge(message.badge, message.title), _MAX_SUBJECT, _ascii_cost))


def build_bodies(notification: Notification) -> str:
    """Build the JSON of `MessageStructure=json`. `default` is for people, because what has no body of its own (a push
    to a phone) is read by people."""
    text, sms = _format_email(notification), _format_sms(notification)
    for size in _PAYLOAD_SIZES:
        payload = encode_payload(notification, size).decode()
        bodies = {"default": text, "email": text, "sms": sms, **dict.fromkeys(_MACHINE_PROTOCOLS, payload)}
        message = msgspec.json.encode(bodies)
        if len(message) <= MAX_MESSAGE:
            return message.decode()
    raise ValueError("a notification is larger than SNS allows")


def build_json_payload(notification: Notification) -> str:
    """Build the JSON payload for a topic that carries nothing else."""
    return encode_payload(notification, _PAYLOAD_ALONE).decode()


def build_attributes(notification: Notification) -> Attributes:
    """Build the message attributes for filter policies.

    Ten at most: more would not reach SQS by raw delivery. A digest has the status and severity of its worst incident,
    and the numbers and codes of all."""
    values = {
        "event": notification.kind,
        "deployment": notification.deployment,
        "test": "true" if is_test(notification) else "false",
        **(_describe_incident(notification.subject) if notification.subjects else {}),
    }
    targets = (target.id for incident in notification.subjects for target in incident.affected[:_ATTRIBUTE_VALUES])
    codes = (shown.reason.code for incident in notification.subjects for shown in incident.reasons)
    lists = {"target": _distinct(targets), "reason_code": _distinct(str(code) for code in codes if code is not None)}
    texts = {name: _fit_attribute(value) for name, value in values.items()}
    return {
        **{name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text},
        **{
            name: {"DataType": "String.Array", "StringValue": msgspec.json.encode(items).decode()}
            for name, items in lists.items()
            if items
        },
    }


def _describe_incident(incident: IncidentSummary) -> dict[str, str]:
    return {
        "severity": incident.severity,
        "status": incident.new,
        "previous_status": incident.old or "NONE",
        "entity_type": incident.entity_type,
        "capability": incident.capability,
    }


def _distinct(values: Iterator[str]) -> list[str]:
    """Return the first few; only so many of a digest's thousands are looked at."""
    return list(dict.fromkeys(_fit_attribute(value) for value in islice(values, _CONSIDERED)))[:_ATTRIBUTE_VALUES]


def _fit_attribute(text: str) -> str:
    return truncate(sanitize(text[: 2 * _MAX_ATTRIBUTE]), _MAX_ATTRIBUTE)


def _format_email(notification: Notification) -> str:
    for limits in _EMAIL_LIMITS:
        text = "\n".join(format_lines(render_message(notification, limits)))
        if len(text.encode()) <= _MAX_EMAIL:
            break
    return text


def _format_sms(notification: Notification) -> str:
    """Write one part of 160 GSM-7 characters: what, since when, why, who. The rest is elsewhere."""
    message = _render_for_ascii(notification)
    parts = [add_badge(message.badge, message.title), *_summarize_section(message)]
    return to_gsm7(truncate(". ".join(part.rstrip(".") for part in parts if part), _MAX_SMS, _ascii_cost))


def _summarize_section(message: Message) -> list[str]:
    if len(message.sections) != 1:
        return []
    (section,) = message.sections
    status = next((field.text for field in section.fields if field.label == "Status"), "")
    reasons = [reason.code or truncate(reason.text, 40, _ascii_cost) for reason in section.reasons[:2]]
    who = section.reasons[0].who if section.reasons else ""
    return [status, " ".join(reasons), who, f"Incident {section.incident_id}"]


def _escape_for_chat(text: str) -> str:
    """Escape for Slack or Teams, to which Amazon Q hands Markdown on: an unescaped `<!channel>` notifies everybody, and
    a link in brackets shows something else than where it leads."""
    return escape_formatting(text.replace("](", "] (").replace("][", "] ["))


_CHAT_LIMITS: Final = TextLimits(
    short=60, long=200, names=6, reasons=5, sections=8, cost=lambda text: len(_escape_for_chat(text))
)


def build_chat_notification(notification: Notification) -> str:
    """Build a custom notification for Amazon Q Developer in chat applications, which a topic of its own carries.

    The sizes stay below those of its published schema; what is beyond them is dropped there without an error."""
    message = map_texts(render_message(notification, _CHAT_LIMITS), _escape_for_chat, write_link=escape)
    steps = [step for section in message.sections for reason in section.reasons for step in _next_steps(reason)]
    keywords = [
        keyword
        for section in message.sections[:1]
        for keyword in (section.badge.word, *(reason.code for reason in section.reasons))
        if keyword
    ]
    incident_id = message.sections[0].incident_id if len(message.sections) == 1 else ""
    chat: dict[str, Any] = {
        "version": "1.0",
        "source": "custom",
        "id": sanitize(notification.id),
        "content": {
            "textType": "client-markdown",
            "title": f"{message.badge.sign} {message.title}",
            "description": "\n".join(format_lines(message)[1:]),
            "nextSteps": list(dict.fromkeys(steps))[:5],
            "keywords": list(dict.fromkeys(keywords))[:5],
        },
        "metadata": {
            **({"threadId": incident_id} if incident_id else {}),
            "summary": message.title,
            "eventType": notification.kind,
        },
    }
    return msgspec.json.encode(chat).decode()


def _next_steps(reason: ReasonText) -> list[str]:
    step = f"{reason.action} ({reason.who})" if reason.who else reason.action
    return [f"{step} {reason.link}".strip()] if reason.action else []
