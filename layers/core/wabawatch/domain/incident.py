"""Define incidents: one problem of one capability, over all targets that it affects, until its recovery."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, Reason
from wabawatch.domain.snapshot import Key as Key  # noqa: PLC0414 - a name of this module, too

MONITOR: Final = "MONITOR"
"""The entity type of the monitor's own problems, such as a bad configuration or targets that were not read."""
DESTINATION: Final = "DESTINATION"
"""The entity type of a destination that does not accept notifications."""

INLINE_MEMBERS: Final = 20
"""How many members an incident holds in its own row. Of a larger incident each member has its own row as well."""


class Severity(StrEnum):
    """How urgent an incident is, the most urgent first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


SEVERITIES: Final = tuple(Severity)


class Resolution(StrEnum):
    """How an incident ended."""

    RECOVERED = "recovered"
    GONE = "gone"
    """The API no longer reports the entity."""
    UNWATCHED = "unwatched"
    """The target was removed from the configuration."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A target that is or was affected by an incident. `status` is "" once it is no longer affected; `since` is when it
    joined or left."""

    status: str
    since: datetime

    @property
    def is_affected(self) -> bool:
        return bool(self.status)


class Change(msgspec.Struct, frozen=True, array_like=True):
    """A point in the history of an incident: its status, the number of affected targets, and its reasons.

    `codes` are what `identify_reasons` returns."""

    at: datetime
    status: str
    affected: int
    codes: tuple[str, ...] = ()


class NotificationState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last notification of an incident that one destination was sent: an entry of its notification log.

    `status` is None until a notification was sent. `count` counts the notifications, `reminders` the
    reminders since the status changed. `last_id` is the id of the last one that was recorded. `thread` holds what the
    notifier needs for the next one (a Slack `ts`, the name of a routing key; never a secret)."""

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
    """The worst status of the incident until then."""
    last_id: str = ""


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """One problem and its state.

    `version` counts the writes, `revision` the changes that can be notified. `generation` counts the incidents of one
    key from 1; the largest is the latest, whatever the clocks said. `earlier` is the id of the previous incident of the
    key, if notifications of it were still pending when this one began.

    `status` is the worst status of its members now (AVAILABLE once resolved), `worst` the worst ever. `due_at` is the
    next time at which a notification may be due, even if nothing changes.

    `counts` has the number of targets affected now by status; `recovered` is the number that no longer are. `named`
    holds all members up to INLINE_MEMBERS. Of a larger incident (`has_member_rows`) it holds some that are affected, to
    be named in messages, and each member has its own row in the store.
    """

    id: str
    entity_type: str
    entity_id: str
    capability: str
    status: str
    worst: str
    opened_at: datetime
    """The time of the first observation of the streak that confirmed it."""
    confirmed_at: datetime
    changed_at: datetime
    generation: int = 1
    earlier: str = ""
    version: int = 0
    revision: int = 1
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    preexisting: bool = False
    """The first observation already showed it, so the time of its beginning is not known."""
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
        """Whether it is resolved and no notification of it is due."""
        return self.resolved_at is not None and self.due_at is None

    @property
    def affected(self) -> int:
        """The number of targets affected now."""
        return sum(self.counts.values())

    @property
    def total_affected(self) -> int:
        """The number of targets ever affected."""
        return self.affected + self.recovered

    @property
    def about_monitor(self) -> bool:
        return self.entity_type in {MONITOR, DESTINATION}

    @property
    def notified_status(self) -> str:
        """The status that a notification reports."""
        return self.status if self.is_open else AVAILABLE
