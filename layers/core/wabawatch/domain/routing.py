"""Rules from incidents to destinations, and the times at which they hold."""

from __future__ import annotations

import msgspec

from wabawatch.domain.schedule import Weekly
from wabawatch.domain.silence import Matcher


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule from incidents to destinations: all that match apply, in order, until one says `stop`.

    `hours` holds back what can wait until they begin; None: at any time."""

    to: tuple[str, ...]
    match: Matcher = Matcher()
    stop: bool = False
    hours: Weekly | None = None


class SeverityRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first rule that matches gives the severity: critical, error, warning or info."""

    severity: str
    match: Matcher = Matcher()


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """A maintenance window: a silence that comes again each week."""

    name: str
    when: Weekly
    match: Matcher = Matcher()
    reason: str = ""
