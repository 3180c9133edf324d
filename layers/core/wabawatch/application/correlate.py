"""correlate: fold committed changes, and problems of the monitor itself, into incidents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.ports import Clock, IncidentStore, MemberRow, PendingChange
from wabawatch.application.unit_of_work import IncidentUnitOfWork
from wabawatch.domain.correlation import UNWATCHED, fold, monitor_transition
from wabawatch.domain.health import GONE, Reason
from wabawatch.domain.incident import DESTINATION, INLINE_MEMBERS, MONITOR, Incident, Key, Member
from wabawatch.domain.policy import Policy
from wabawatch.domain.snapshot import Transition
from wabawatch.errors import describe_place

logger = logging.getLogger(__name__)

_READ_AT_ONCE: Final = 1000
_INCIDENT_ROWS: Final = 3
"""What an incident counts in a batch; see Store.fold_limit."""

_SET_ASIDE_FOR: Final = timedelta(days=1)
"""How long a row that was set aside is reported as an open incident."""
STORAGE: Final = Key(MONITOR, "storage", "working")

Step = tuple[PendingChange, Transition]
MemberKey = tuple[str, str]
"""(incident id, target)"""


class Correlator:
    """Fold changes into incidents. A write that changes an incident also makes it due at once, so that a crash right
    after it loses no notification."""

    def __init__(self, store: IncidentStore, incidents: IncidentUnitOfWork, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._incidents = incidents
        self._clock = clock
        self._policy = policy
        self.folded = 0
        self._touched: dict[str, Key] = {}

    def fold_pending(self, is_over: Callable[[], bool]) -> bool:
        """Fold pending changes, the oldest first, until the time is over; return whether there may be more.

        A change that can't be folded is set aside, and the others are folded."""
        while True:
            changes = self._store.pending(_READ_AT_ONCE)
            if changes:
                self._fold(changes)
            if len(changes) < _READ_AT_ONCE:
                return False
            if is_over():
                return True

    def report(self, key: Key, trouble: Reason | None) -> None:
        """Open, update or resolve the incident about the monitor or a destination; `trouble` None: no problem."""
        self._incidents.load([key])
        transition = monitor_transition(self._incidents.latest(key), key, trouble, self._clock.now())
        if transition is not None:
            self._fold_own(transition)

    def report_all(self, troubles: Mapping[str, Reason | None]) -> None:
        """Report several parts of the monitor, by name."""
        self._incidents.load(monitor_key(name) for name in troubles)
        for name, trouble in troubles.items():
            self.report(monitor_key(name), trouble)

    def close_removed(self, destinations: Iterable[str], incidents: Iterable[Incident]) -> None:
        """Close incidents about destinations that are no longer configured."""
        configured = set(destinations)
        for incident in incidents:
            if incident.entity_type == DESTINATION and incident.is_open and incident.entity_id not in configured:
                self._incidents.load([incident.key])
                self._fold_own(_unwatched(incident, self._clock.now()))

    def take_touched(self) -> list[Incident]:
        """Return the incidents that were changed since the last call, as they are now."""
        touched, self._touched = self._touched, {}
        found = (self._incidents.find(incident_id, key) for incident_id, key in touched.items())
        return [incident for incident in found if incident is not None]

    def report_storage(self) -> None:
        """Report rows that were set aside recently, and incidents that could not be written."""
        set_aside = self._store.set_aside(self._clock.now() - _SET_ASIDE_FOR)
        names = [f"{row.kind} {row.name}" for row in set_aside]
        names += [f"incident {incident_id}" for incident_id in self._incidents.refused]
        some = ", ".join(sorted(set(names))[:5])
        detail = f"{len(names)} rows could not be used, and were set aside: {some}"
        self.report(STORAGE, Reason(description="set_aside", detail=detail) if names else None)

    @property
    def has_touched(self) -> bool:
        return bool(self._touched)

    def _fold(self, changes: Sequence[PendingChange]) -> None:
        self._incidents.load(transition.key for change in changes for transition in change.transitions)
        members = self._load_members(changes)
        steps = [(change, transition) for change in changes for transition in change.transitions]
        while steps:
            batch = self._new_batch(members)
            steps = batch.take(steps, self._store.fold_limit)
            self._write(batch, members)

    def _fold_own(self, transition: Transition) -> None:
        """Fold a transition that notify itself detected; there is no pending change to remove."""
        batch = self._new_batch({})
        change = PendingChange(transition.target, transition.at, (transition,))
        batch.take([(change, transition)], self._store.fold_limit)
        if batch.poison or not self._incidents.write_fold(list(batch.incidents.values()), (), ()):
            logger.error("the incident about %s %s could not be written", *transition.key[:2])
            return
        self._touched |= {incident.id: incident.key for incident in batch.incidents.values()}

    def _new_batch(self, members: Mapping[MemberKey, Member]) -> Batch:
        return Batch(self._incidents, members, self._policy, self._clock.now())

    def _load_members(self, changes: Sequence[PendingChange]) -> dict[MemberKey, Member]:
        """Load the member rows of these targets in large incidents."""
        wanted: dict[MemberKey, None] = {}
        for change in changes:
            for transition in change.transitions:
                latest = self._incidents.latest(transition.key)
                if latest is not None and latest.has_member_rows:
                    wanted[latest.id, change.target] = None
        return self._store.members_of(list(wanted)) if wanted else {}

    def _write(self, batch: Batch, members: dict[MemberKey, Member]) -> None:
        """Write a batch. Where the store can't hold it, write each change by itself, so that one does not stop the
        others."""
        if batch.steps:
            rows = [MemberRow(incident_id, target, row) for (incident_id, target), row in batch.members.items()]
            folded = list(batch.folded.values())
            if self._incidents.write_fold(list(batch.incidents.values()), rows, folded):
                members |= batch.members
                self.folded += len(batch.steps)
                self._touched |= {incident.id: incident.key for incident in batch.incidents.values()}
            elif len(folded) == 1:
                self._store.set_aside_change(folded[0][0], "the store can't hold what it makes of its incident")
            else:
                self._write_singly(batch.steps, members)
        for change, error in batch.poison:
            self._store.set_aside_change(change, error)

    def _write_singly(self, steps: Sequence[Step], members: dict[MemberKey, Member]) -> None:
        changes: dict[tuple[str, datetime], list[Step]] = {}
        for change, transition in steps:
            changes.setdefault((change.target, change.at), []).append((change, transition))
        for own in changes.values():
            batch = self._new_batch(members)
            batch.take(own, self._store.fold_limit)
            self._write(batch, members)


class Batch:
    """The result of folding some steps, not written yet. Nothing outside of it changes until it is written."""

    def __init__(
        self, incidents: IncidentUnitOfWork, members: Mapping[MemberKey, Member], policy: Policy, now: datetime
    ) -> None:
        self._stored = incidents
        self._stored_members = members
        self._policy = policy
        self._now = now
        self._latest: dict[Key, Incident] = {}
        self.incidents: dict[str, Incident] = {}
        self.members: dict[MemberKey, Member] = {}
        self.folded: dict[tuple[str, datetime], tuple[PendingChange, int]] = {}
        self.steps: list[Step] = []
        self.poison: list[tuple[PendingChange, str]] = []

    def take(self, steps: Sequence[Step], limit: int) -> list[Step]:
        """Fold steps while the batch stays within `limit` rows; return those that are left.

        A change whose transition can't be folded is `poison`, with the reason; the rest of it is left out."""
        for position, (change, transition) in enumerate(steps):
            if self.steps and self._rows + self._rows_of(change, transition) > limit:
                return self._rest(steps[position:])
            if self.poison and self.poison[-1][0] is change:
                continue
            try:
                self._fold(transition)
            except Exception as error:  # noqa: BLE001 - the border around one change: it must not stop the others
                logger.error("a change of %s can't be folded: %s", change.target, describe_place(error))  # noqa: TRY400
                self.poison.append((change, f"folding it failed with {type(error).__name__}"))
                continue
            self.steps.append((change, transition))
            self.folded[change.target, change.at] = (change, transition.seq)
        return []

    def _rest(self, steps: Sequence[Step]) -> list[Step]:
        """Return the steps that are left; of a change that is cut, with its transitions that are left: the store
        refuses one of which more is folded already."""
        cut = steps[0][0]
        _, last = self.folded.get((cut.target, cut.at), (cut, 0))
        transitions = tuple(transition for transition in cut.transitions if transition.seq > last)
        left = msgspec.structs.replace(cut, transitions=transitions)
        return [(left if change is cut else change, transition) for change, transition in steps]

    @property
    def _rows(self) -> int:
        return _INCIDENT_ROWS * len(self.incidents) + len(self.members) + len(self.folded)

    def _rows_of(self, change: PendingChange, transition: Transition) -> int:
        """How many rows a step may add at most."""
        latest = self._latest_of(transition.key)
        rows = 2 + (0 if latest is not None and latest.id in self.incidents else _INCIDENT_ROWS)
        outgrows = latest is not None and not latest.has_member_rows and latest.total_affected >= INLINE_MEMBERS
        return rows + (INLINE_MEMBERS if outgrows else 0) - ((change.target, change.at) in self.folded)

    def _latest_of(self, key: Key) -> Incident | None:
        return self._latest.get(key) or self._stored.latest(key)

    def _fold(self, transition: Transition) -> None:
        latest = self._latest_of(transition.key)
        before = self._member_of(latest, transition.target) if latest is not None else None
        generation = latest.generation if latest is not None else self._stored.generation(transition.key)
        done = fold(latest, before, transition, self._policy, generation)
        incident = done.incident
        if incident is None or incident is latest:
            return
        if latest is None or (incident.id, incident.revision) != (latest.id, latest.revision):
            incident = msgspec.structs.replace(incident, due_at=self._now)
        self._latest[transition.key] = self.incidents[incident.id] = incident
        if incident.has_member_rows and done.member is not None:
            if latest is not None and latest.id == incident.id and not latest.has_member_rows:
                self.members |= {(incident.id, target): member for target, member in latest.named.items()}
            self.members[incident.id, transition.target] = done.member

    def _member_of(self, incident: Incident, target: str) -> Member | None:
        if not incident.has_member_rows:
            return incident.named.get(target)
        key = (incident.id, target)
        return self.members.get(key) or self._stored_members.get(key)


def monitor_key(name: str) -> Key:
    """Return the key of the incident about a part of the monitor."""
    return Key(MONITOR, name, "working")


def delivery_key(destination: str) -> Key:
    """Return the key of the incident about a destination that accepts nothing."""
    return Key(DESTINATION, destination, "delivery")


def refusals_key(destination: str) -> Key:
    """Return the key of the incident about a destination that refuses some messages."""
    return Key(DESTINATION, destination, "messages")


def subscribers_key(destination: str) -> Key:
    """Return the key of the incident about a topic without a subscriber."""
    return Key(DESTINATION, destination, "subscribers")


def _unwatched(incident: Incident, now: datetime) -> Transition:
    seq = incident.revision + 1
    return Transition(
        incident.entity_id, seq, *incident.key, old=incident.status, new=GONE, at=now, since=now, run_id=UNWATCHED
    )
