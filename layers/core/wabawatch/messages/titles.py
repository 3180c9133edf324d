"""What a notification is called: the headline, and the title of each incident in it."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from wabawatch.domain.health import (
    AVAILABLE,
    BLOCKED,
    CALLING,
    GONE,
    LIMITED,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    rank,
)
from wabawatch.domain.incident import DESTINATION, MONITOR, SEVERITIES
from wabawatch.domain.notification import Notification, Subject
from wabawatch.domain.pen import Pen
from wabawatch.messages.text import humanize_duration, pluralize

_OVER: Final = frozenset({"resolved", "brief"})
_KINDS_OF_ENTITY: Final = {
    "BUSINESS": "business", "WABA": "WhatsApp Business account", "APP": "app", "PHONE_NUMBER": "phone number",
    "MESSAGE_TEMPLATE": "template", "FLOW": "flow", TARGET: "number",
}  # fmt: skip
_DEEDS: Final = {MESSAGING: "send messages", CALLING: "receive calls", READABLE: "be read"}
_MODES: Final = {
    (BLOCKED, False): "cannot {}", (BLOCKED, True): "could not {}",
    (LIMITED, False): "can {} only within limits", (LIMITED, True): "could {} only within limits",
    (UNKNOWN, False): "may be unable to {}", (UNKNOWN, True): "may have been unable to {}",
    (AVAILABLE, False): "can {} again", (AVAILABLE, True): "had a problem and can {} again",
}  # fmt: skip
_OWN_TROUBLES: Final = {
    "readability": ("The monitor is blind", "The monitor was blind", "The monitor sees again"),
    "state": (
        "The state of some numbers cannot be stored",
        "The state of some numbers could not be stored",
        "The state of all numbers can be stored again",
    ),
    "alarms": (
        "The monitor's own alarms reach nobody",
        "The monitor's own alarms reached nobody",
        "The monitor's own alarms reach somebody again",
    ),
    "coverage": (
        "Part of the fleet is not read",
        "Part of the fleet was not read",
        "The whole fleet is read again",
    ),
}
"""What is wrong with the monitor itself: now, in the past, and no more."""
_UNREACHED: Final = ("cannot be reached", "could not be reached", "can be reached again")
_OF_DESTINATIONS: Final = {"subscribers": ("reaches nobody", "reached nobody", "reaches somebody again")}


class Mark(NamedTuple):
    """How urgent a message looks, as one sign and as one word."""

    sign: str
    word: str


_TEST: Final = Mark("🧪", "TEST")
_RESOLVED: Final = Mark("✅", "RESOLVED")
_FLAPPING: Final = Mark("🔁", "FLAPPING")
_MARKS: Final = {
    "critical": Mark("🔴", "CRITICAL"), "error": Mark("🟠", "ERROR"), "warning": Mark("🟡", "WARNING"),
    "info": Mark("🔵", "INFO"),
}  # fmt: skip


def is_test(notification: Notification) -> bool:
    return notification.is_test or notification.kind == "test"


def mark(notification: Notification) -> Mark:
    """A test is marked as one whatever it shows."""
    if is_test(notification):
        return _TEST
    if notification.kind == "digest":
        return min((mark_of(one) for one in notification.subjects), key=_urgency, default=_RESOLVED)
    if notification.kind in _OVER or not notification.subjects:
        return _RESOLVED
    return _FLAPPING if notification.kind == "flapping" else mark_of(notification.subject)


def mark_of(subject: Subject) -> Mark:
    if is_over(subject):
        return _RESOLVED
    return _MARKS.get(subject.severity, _MARKS["error"])


def _urgency(one: Mark) -> int:
    return [*_MARKS.values(), _RESOLVED].index(one)


def is_over(subject: Subject) -> bool:
    return subject.resolved_at is not None


def headline(notification: Notification, pen: Pen) -> str:
    """What somebody reads first, perhaps on a locked phone: one line, and a test says so."""
    line = pen.long(notification.headline) if notification.headline else _line(notification, pen)
    return f"TEST: {line}" if is_test(notification) else line


def marked(one: Mark, line: str) -> str:
    """A headline with its mark as a word: `[CRITICAL] 40 numbers cannot send messages`."""
    return line if line.startswith(f"{one.word}:") else f"[{one.word}] {line}"


def _line(notification: Notification, pen: Pen) -> str:
    if notification.kind == "digest":
        return _digest(notification, pen)
    if not notification.subjects:
        return f"A notification for {pen.short(notification.destination)}"
    subject = notification.subject
    after = humanize_duration(subject.duration(notification.at))
    if notification.kind == "brief":
        return f"{title(subject, pen, past=True)} for {after}, and this is over"
    if notification.kind == "flapping":
        return f"{who(subject, pen)} keeps changing; quiet until it settles"
    frame = _FRAMES.get(notification.kind, "{title}")
    return frame.format(title=title(subject, pen), after=after, recovered=recovered(subject) or "Recovering")


def recovered(subject: Subject) -> str:
    """How far a trouble has gone: `38 of 40 recovered`; nothing where nobody has left it."""
    total = subject.recovered_total + subject.affected_total
    return f"{subject.recovered_total} of {total} recovered" if subject.recovered_total else ""


_FRAMES: Final = {
    "escalated": "Worse: {title}",
    "eased": "Better: {title}",
    "reasons_changed": "Other reasons: {title}",
    "spread": "Spreading: {title}",
    "receded": "{recovered}: {title}",
    "reminder": "Still, after {after}: {title}",
    "resolved": "{title}, after {after}",
    "flapping_ended": "Settled: {title}",
}


def _digest(notification: Notification, pen: Pen) -> str:
    """How many, how bad, and the worst of them: a locked phone shows no more than this."""
    worst = next((one for one in notification.subjects if not is_over(one)), None)
    return _counts(notification) + (f"; the worst: {title(worst, pen)}" if worst else "")


def _counts(notification: Notification) -> str:
    total = max(notification.total, len(notification.subjects))
    counts = Counter(mark_of(one).word.lower() for one in notification.subjects)
    order = [*SEVERITIES, "resolved"]
    if total > len(notification.subjects) or not counts:
        return pluralize(total, "incident")
    if len(counts) == 1:
        return pluralize(total, f"{next(iter(counts))} incident")
    return f"{pluralize(total, 'incident')}: " + ", ".join(f"{counts[word]} {word}" for word in order if counts[word])


def title(subject: Subject, pen: Pen, *, past: bool = False) -> str:
    """What is broken, or works again: `40 numbers cannot send messages`."""
    if subject.title:
        return pen.short(subject.title)
    if subject.entity_type in {MONITOR, DESTINATION}:
        return _of_monitor(subject, pen, past=past)
    if subject.resolution == "gone" and not past:
        return f"{who(subject, pen)}: {where(subject, pen)} is no longer reported"
    if subject.resolution == "unwatched" and not past:
        return f"{who(subject, pen)}: no longer watched"
    return f"{who(subject, pen)} {_does(subject, pen, past=past)}"


def who(subject: Subject, pen: Pen) -> str:
    """The one number by its name, several by their count; a template by its id, because only it is affected."""
    if subject.entity_type in {"MESSAGE_TEMPLATE", "FLOW"}:
        thing = f"{_KINDS_OF_ENTITY[subject.entity_type].capitalize()} {pen.short(subject.entity_id)}"
        return f"{thing} of {pen.called(subject.affected[0])}" if len(subject.affected) == 1 else thing
    if subject.entity_type in {MONITOR, DESTINATION}:
        return "The monitor" if subject.entity_type == MONITOR else f"Destination {pen.short(subject.entity_id)}"
    if subject.affected_total == 1 and subject.affected:
        return pen.called(subject.affected[0])
    if subject.affected_total == 0:
        entity = where(subject, pen)
        return entity[:1].upper() + entity[1:]
    return pluralize(subject.affected_total, "number")


def where(subject: Subject, pen: Pen) -> str:
    """The entity: `business 1234`."""
    kind = _KINDS_OF_ENTITY.get(subject.entity_type) or pen.short(subject.entity_type).lower().replace("_", " ")
    return f"{kind} {pen.short(subject.entity_id)}"


def capability(subject: Subject, pen: Pen) -> str:
    if subject.entity_type in {"MESSAGE_TEMPLATE", "FLOW"} and subject.capability == MESSAGING:
        return "be sent"
    return _DEEDS.get(subject.capability) or pen.short(subject.capability).removeprefix("can_").replace("_", " ")


def _does(subject: Subject, pen: Pen, *, past: bool) -> str:
    status = AVAILABLE if is_over(subject) and not past else subject.new
    if subject.capability == READABLE and status == UNKNOWN:
        status = BLOCKED
    mode = _MODES.get((AVAILABLE if status == GONE else status, past))
    if mode:
        return mode.format(capability(subject, pen))
    return f"{'had' if past else 'with'} the status {pen.short(status)}, a word that the monitor does not know"


def _of_monitor(subject: Subject, pen: Pen, *, past: bool) -> str:
    tense = 1 if past else 2 if is_over(subject) or rank(subject.new) == 0 else 0
    if subject.entity_type == DESTINATION:
        words = _OF_DESTINATIONS.get(subject.capability, _UNREACHED)
        return f"{who(subject, pen)} {words[tense]}"
    if subject.entity_id in _OWN_TROUBLES:
        return _OWN_TROUBLES[subject.entity_id][tense]
    return f"The monitor's {pen.short(subject.entity_id)} {('fails', 'failed', 'works again')[tense]}"
