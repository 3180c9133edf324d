"""Incidents: one cause, from its first bad transition to recovery, over all targets it affects."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, Reason
from wabawatch.domain.snapshot import Key as Key  # noqa: PLC0414 - a name of this module, too

MONITOR: Final = "MONITOR"
"""The entity type of what is wrong with the monitor itself: its sight, its configuration."""
DESTINATION: Final = "DESTINATION"
"""The entity type of a destination that cannot be reached."""

INLINE_MEMBERS: Final = 20
"""How many targets an incident holds in its own row; the members of a larger one are rows of their own as well."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A target that took part in an incident. `status` is how bad it is now, "" once it is not affected any more;
    `since` is when it joined, or left."""

    status: str
    since: datetime

    @property
    def is_affected(self) -> bool:
        return bool(self.status)


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A point in an incident's story: when, to which status, with how many targets affected, and the reasons' codes."""

    at: datetime
    status: str
    affected: int
    codes: tuple[str, ...] = ()


class NotificationState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one destination was last sent about the incident.

    `status` is None until something was sent. `last_id` is the id of the last notification that was recorded. `thread`
    is whatever the notifier wants back next time (a Slack `ts`, a routing key's name; never a secret)."""

    status: str | None = None
    revision: int = 0
    reasons: tuple[str, ...] = ()
    affected: int = 0
    at: datetime | None = None
    first_at: datetime | None = None
    flapping: bool = False
    reminders: int = 0
    count: int = 0
    thread: dict[str, str] = {}
    worst: str = AVAILABLE
    """The worst that the incident had been by then."""
    last_id: str = ""


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cause and everything known of it. `version` counts writes; `revision` counts changes that people may hear of.

    `generation` counts the incidents of one key, from 1: the largest is the latest, whatever the clocks said. `earlier`
    is the id of the one before, where something of that one was still to be told when this one began.
    `status` is the worst of its members now (AVAILABLE once resolved), `worst` the worst it ever was. `due_at` is the
    next instant at which somebody may have to be told, whatever else happens.

    `counts` says how many targets are affected now, by status; `recovered` how many were affected and are not any more.
    `named` holds all of them while they are INLINE_MEMBERS at most; of a larger incident (`has_member_rows`) it holds
    some of those affected now, for messages, and every member has a row of its own in the store.
    """

    id: str
    entity_type: str
    entity_id: str
    capability: str
    status: str
    worst: str
    opened_at: datetime
    """The first observation of the streak that confirmed it."""
    confirmed_at: datetime
    changed_at: datetime
    generation: int = 1
    earlier: str = ""
    version: int = 0
    revision: int = 1
    resolved_at: datetime | None = None
    resolution: str = ""
    """`recovered`, `gone` (no longer reported), or `unwatched` (no longer configured)."""
    preexisting: bool = False
    """It was there when we first looked; when it began is not known."""
    reasons: tuple[Reason, ...] = ()
    counts: dict[str, int] = {}
    recovered: int = 0
    named: dict[str, Member] = {}
    has_member_rows: bool = False
    changes: tuple[Change, ...] = ()
    flapping_since: datetime | None = None
    notification_log: dict[str, NotificationState] = {}
    due_at: datetime | None = None

    @property
    def key(self) -> Key:
        return Key(self.entity_type, self.entity_id, self.capability)

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def is_done(self) -> bool:
        """Whether it is over and nothing more will be told of it."""
        return self.resolved_at is not None and self.due_at is None

    @property
    def affected(self) -> int:
        """How many targets are affected now."""
        return sum(self.counts.values())

    @property
    def total_affected(self) -> int:
        """How many targets were ever affected."""
        return self.affected + self.recovered

    @property
    def about_monitor(self) -> bool:
        return self.entity_type in {MONITOR, DESTINATION}

    @property
    def notified_status(self) -> str:
        return self.status if self.is_open else AVAILABLE
