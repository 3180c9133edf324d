"""A notification as SNS takes it: a body for each protocol, or the document for machines with attributes for filters; a
subject that is never refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from wabawatch.adapters.notifiers import document, plain
from wabawatch.adapters.notifiers.ascii_text import SMS, SUBJECT, SpellingPen, first, gsm, spelled
from wabawatch.adapters.notifiers.slack_text import FormattedPen, escape_formatting
from wabawatch.domain.notification import Notification, Subject
from wabawatch.domain.pen import Pen, Room
from wabawatch.domain.telling import Passage, Telling, tell
from wabawatch.messages.text import clean, cut
from wabawatch.messages.titles import is_test, marked

MOST: Final = 262_144
"""Bytes of a message, with its attributes, by the SNS quota."""
_MACHINES: Final = ("sqs", "lambda", "http", "https", "email-json", "firehose")
_DOCUMENT_SIZES: Final = (36_000, 24_000, 12_000, 5_000)
_DOCUMENT_ALONE: Final = 100_000
"""SNS wraps it in JSON once more for subscribers without raw delivery, which may double it."""
_EMAIL_ROOMS: Final = (
    Room(short=150, long=2_000, names=20, reasons=20, passages=50),
    Room(short=80, long=300, names=10, reasons=10, passages=15),
    Room(short=60, long=120, names=5, reasons=5, passages=5),
)
_EMAIL_MOST: Final = 40_000
_VALUE: Final = 100
_LISTED: Final = 20
_CONSIDERED: Final = 500

Attributes = dict[str, dict[str, str]]


def subject_line(notification: Notification) -> str:
    """ASCII on one line, at most 99 characters, and it begins with a bracket or a letter."""
    telling = tell(notification, SpellingPen())
    return first(spelled(marked(telling.mark, telling.headline)), SUBJECT)


def bodies(notification: Notification) -> str:
    """The JSON of `MessageStructure=json`. `default` is for people, because what has no body of its own (a push to a
    phone) is read by people."""
    text = _email(notification)
    for size in _DOCUMENT_SIZES:
        machine = document.encode(notification, size).decode()
        protocols = {"default": text, "email": text, "sms": _sms(notification), **dict.fromkeys(_MACHINES, machine)}
        message = msgspec.json.encode(protocols)
        if len(message) <= MOST:
            return message.decode()
    raise ValueError("a notification is larger than SNS allows")


def machine_document(notification: Notification) -> str:
    """The notification document."""
    return document.encode(notification, _DOCUMENT_ALONE).decode()


def attributes(notification: Notification) -> Attributes:
    """For filter policies. Ten at most: more would not go through to SQS by raw delivery. A digest has the status and
    severity of its worst incident, and the numbers and codes of all."""
    words = {
        "event": notification.kind,
        "deployment": notification.deployment,
        "test": "true" if is_test(notification) else "false",
        **(_of(notification.subject) if notification.subjects else {}),
    }
    lists = {"target": _distinct(_targets(notification)), "reason_code": _distinct(_codes(notification))}
    return {
        **{name: {"DataType": "String", "StringValue": _value(word)} for name, word in words.items() if _value(word)},
        **{name: {"DataType": "String.Array", "StringValue": _listed(words)} for name, words in lists.items() if words},
    }


def _of(subject: Subject) -> dict[str, str]:
    return {
        "severity": subject.severity,
        "status": subject.new,
        "previous_status": subject.old or "NONE",
        "entity_type": subject.entity_type,
        "capability": subject.capability,
    }


def _targets(notification: Notification) -> Iterator[str]:
    return (one.id for subject in notification.subjects for one in subject.affected[:_LISTED])


def _codes(notification: Notification) -> Iterator[str]:
    shown = (one.reason.code for subject in notification.subjects for one in subject.reasons)
    return (str(code) for code in shown if code is not None)


def _distinct(values: Iterator[str]) -> list[str]:
    """The first few; of a digest's thousands only so many are looked at."""
    return list(dict.fromkeys(_value(value) for value in islice(values, _CONSIDERED)))[:_LISTED]


def _value(text: str) -> str:
    return cut(clean(text[: 2 * _VALUE]), _VALUE)


def _listed(values: list[str]) -> str:
    return msgspec.json.encode(values).decode()


def _email(notification: Notification) -> str:
    for room in _EMAIL_ROOMS:
        text = "\n".join(plain.lines(tell(notification, Pen(room))))
        if len(text.encode()) <= _EMAIL_MOST:
            break
    return text


def _sms(notification: Notification) -> str:
    """One part of 160 GSM-7 characters: what, since when, why, who; the rest is elsewhere."""
    telling = tell(notification, SpellingPen())
    parts = [marked(telling.mark, telling.headline), *_in_short(telling)]
    return first(gsm(". ".join(part.rstrip(".") for part in parts if part)), SMS)


def _in_short(telling: Telling) -> list[str]:
    passage: Passage | None = telling.passages[0] if len(telling.passages) == 1 else None
    if passage is None:
        return []
    status = next((fact.text for fact in passage.facts if fact.label == "Status"), "")
    reasons = [one.code or first(one.text, 40) for one in passage.reasons[:2]]
    who = passage.reasons[0].who if passage.reasons else ""
    return [status, " ".join(reasons), who, f"Incident {passage.incident_id}"]


def chat_document(notification: Notification) -> str:
    """For Amazon Q Developer in chat applications: its custom notification, which a topic of its own carries.

    The sizes stay below those of its published schema; what is beyond them is dropped without a word there."""
    telling = tell(notification, FormattedPen(_CHAT_ROOM, escape=_chat_escape))
    steps = [
        step
        for one in telling.passages
        for reason in one.reasons
        for step in _steps(reason.who, reason.action, reason.link)
    ]
    keywords = [
        word for one in telling.passages[:1] for word in (one.mark.word, *(r.code for r in one.reasons)) if word
    ]
    incident = telling.passages[0].incident_id if len(telling.passages) == 1 else ""
    chat: dict[str, Any] = {
        "version": "1.0",
        "source": "custom",
        "id": clean(notification.id),
        "content": {
            "textType": "client-markdown",
            "title": f"{telling.mark.sign} {telling.headline}",
            "description": "\n".join(plain.lines(telling)[1:]),
            "nextSteps": list(dict.fromkeys(steps))[:5],
            "keywords": list(dict.fromkeys(keywords))[:5],
        },
        "metadata": {
            **({"threadId": incident} if incident else {}),
            "summary": telling.headline,
            "eventType": notification.kind,
        },
    }
    return msgspec.json.encode(chat).decode()


_CHAT_ROOM: Final = Room(short=60, long=200, names=6, reasons=5, passages=8)


def _chat_escape(text: str) -> str:
    """It hands Markdown on to Slack or Teams: an unescaped `<!channel>` calls everybody, and a link in brackets shows
    something else than where it leads."""
    return escape_formatting(text.replace("](", "] (").replace("][", "] ["))


def _steps(who: str, action: str, link: str) -> list[str]:
    step = f"{action} ({who})" if who else action
    return [f"{step} {link}".strip()] if action else []
