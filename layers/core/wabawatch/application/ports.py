"""The ports: what the use cases ask of the world. Adapters implement them; tests have fakes by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from wabawatch.domain.health import Observation
from wabawatch.domain.incidents import Incident, Key
from wabawatch.domain.messages import Notification
from wabawatch.domain.runs import Run
from wabawatch.domain.steering import Acknowledgement, Silence
from wabawatch.domain.transitions import Snapshot, Transition


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One monitored WhatsApp number. `api_key` is a reference, never the key; `base_url` overrides the source's."""

    id: str
    name: str
    api_key: str
    labels: dict[str, str] = {}
    base_url: str | None = None


class Change(msgspec.Struct, frozen=True):
    """What one observation changes: the snapshot that follows (its version is the expected one plus 1), its
    transitions, and the observation itself for the log of readings. Transitions have the observation's instant."""

    snapshot: Snapshot
    transitions: tuple[Transition, ...]
    observation: Observation


class Receipt(msgspec.Struct, frozen=True):
    """A destination took the notification. `thread` is kept with the incident and handed back with the next one."""

    thread: Mapping[str, str] = {}


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class HealthSource(Protocol):
    """Reads targets. Never raises for one target's trouble: that is an Observation with a Failure."""

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, stopped: Callable[[], bool] = ...
    ) -> Iterable[Observation]:
        """Observations as they come in, in any order. Starts no probe after `until` or once `stopped()`; a target that
        was not started yields nothing."""
        ...


class Notifier(Protocol):
    """Speaks one vendor's protocol for one destination."""

    kind: str

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        """Send, or raise DeliveryError: lasting, or worth another try, with the wait the vendor asked for."""
        ...


class Store(Protocol):
    """State. One behavioural suite holds for every implementation (tests/contract)."""

    # --- poll: the only writer of snapshots
    def snapshots(self, targets: Sequence[str]) -> dict[str, Snapshot]:
        """Of those that have one. May lag behind commits by moments: the condition of `commit` guards."""
        ...

    def every_snapshot(self) -> list[Snapshot]:
        """All of them, of targets no longer configured too: after a change of the configuration, not on a schedule."""
        ...

    def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write each change in one transaction of its own (grouping is the store's business): the snapshot if its
        stored version is `snapshot.version - 1`, its transitions as pending, its observation. False: the
        condition failed, and nothing of that change was written."""
        ...

    def save_run(self, run: Run) -> None:
        """Insert or replace by (id, shard)."""
        ...

    def runs(self, limit: int) -> list[Run]:
        """The latest runs, newest first."""
        ...

    # --- notify: the only writer of incidents
    def pending(self, limit: int) -> list[Transition]:
        """Transitions not yet folded, strongly consistent, the oldest first, each target's in the order of `seq`. A
        store that keeps a change together may hand out more than `limit`, and fewer only when there are no more."""
        ...

    def mark_folded(self, transitions: Sequence[Transition]) -> None:
        """Idempotent. Where a change is kept together, it is folded when its last transition is."""
        ...

    def latest_incidents(self, keys: Sequence[Key]) -> dict[Key, Incident]:
        """The latest incident of each key, open or resolved."""
        ...

    def open_incidents(self) -> list[Incident]:
        """Incidents that are open, and resolved ones that some destination still has to hear of (`due_at` is set)."""
        ...

    def due_incidents(self, now: datetime) -> list[Incident]:
        """Incidents whose `due_at` is at or before now."""
        ...

    def incident(self, incident_id: str) -> Incident | None: ...

    def incidents(self, limit: int) -> list[Incident]:
        """Open and resolved ones, the latest opened first."""
        ...

    def save_incidents(self, incidents: Sequence[Incident]) -> list[bool]:
        """Write each one whose stored version is `incident.version - 1` (0: none is stored), each by itself. False: it
        was not, and nothing of it was written."""
        ...

    def acquire_lease(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
        """Take or extend the lease; False while another owner's lasts. One that would last longer than twice the `ttl`
        was taken before the clock was set back, and counts as over."""
        ...

    def release_lease(self, name: str, owner: str) -> None: ...

    # --- people
    def save_silence(self, silence: Silence) -> None: ...

    def silences(self) -> list[Silence]:
        """All that have not been purged, ended ones of the last days among them."""
        ...

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        """One for each incident; a later one replaces it."""
        ...

    def acknowledgements(self) -> dict[str, Acknowledgement]: ...

    # --- history
    def history(
        self, target: str | None = None, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Transition]:
        """The transition log from `since` until before `until`, the latest first."""
        ...

    def observations(
        self, target: str, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Observation]:
        """The readings that changed something, from `since` until before `until`, the latest first."""
        ...

    # --- small documents of the application: the last good configuration, cursors
    def document(self, name: str) -> bytes | None: ...

    def save_document(self, name: str, body: bytes) -> None: ...

    def purge(self, before: datetime) -> int:
        """Forget history, runs, resolved incidents that nobody waits for, ended silences from before then; how many
        rows went. Snapshots, open incidents and pending transitions stay. A store with its own expiry returns 0."""
        ...

    def close(self) -> None: ...
