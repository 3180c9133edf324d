"""What people say to the monitor: someone has it, be quiet about this."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Someone has it: stops reminders until `until` (None: for as long as the incident lasts). Ends when the incident
    does, and when it gets worse than `status`."""

    incident: str
    author: str
    at: datetime
    status: str
    until: datetime | None = None
    note: str = ""


class Matcher(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule is about. Every field that is given must match; a list matches any of its words.

    `entity` matches an entity's id or `TYPE:id`; `labels` must all be on one and the same affected target."""

    status: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    entity_type: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    capability: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    reason_code: tuple[int, ...] = ()
    affected_at_least: int = 0


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """A time-bounded mute by a matcher, with its author and reason."""

    id: str
    match: Matcher
    author: str
    reason: str
    starts_at: datetime
    ends_at: datetime
