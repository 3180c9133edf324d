"""Define what operators set: acknowledgements and silences, with their matchers."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """An acknowledgement of an incident: no reminders are sent until `until` (None: until it is resolved).

    It ends when the incident is resolved or gets worse than `status`."""

    incident: str
    author: str
    at: datetime
    status: str
    until: datetime | None = None
    note: str = ""


class Matcher(msgspec.Struct, frozen=True, omit_defaults=True):
    """Conditions on an incident. Each field that is set must match; a list matches if one of its values does.

    `entity` matches an entity's id or `TYPE:id`. All `labels` must be on the same affected target."""

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
    """Mutes the matching incidents from `starts_at` to `ends_at`, with its author and reason."""

    id: str
    match: Matcher
    author: str
    reason: str
    starts_at: datetime
    ends_at: datetime
