"""The incidents that one round of notify works on, and which of them must still be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from wabawatch.application.ports import FoldBatch, MemberRow, Outcome, PendingChange, Store
from wabawatch.domain.incident import Incident, Key
from wabawatch.errors import StoreError

_SAVED_AT_ONCE: Final = 500
_LOADED_AT_ONCE: Final = 500


class Counts(msgspec.Struct):
    """What a round did to incidents."""

    opened: int = 0
    resolved: int = 0


class IncidentUnitOfWork:
    """Load incidents, replace them by later forms, write them.

    Two ways of writing: `write_fold` in one transaction with the members and the pending changes that made it, and
    `save` for what needs no more than the incident (its ledger, its next review). Both raise StoreError where another
    notify wrote an incident meanwhile: this one stops, and loses nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._latest: dict[Key, Incident | None] = {}
        self._generations: dict[Key, int] = {}
        self._others: dict[str, Incident] = {}
        self._unsaved: dict[str, Incident] = {}
        self.counts = Counts()
        self.refused: list[str] = []

    def load(self, keys: Iterable[Key]) -> None:
        """Load the latest incidents of keys that are not here yet."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._latest]
        if not wanted:
            return
        found = self._store.latest_incidents(wanted)
        for key in wanted:
            incident = found.get(key)
            self._latest[key] = self._others.pop(incident.id, incident) if incident else None
        gone = [key for key in wanted if key not in found]
        self._generations |= self._store.generations(gone) if gone else {}

    def latest(self, key: Key) -> Incident | None:
        """Return the key's latest incident; the key must have been loaded."""
        return self._latest[key]

    def generation(self, key: Key) -> int:
        """Return the number of the key's latest incident, also where its row is gone; 0 where it never had one."""
        latest = self._latest[key]
        return latest.generation if latest else self._generations.get(key, 0)

    def take(self, incidents: Iterable[Incident]) -> list[Incident]:
        """Work on incidents as they are stored; those that are here already come back as they are here."""
        taken = []
        for incident in incidents:
            here = self.find(incident.id, incident.key)
            if here is None:
                self._others[incident.id] = here = incident
            taken.append(here)
        return taken

    def take_by_id(self, ids: Iterable[str]) -> list[Incident]:
        """Work on incidents as `take` does; those that are not stored are left out."""
        wanted = list(ids)
        found: list[Incident] = []
        for start in range(0, len(wanted), _LOADED_AT_ONCE):
            found += self._store.incidents_by_id(wanted[start : start + _LOADED_AT_ONCE]).values()
        return self.take(found)

    def take_unfinished_before(self, incidents: Iterable[Incident]) -> list[Incident]:
        """Load the earlier incidents of their causes of which something is still to be told."""
        unfinished: dict[str, Incident] = {}
        ids = {one.earlier for one in incidents if one.earlier}
        while ids:
            found = [one for one in self.take_by_id(ids) if not one.is_done]
            unfinished |= {one.id: one for one in found}
            ids = {one.earlier for one in found if one.earlier} - unfinished.keys()
        return list(unfinished.values())

    def find(self, incident_id: str, key: Key) -> Incident | None:
        latest = self._latest.get(key)
        return latest if latest is not None and latest.id == incident_id else self._others.get(incident_id)

    def current(self, incident: Incident) -> Incident:
        """Return the present form of an incident that was taken or loaded."""
        return self.find(incident.id, incident.key) or incident

    def put(self, incident: Incident) -> None:
        """Replace an incident by a later form of it, to be written by `save`."""
        self._place(incident)
        self._unsaved[incident.id] = incident

    def write_fold(
        self,
        incidents: Sequence[Incident],
        members: Sequence[MemberRow],
        folded: Sequence[tuple[PendingChange, int]],
    ) -> bool:
        """Write what a fold made, in one transaction; False where the store can't hold it."""
        written = tuple(_next_version(incident) for incident in incidents)
        outcome = self._store.fold(FoldBatch(written, tuple(members), tuple(folded)))
        if outcome is Outcome.CONFLICT:
            raise _overtaken([incident.id for incident in incidents])
        if outcome is Outcome.REFUSED:
            return False
        for incident in written:
            self._count(self._latest.get(incident.key), incident)
            self._unsaved.pop(incident.id, None)
            self._become_latest(incident)
        return True

    def save(self, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Write what was put, some at a time; False where the time was over before all of it was written.

        One that the store can't hold is left as it was, and named in `refused`."""
        while self._unsaved:
            if is_over():
                return False
            batch = list(islice(self._unsaved.values(), _SAVED_AT_ONCE))
            written = [_next_version(incident) for incident in batch]
            outcomes = self._store.save_incidents(written)
            lost = [one.id for one, outcome in zip(written, outcomes, strict=True) if outcome is Outcome.CONFLICT]
            if lost:
                raise _overtaken(lost)
            for incident, outcome in zip(written, outcomes, strict=True):
                del self._unsaved[incident.id]
                if outcome is Outcome.REFUSED:
                    self.refused.append(incident.id)
                else:
                    self._place(incident)
        return True

    def _place(self, incident: Incident) -> None:
        latest = self._latest.get(incident.key)
        if latest is not None and latest.id == incident.id:
            self._latest[incident.key] = incident
        else:
            self._others[incident.id] = incident

    def _become_latest(self, incident: Incident) -> None:
        before = self._latest.get(incident.key)
        if before is not None and before.id != incident.id:
            self._others[before.id] = before
        self._others.pop(incident.id, None)
        self._latest[incident.key] = incident

    def _count(self, before: Incident | None, after: Incident) -> None:
        was_open = before is not None and before.is_open and before.id == after.id
        self.counts.opened += after.is_open and not was_open
        self.counts.resolved += was_open and not after.is_open


def _next_version(incident: Incident) -> Incident:
    return msgspec.structs.replace(incident, version=incident.version + 1)


def _overtaken(ids: Sequence[str]) -> StoreError:
    return StoreError(f"incident {ids[0]} was written by another notify meanwhile; this one stops")
