"""The ports: interfaces that the use cases need and the adapters implement. Each use case names the ports that it
uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Observation
from wabawatch.domain.incident import Incident, Key, Member
from wabawatch.domain.notification import Notification, QueuedNotification
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Silence
from wabawatch.domain.snapshot import Snapshot, Transition


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One monitored WhatsApp number. `api_key` is a reference, never the key; `base_url` overrides the source's."""

    id: str
    name: str
    api_key: str
    labels: dict[str, str] = {}
    base_url: str | None = None


class Change(msgspec.Struct, frozen=True):
    """Hold what one observation changes: the next snapshot (its version is the expected one plus 1), its
    transitions, and the observation itself for the log of readings. Transitions have the observation's instant."""

    snapshot: Snapshot
    transitions: tuple[Transition, ...]
    observation: Observation


class Receipt(msgspec.Struct, frozen=True):
    """A destination accepted the notification. `thread` is stored with the incident and passed to the next delivery."""

    thread: Mapping[str, str] = {}


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        ...


class HealthSource(Protocol):
    """Reads targets. A target that cannot be read is an Observation with a Failure, never an exception."""

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, should_stop: Callable[[], bool] = ...
    ) -> Iterable[Observation]:
        """Yield observations as they come in, in any order. Starts no probe after `until` or once `should_stop()`; a
        target that was not started yields nothing."""
        ...


class Notifier(Protocol):
    """Sends notifications to one destination by its vendor's protocol."""

    kind: str

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        """Send, or raise DeliveryError, which says whether another try helps and after which wait."""
        ...


class SubscriptionCounts(msgspec.Struct, frozen=True):
    """A topic's subscriptions by state, as SNS counts them."""

    confirmed: int
    pending: int = 0
    deleted: int = 0


@runtime_checkable
class Topic(Protocol):
    """A topic accepts messages also without subscribers. `may_be_empty`: that is no problem."""

    topic_arn: str
    may_be_empty: bool

    def count_subscriptions(self) -> SubscriptionCounts:
        """Raises DeliveryError."""
        ...


class Outcome(StrEnum):
    """The outcome of writing one change."""

    WRITTEN = "written"
    CONFLICT = "conflict"
    """Another pass was faster: nothing of the change was written."""
    REFUSED = "refused"
    """The store can't hold it (too large, a full partition): nothing of the change was written."""


class PendingChange(msgspec.Struct, frozen=True):
    """A committed change of which some transitions are not folded yet; `at` is its observation's instant."""

    target: str
    at: datetime
    transitions: tuple[Transition, ...]


class MemberRow(msgspec.Struct, frozen=True):
    """A target's part in a large incident."""

    incident_id: str
    target: str
    member: Member


class FoldBatch(msgspec.Struct, frozen=True):
    """The rows of one transaction that folds transitions.

    `incidents` are written upon the version before theirs. `folded` has, for each change that was worked on, the number
    of its last transition that is folded now."""

    incidents: tuple[Incident, ...] = ()
    members: tuple[MemberRow, ...] = ()
    folded: tuple[tuple[PendingChange, int], ...] = ()


class SetAside(msgspec.Struct, frozen=True):
    """A row that could not be read, folded or written, kept for examination. `kind` and `name` identify it; `error`
    says why it was set aside."""

    kind: str
    name: str
    at: datetime
    error: str


class SnapshotStore(Protocol):
    """The state of each target. Only poll writes it."""

    def snapshots(self, targets: Sequence[str]) -> dict[str, Snapshot]:
        """Return the snapshots of those targets that have one. Reads may lag behind commits by moments; the condition
        of `commit` protects against that. A snapshot that can't be decoded comes back `is_reset`, with its version and
        number and nothing else."""
        ...

    def every_snapshot(self) -> Iterator[Snapshot]:
        """Yield all of them, a page at a time, also of targets that are no longer configured. Expensive: used after a
        change of the configuration, not on a schedule."""
        ...

    def commit(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write each change in one transaction of its own (the store may group them): the snapshot if its stored
        version is `snapshot.version - 1`, its transitions as pending, its observation."""
        ...


class RunStore(Protocol):
    """The record of runs: what was read and what was not."""

    def save_run(self, run: Run) -> None:
        """Insert or replace by (id, shard)."""
        ...

    def runs(self, limit: int) -> list[Run]:
        """Return the latest runs, newest first."""
        ...

    def save_coverage(self, coverage: ShardCoverage) -> None:
        """Insert or replace by (shard, of)."""
        ...

    def coverages(self) -> list[ShardCoverage]:
        """Return the coverage of every shard, by (of, shard); consistent."""
        ...

    def remove_coverage(self, shard: int, of: int) -> None: ...

    def save_day(self, day: DayCoverage) -> None:
        """Insert or replace by (day, shard, of)."""
        ...

    def days(self, since: date, until: date) -> list[DayCoverage]:
        """Return days from `since` until before `until`, the earliest first."""
        ...


class IncidentStore(Protocol):
    """Incidents, the pending changes that they are made of, and the queue of notifications. Only notify writes it."""

    fold_limit: int
    """Rows that one FoldBatch may write: an incident counts three, a member and a folded change one each."""

    def pending(self, limit: int) -> list[PendingChange]:
        """Return changes with transitions that are not folded yet, strongly consistent, the oldest first, each target's
        in the order of `seq`; fewer than `limit` only when there are no more."""
        ...

    def fold(self, batch: FoldBatch) -> Outcome:
        """Write a batch in one transaction. CONFLICT: another notify wrote one of the incidents meanwhile, or a new one
        (version 1) has a generation that is not larger than that of its key's latest. What is not WRITTEN changed
        nothing."""
        ...

    def set_aside_change(self, change: PendingChange, error: str) -> None:
        """Take a change out of what is pending, and keep it aside. Its transitions stay in the history."""
        ...

    def set_aside(self, since: datetime) -> list[SetAside]:
        """Return what was set aside since then, the latest first, at most 100."""
        ...

    def latest_incidents(self, keys: Sequence[Key]) -> dict[Key, Incident]:
        """Return the incident of each key with the largest generation, open or resolved. A key whose latest row is gone
        (purged, set aside) is left out, also where an earlier incident is there."""
        ...

    def generations(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Return the largest generation of each key that ever had an incident, also where that incident's row is gone:
        the next one's is larger."""
        ...

    def open_incidents(self, after: str = "", limit: int | None = None) -> list[Incident]:
        """Return incidents that are not done (see Incident.is_done), by id, those after `after`."""
        ...

    def due_incidents(self, now: datetime, limit: int | None = None) -> list[Incident]:
        """Return incidents whose `due_at` is at or before now, those due longest first."""
        ...

    def incident(self, incident_id: str) -> Incident | None: ...

    def incidents_by_id(self, ids: Sequence[str]) -> dict[str, Incident]:
        """Return those that are there."""
        ...

    def incidents(self, limit: int) -> list[Incident]:
        """Return open and resolved ones, the latest opened first."""
        ...

    def save_incidents(self, incidents: Sequence[Incident]) -> list[Outcome]:
        """Write each one whose stored version is `incident.version - 1`, each by itself; a new one as in `fold`."""
        ...

    def members(self, incident_id: str) -> Iterator[tuple[str, Member]]:
        """Yield the rows of a large incident's members, by target, a page at a time."""
        ...

    def members_of(self, rows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Member]:
        """Return those (incident id, target) that have a row; strongly consistent."""
        ...

    def queue(self, notifications: Sequence[QueuedNotification]) -> None:
        """Insert or replace by id."""
        ...

    def queued(self) -> list[QueuedNotification]:
        """Return all of them, by destination and id; strongly consistent."""
        ...

    def unqueue(self, ids: Sequence[str]) -> None: ...


class LeaseStore(Protocol):
    """Leases, so that two processes do not do the same work."""

    def acquire_lease(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Take or extend the lease; False while another owner's is valid. A lease that would last longer than twice the
        `ttl` was taken before the clock was set back, and counts as expired."""
        ...

    def release_lease(self, name: str, owner: str) -> None: ...


class OperatorActionStore(Protocol):
    """Silences and acknowledgements."""

    def save_silence(self, silence: Silence) -> None: ...

    def silences(self) -> list[Silence]:
        """Return all that have not been purged, also those that ended in the last days."""
        ...

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        """Keep one for each incident; a later one replaces it."""
        ...

    def acknowledgements(self) -> dict[str, Acknowledgement]: ...


class HistoryStore(Protocol):
    """The transition log and the observations that changed something."""

    def history(
        self, target: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Transition]:
        """Return transitions from `since` until before `until`, the latest first."""
        ...

    def observations(
        self, target: str, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Observation]:
        """Return observations from `since` until before `until`, the latest first."""
        ...


class DocumentStore(Protocol):
    """Small documents of the application: the last good configuration, cursors."""

    def document(self, name: str) -> bytes | None: ...

    def save_document(self, name: str, body: bytes) -> None: ...


class Store(
    SnapshotStore,
    RunStore,
    IncidentStore,
    LeaseStore,
    OperatorActionStore,
    HistoryStore,
    DocumentStore,
    Protocol,
):
    """All of the state. One behavioural suite holds for every implementation (tests/contract); docs/storage.md
    describes the rows.

    A row that can't be decoded is set aside, and the other rows are returned. A row of a later format raises
    SchemaError."""

    def purge(self, before: datetime) -> int:
        """Delete history, runs, incidents that are done, ended silences and what was set aside from before then; return
        how many rows went. Snapshots, incidents that are not done, pending transitions, queued notifications, the
        number of each key's latest generation, and the coverage of days stay. A store with its own expiry returns 0."""
        ...

    def close(self) -> None: ...
