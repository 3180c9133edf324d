"""Which targets an incident affects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from wabawatch.application.ports import Store
from wabawatch.domain.incident import Incident


def affected_targets(store: Store, incident: Incident) -> Iterator[str]:
    """Yield the targets that an open incident affects, or all that one which is over did; none where it is about the
    monitor. Reads the rows of a large incident's members."""
    if incident.about_monitor:
        return
    members = store.members(incident.id) if incident.has_member_rows else iter(incident.named.items())
    for target, member in members:
        if member.is_affected or not incident.is_open:
            yield target


def some_affected_targets(store: Store, incident: Incident, limit: int) -> tuple[str, ...]:
    """Return some of them, without reading rows where the incident itself names enough."""
    if incident.about_monitor:
        return ()
    named = [target for target, member in incident.named.items() if member.is_affected or not incident.is_open]
    total = incident.affected if incident.is_open else incident.total_affected
    if len(named) >= min(limit, total):
        return tuple(named[:limit])
    return tuple(islice(affected_targets(store, incident), limit))
