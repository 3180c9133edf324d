"""The incidents that one round of notify works on, and what of them must still be written."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wabawatch.application.errors import StoreError
from wabawatch.application.ports import Store
from wabawatch.domain.incidents import Incident, Key


class Book:
    """A unit of work over incidents: load, put, save. Counts what opened and what was resolved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._latest: dict[Key, Incident] = {}
        self._known: set[Key] = set()
        self._more: dict[str, Incident] = {}
        self._dirty: dict[str, Incident] = {}
        self.opened: set[str] = set()
        self.resolved: set[str] = set()

    def load(self, keys: Iterable[Key]) -> None:
        wanted = [key for key in keys if key not in self._known]
        self._known.update(wanted)
        for key, incident in self._store.latest_incidents(wanted).items() if wanted else ():
            self._latest[key] = self._more.pop(incident.id, incident)

    def latest(self, key: Key) -> Incident | None:
        return self._latest.get(key)

    def keep(self, incident: Incident) -> None:
        """Work on an incident as it is stored, unless it is here already. Whether it is the latest of its key is only
        known of keys that were loaded."""
        latest = self._latest.get(incident.key)
        if latest is None or latest.id != incident.id:
            self._more.setdefault(incident.id, incident)

    def live(self) -> list[Incident]:
        """The incidents of which somebody may have to hear: open ones, and resolved ones that are not told to the end.
        Whoever joins later hears nothing of what was over and done with before."""
        return [one for one in (*self._latest.values(), *self._more.values()) if one.is_open or one.due_at is not None]

    def current(self, incident: Incident) -> Incident:
        latest = self._latest.get(incident.key)
        return latest if latest is not None and latest.id == incident.id else self._more.get(incident.id, incident)

    def put(self, incident: Incident) -> None:
        """Take a later form of an incident, or a new one of a key that was loaded: it is the latest from now on."""
        latest = self._latest.get(incident.key)
        if incident.version == 0 or (latest is not None and latest.id == incident.id):
            if latest is not None and latest.id != incident.id:
                self._more[latest.id] = latest
            self._note(latest, incident)
            self._latest[incident.key] = incident
        else:
            self._more[incident.id] = incident
        self._dirty[incident.id] = incident

    def _note(self, before: Incident | None, after: Incident) -> None:
        was_open = before is not None and before.is_open
        if after.is_open and not was_open:
            self.opened.add(after.id)
        if not after.is_open and was_open:
            self.resolved.add(after.id)

    def save(self) -> int:
        """Write what was put. Somebody else's write in between means that the lease was lost: stop, and lose nothing,
        because what they wrote was made from the same transitions."""
        dirty, self._dirty = list(self._dirty.values()), {}
        written = [msgspec.structs.replace(incident, version=incident.version + 1) for incident in dirty]
        for incident, took in zip(written, self._store.save_incidents(written) if written else (), strict=True):
            if not took:
                raise StoreError(f"incident {incident.id} was written by another notify meanwhile; this one stops")
            self._replace(incident)
        return len(written)

    def _replace(self, incident: Incident) -> None:
        latest = self._latest.get(incident.key)
        if latest is not None and latest.id == incident.id:
            self._latest[incident.key] = incident
        else:
            self._more[incident.id] = incident
