"""What is about some incidents and not others: routes, windows, severities, and our own runbook."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import time
from typing import Any, Final

from wabawatch.config.scalars import (
    boolean,
    capability,
    clock,
    days,
    identifier,
    labels,
    line,
    link,
    one_of,
    text,
    whole,
    word_like,
    words,
    zone,
)
from wabawatch.config.section import Section, WrongError, closest, nearest, shown
from wabawatch.domain.health import AVAILABLE, BLOCKED, CAUSES, LIMITED, READABLE, TARGET, UNKNOWN
from wabawatch.domain.incident import DESTINATION, MONITOR, SEVERITIES, Severity
from wabawatch.domain.notification import Advice
from wabawatch.domain.routing import Route, SeverityRule, Window
from wabawatch.domain.schedule import WEEKDAYS, Weekly
from wabawatch.domain.silence import Matcher
from wabawatch.messages.runbook import OUR_CAUSES

STATUSES: Final = (AVAILABLE, LIMITED, BLOCKED, UNKNOWN)
ENTITY_TYPES: Final = (
    "PHONE_NUMBER", "WABA", "BUSINESS", "APP", "MESSAGE_TEMPLATE", "FLOW", TARGET, MONITOR, DESTINATION,
)  # fmt: skip
_CODE: Final = re.compile("[0-9]{1,9}")
_MIDNIGHT: Final = time()


def routes(top: Section, targets: Collection[str], destinations: Collection[str]) -> tuple[Route, ...]:
    """All routes, in order. Each leads to a destination that is configured."""

    def one(section: Section) -> Route:
        return Route(
            section.need("to", lambda value: _places(value, destinations), (), "[ops]"),
            section.inner("match", lambda inner: _matcher(inner, targets), Matcher()),
            section.take("stop", boolean, default=False),
            section.inner("hours", _weekly, None),
        )

    return top.each("routes", one)


def _places(value: object, known: Collection[str]) -> tuple[str, ...]:
    if value == []:
        raise WrongError("a route to nothing; write at least one destination, or a window or silence to keep quiet")

    def place(one: object) -> str:
        if text(one) not in known:
            raise WrongError(f"{shown(one)} is not one of the destinations{nearest(str(one), known)}")
        return str(one)

    return tuple(dict.fromkeys(words(place)(value)))


def windows(top: Section, targets: Collection[str]) -> tuple[Window, ...]:
    """All maintenance windows."""

    def one(section: Section) -> Window:
        return Window(
            section.need("name", line, "", "nightly import"),
            _weekly(section),
            section.inner("match", lambda inner: _matcher(inner, targets), Matcher()),
            section.take("reason", line, ""),
        )

    return top.each("windows", one)


def severities(top: Section, targets: Collection[str]) -> tuple[SeverityRule, ...]:
    """All severity rules; the first that matches counts."""

    def one(section: Section) -> SeverityRule:
        return SeverityRule(
            Severity(section.need("severity", one_of(SEVERITIES), "info", "warning")),
            section.inner("match", lambda inner: _matcher(inner, targets), Matcher()),
        )

    return top.each("severities", one)


def _weekly(section: Section) -> Weekly:
    return Weekly(
        section.take("days", days, WEEKDAYS),
        section.need("from", clock, _MIDNIGHT, '"09:00"'),
        section.need("to", clock, _MIDNIGHT, '"17:00"'),
        section.need("timezone", zone, "UTC", "Europe/Berlin"),
    )


def digest(section: Section) -> Weekly:
    """When the weekly digest of old troubles comes."""
    at = section.take("time", clock, time(9))
    return Weekly(section.take("day", days, ("mon",)), at, at, section.take("timezone", zone, "UTC"))


def _matcher(section: Section, targets: Collection[str]) -> Matcher:
    def target(value: object) -> str:
        if identifier(value) not in targets:
            raise WrongError(f"{shown(value)} is not the id of a target{nearest(str(value), targets)}")
        return str(value)

    def watched(value: object) -> str:
        return READABLE if value == READABLE else capability(value)

    return Matcher(
        section.take("status", words(word_like(STATUSES)), ()),
        section.take("severity", words(one_of(SEVERITIES)), ()),
        section.take("entity_type", words(word_like(ENTITY_TYPES)), ()),
        section.take("entity", words(line), ()),
        section.take("capability", words(watched), ()),
        section.take("target", words(target), ()),
        section.inner("labels", labels, {}),
        section.take("reason_code", words(whole(0, 10**9)), ()),
        section.take("affected_at_least", whole(0, 10**6), 0),
    )


def runbook(top: Section) -> dict[int | str, Advice]:
    """Our own advice by reason code or cause."""
    known = (*CAUSES, *OUR_CAUSES)

    def one(name: str, section: Section) -> Advice:
        if re.fullmatch("[0-9]{10,}", name):
            section.wrong("not a code; a code has at most nine digits")
        elif not _CODE.fullmatch(name) and name not in known:
            close = closest(name, known)
            section.wrong(f"neither a code nor a cause; write {close or 'a code such as 141006, or a cause'}")
        empty: Any = ""
        return Advice(
            section.take("who", line, empty), section.take("action", text, empty), section.take("link", link, empty)
        )

    found = top.named("runbook", one)
    return {int(name) if _CODE.fullmatch(name) else name: advice for name, advice in found.items()}
