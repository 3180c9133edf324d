"""Incidents: one cause, from its first bad transition to recovery, over all targets it affects."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, Reason

Key = tuple[str, str, str]
"""(entity type, entity id, capability): what an incident is about."""

MONITOR: Final = "MONITOR"
"""The entity type of what is wrong with the monitor itself: its sight, its configuration."""
DESTINATION: Final = "DESTINATION"
"""The entity type of a destination that cannot be reached."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A target that an incident affects, since when, and how badly."""

    status: str
    since: datetime


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A point in an incident's story: when, to which status, with how many targets affected, and the reasons' codes."""

    at: datetime
    status: str
    affected: int
    codes: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ledger's line for one destination: what it was last told, and how the deliveries to it fare.

    `status` is None until something was told. `thread` is whatever the notifier wants back next time (a Slack `ts`, a
    routing key's name; never a secret)."""

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
    attempts: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    error: str = ""
    worst: str = AVAILABLE
    """The worst that the incident had been by then."""


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cause and everything known of it. `version` counts writes; `revision` counts changes that people may hear of.

    `status` is the worst of its members now (AVAILABLE once resolved), `worst` the worst it ever was. `folded` maps
    every target that ever took part to the sequence number of its last folded transition, so that folding again
    changes nothing. `due_at` is the next instant at which somebody may have to be told, whatever else happens.
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
    version: int = 0
    revision: int = 1
    resolved_at: datetime | None = None
    resolution: str = ""
    """`recovered`, `gone` (no longer reported), or `unwatched` (no longer configured)."""
    found: bool = False
    """It was there when we first looked; when it began is not known."""
    reasons: tuple[Reason, ...] = ()
    members: dict[str, Member] = {}
    left: tuple[str, ...] = ()
    """Targets that were affected and are not any more, in the order in which they left."""
    folded: dict[str, int] = {}
    changes: tuple[Change, ...] = ()
    flapping_since: datetime | None = None
    ledger: dict[str, Told] = {}
    due_at: datetime | None = None

    @property
    def key(self) -> Key:
        return (self.entity_type, self.entity_id, self.capability)

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def about_monitor(self) -> bool:
        return self.entity_type in {MONITOR, DESTINATION}

    @property
    def told_status(self) -> str:
        return self.status if self.is_open else AVAILABLE
