"""From a notification to everything its message says, in the order in which a sleepy reader wants it.

Every notifier for people lays out a Telling; none of them words anything itself. The texts in it have gone through the
notifier's pen: they are harmless in its format and short enough.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

from wabawatch.domain.health import CALLING, MESSAGING, READABLE, TARGET, Reason
from wabawatch.domain.incident import DESTINATION, MONITOR
from wabawatch.domain.notification import Advice, Notification, ReasonShown, Subject
from wabawatch.domain.pen import Pen
from wabawatch.messages.runbook import cause_of, meaning
from wabawatch.messages.text import humanize_duration, listed, pluralize
from wabawatch.messages.titles import Mark, headline, is_over, is_test, mark, mark_of, recovered, title, where

TEST_NOTE: Final = "This is a test. Nothing has happened, and nobody has to do anything."


class Fact(msgspec.Struct, frozen=True):
    """A label and what it says."""

    label: str
    text: str


class Explanation(msgspec.Struct, frozen=True):
    """A reason: its code (`141006`, a cause, or nothing), text, the API's own suggestion, and our advice."""

    code: str
    text: str
    solution: str
    who: str
    action: str
    link: str
    label: str = "Reason"


class Passage(msgspec.Struct, frozen=True):
    """All that is said of one incident. `reasons_more` counts the reasons that are not shown."""

    incident_id: str
    mark: Mark
    title: str
    facts: tuple[Fact, ...]
    reasons: tuple[Explanation, ...] = ()
    reasons_more: int = 0


class Telling(msgspec.Struct, frozen=True):
    """A message, part by part. `more` counts the incidents that are not shown; `footer` says where it comes from."""

    mark: Mark
    headline: str
    passages: tuple[Passage, ...]
    footer: tuple[str, ...]
    note: str = ""
    more: int = 0
    is_cut: bool = False

    @property
    def cut_note(self) -> str:
        return cut_note(self.is_cut, sum(one.reasons_more for one in self.passages), self.more, self.passages)


def tell(notification: Notification, pen: Pen) -> Telling:
    """Word a notification of any kind."""
    shown = notification.subjects[: pen.room.passages]
    single = notification.kind != "digest"
    line = headline(notification, pen)
    passages = tuple(_passage(one, notification, pen, in_full=single) for one in shown)
    footer = _footer(notification, pen)
    more = max(notification.total, len(notification.subjects)) - len(shown) if shown else 0
    hidden = more > 0 or any(one.reasons_more for one in passages)
    note = TEST_NOTE if is_test(notification) else ""
    return Telling(mark(notification), line, passages, footer, note, more, pen.has_cut or hidden)


def cut_note(is_cut: bool, reasons: int, incidents: int, passages: tuple[Passage, ...]) -> str:
    """Says that the message is not all there is, and where the rest can be read; nothing where it is."""
    if not is_cut:
        return ""
    left = [pluralize(reasons, "more reason")] if reasons else []
    left += [pluralize(incidents, "more incident")] if incidents else []
    said = f"{' and '.join(left)} not shown" if left else "long texts are shortened"
    rest = f"wabawatch explain {passages[0].incident_id}" if len(passages) == 1 else "wabawatch incidents"
    return f"This message was cut: {said}. All of it: {rest}"


def _passage(subject: Subject, notification: Notification, pen: Pen, *, in_full: bool) -> Passage:
    """In a digest an incident gets its first reason only: a list is read to choose what to look at."""
    most = pen.room.reasons if in_full else 1
    shown = () if is_over(subject) and not in_full else subject.reasons[:most]
    facts = _facts(subject, notification, pen) if in_full else _short_facts(subject, notification, pen)
    return Passage(
        pen.short(subject.incident_id),
        mark_of(subject),
        title(subject, pen, past=notification.kind == "brief"),
        tuple(Fact(label, text) for label, text in facts if text),
        tuple(_explanation(one, pen, over=is_over(subject)) for one in shown),
        len(subject.reasons) - len(shown) if in_full or not is_over(subject) else 0,
    )


def _facts(subject: Subject, notification: Notification, pen: Pen) -> list[tuple[str, str]]:
    return [
        ("Status", _change(subject, notification, pen)),
        ("TargetInfo", _affected(subject, pen)),
        ("Recovered", recovered(subject).removesuffix(" recovered")),
        ("Lasted" if is_over(subject) else "Since", _time(subject, notification, pen)),
        ("Where", _where(subject, pen)),
        ("Labels", _labels(subject, pen)),
        ("No longer a reason", _gone(subject, pen)),
        ("Acknowledged by", pen.short(subject.acknowledged_by)),
        ("Changes", _story(subject, pen) if notification.kind.startswith("flapping") else ""),
        ("More", pen.long(subject.summary)),
    ]


def _short_facts(subject: Subject, notification: Notification, pen: Pen) -> list[tuple[str, str]]:
    return [
        ("Status", _change(subject, notification, pen)),
        ("TargetInfo", _affected(subject, pen) if subject.affected_total > 1 else ""),
        ("Lasted" if is_over(subject) else "Since", _time(subject, notification, pen)),
        ("Incident", pen.short(subject.incident_id)),
    ]


def _change(subject: Subject, notification: Notification, pen: Pen) -> str:
    """`AVAILABLE → BLOCKED`. What this destination heard last is the old one."""
    new = pen.short(subject.new)
    if notification.kind == "brief":
        return f"{new}, and over again"
    if is_over(subject):
        new = {"gone": "no longer reported", "unwatched": "no longer watched"}.get(subject.resolution, new)
    if subject.old is None:
        return f"{new}, found so at the first look"
    if subject.old == subject.new:
        return f"{new}, as before"
    return f"{pen.short(subject.old)} → {new}"


def _affected(subject: Subject, pen: Pen) -> str:
    if subject.affected_total == 0:
        return ""
    share = f" ({subject.share:.0%} of all)" if subject.affected_total > 1 and subject.share else ""
    before = subject.affected_before
    was = f", were {before}" if before and before != subject.affected_total and not is_over(subject) else ""
    counts = f"{pluralize(subject.affected_total, 'number')}{was}{share}"
    names = pen.names(subject.affected, subject.affected_total)
    return f"{counts}: {names}" if names else counts


def _time(subject: Subject, notification: Notification, pen: Pen) -> str:
    """What was found so at the first look began at some time before."""
    length = f"{'at least ' if subject.preexisting else ''}{humanize_duration(subject.duration(notification.at))}"
    start = f"{'before ' if subject.preexisting else ''}{pen.when(subject.opened_at)}"
    if subject.resolved_at is not None:
        return f"{length}, from {start} to {pen.when(subject.resolved_at)}"
    return f"{start}, for {length}"


def _where(subject: Subject, pen: Pen) -> str:
    """The entity, and the capability where it is not the usual one."""
    if subject.entity_type in {MONITOR, DESTINATION}:
        return "the monitor itself" if subject.entity_type == MONITOR else "the monitor's deliveries"
    if subject.capability in {MESSAGING, READABLE}:
        return "" if subject.entity_type == TARGET else where(subject, pen)
    note = "; messages are not affected" if subject.capability == CALLING else ""
    return f"{where(subject, pen)}, {pen.short(subject.capability)}{note}"


def _labels(subject: Subject, pen: Pen) -> str:
    """Those that all the affected numbers shown have in common: they tell whose this is."""
    if not subject.affected:
        return ""
    shared = set.intersection(*(set(one.labels.items()) for one in subject.affected))
    return ", ".join(f"{pen.short(key)}: {pen.short(value)}" for key, value in sorted(shared)[: pen.room.names])


def _story(subject: Subject, pen: Pen) -> str:
    """The latest changes: `BLOCKED 2026-03-01 01:00 UTC, AVAILABLE 10 min later, BLOCKED 10 min later`."""
    shown = subject.history[-pen.room.names :]
    first = [f"{pen.short(status)} {pen.when(at)}" for at, status in shown[:1]]
    later = [
        f"{pen.short(status)} {humanize_duration(at - before)} later" for (before, _), (at, status) in pairwise(shown)
    ]
    return ", ".join(first + later)


def _explanation(shown: ReasonShown, pen: Pen, *, over: bool) -> Explanation:
    """What is over is only named: nobody has to do anything about it."""
    reason, advice = shown.reason, Advice() if over else shown.advice
    return Explanation(
        pen.short(cause_of(reason) or ("" if reason.code is None else str(reason.code))),
        _said(reason, pen),
        "" if over else pen.long(reason.possible_solution),
        pen.short(advice.who),
        pen.long(advice.action),
        pen.link(advice.link),
        "The reason was" if over else "Reason",
    )


def _said(reason: Reason, pen: Pen) -> str:
    """The API's words; ours for a cause, and for a known code that came without any."""
    own = meaning(reason) if cause_of(reason) or not reason.description else reason.description
    said = pen.long(own) or "no text came with it"
    return f"{said}: {pen.long(reason.detail)}" if reason.detail else said


def _gone(subject: Subject, pen: Pen) -> str:
    words = (pen.short(one.description if one.code is None else str(one.code)) for one in subject.reasons_gone)
    return listed(words, len(subject.reasons_gone), pen.room.names)


def _footer(notification: Notification, pen: Pen) -> tuple[str, ...]:
    deployment = pen.short(notification.deployment)
    single = [one.incident_id for one in notification.subjects] if notification.kind != "digest" else []
    return (
        *([f"deployment {deployment}"] if deployment else []),
        *(f"incident {pen.short(one)}" for one in single[:1]),
        f"notification {pen.short(notification.id)}",
        *([f"no. {notification.sequence} about this incident"] if single and notification.sequence > 1 else []),
        pen.when(notification.at),
    )
