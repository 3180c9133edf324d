"""Correlate transitions into incidents, one for each (entity type, entity id, capability), over all targets.

The store writes the result and marks the transitions as folded in one transaction, so that each counts exactly once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, CALLING, GONE, READABLE, UNKNOWN, Reason, identify_reasons, rank, worst
from wabawatch.domain.incident import DESTINATION, INLINE_MEMBERS, MONITOR, Change, Incident, Key, Member, Resolution
from wabawatch.domain.policy import Flapping, Policy
from wabawatch.domain.snapshot import Transition

_MAX_CHANGES: Final = 50
_SAME_CHANGE: Final = timedelta(minutes=1)
"""Targets that join or leave within this time are one change of the history. In an outage thousands do; they must not
push the changes of status out of it."""

UNWATCHED: Final = "unwatched"
"""The run id of the transitions that end the states of a target that was removed from the configuration."""


class Fold(msgspec.Struct, frozen=True):
    """The result of `fold`: the latest incident of the key, if there is one, and the member if it changed."""

    incident: Incident | None
    member: Member | None = None


def fold(
    latest: Incident | None, before: Member | None, transition: Transition, policy: Policy, generation: int = 0
) -> Fold:
    """Apply a transition that was not folded yet to the latest incident of its key, or open a new one.

    `latest` is open or resolved. `generation` is its number, which is known even if the incident is no longer stored.
    `before` is the target's member in it, None if it is none. The result holds the same incident if nothing changed."""
    if latest is not None and latest.is_open:
        return _update(latest, before, transition, policy)
    if rank(transition.new) == 0 or transition.caused_by or not makes_incident(transition, policy):
        return Fold(latest)
    return _open(latest, before, transition, policy, latest.generation if latest else generation)


def makes_incident(transition: Transition, policy: Policy) -> bool:
    """Return whether a transition can open an incident: by its capability, or because it is the monitor's own problem.

    Calling counts only if it was available before: a number that does not use it is always reported as BLOCKED."""
    if transition.capability in policy.capabilities or transition.capability == READABLE:
        return True
    if transition.entity_type in {MONITOR, DESTINATION}:
        return True
    return transition.capability == CALLING and transition.was_available


def incident_id(key: Key, generation: int, target: str, seq: int) -> str:
    """Derive a short id from the first transition, so that it is the same if the transition is folded again."""
    text = "\x1f".join((*key, str(generation), target, str(seq)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _open(
    latest: Incident | None, before: Member | None, transition: Transition, policy: Policy, generation: int
) -> Fold:
    """Open a new incident, or reopen the latest one if the key flaps."""
    member = Member(transition.new, transition.since)
    changes = _extend_history(latest.changes if latest else (), transition, transition.new, 1, transition.reasons)
    if latest is not None and _is_flapping(latest, changes, transition.at, policy.flapping):
        reopened = msgspec.structs.replace(
            latest,
            status=transition.new,
            worst=worst([latest.worst, transition.new]),
            confirmed_at=transition.at,
            changed_at=transition.at,
            revision=latest.revision + 1,
            resolved_at=None,
            resolution=None,
            reasons=transition.reasons,
            changes=changes,
            flapping_since=latest.flapping_since or transition.at,
        )
        return Fold(_count_member(reopened, transition.target, before, member), member)
    opened = Incident(
        incident_id(transition.key, generation + 1, transition.target, transition.seq),
        *transition.key,
        status=transition.new,
        worst=transition.new,
        opened_at=transition.since,
        confirmed_at=transition.at,
        changed_at=transition.at,
        generation=generation + 1,
        earlier=latest.id if latest is not None and not latest.is_done else "",
        preexisting=transition.old is None,
        reasons=transition.reasons,
        changes=changes,
    )
    return Fold(_count_member(opened, transition.target, None, member), member)


def _update(incident: Incident, before: Member | None, transition: Transition, policy: Policy) -> Fold:
    """Let a target join, stay in or leave an open incident. One that is healthy and not a member changes nothing."""
    was_affected = before is not None and before.is_affected
    is_bad = rank(transition.new) > 0
    if not was_affected and not is_bad:
        return Fold(incident)
    if is_bad:
        since = before.since if before is not None and was_affected else transition.since
        member = Member(transition.new, since)
    else:
        member = Member("", transition.at)
    moved = _count_member(incident, transition.target, before, member)
    status = worst(sorted(moved.counts)) if moved.counts else AVAILABLE
    reasons = transition.reasons if is_bad else incident.reasons
    has_moved = (status, moved.affected) != (incident.status, incident.affected)
    is_changed = has_moved or identify_reasons(reasons) != identify_reasons(incident.reasons)
    changes = incident.changes
    if is_changed:
        changes = _extend_history(changes, transition, status, moved.affected, reasons)
    updated = msgspec.structs.replace(
        moved,
        status=status,
        worst=worst([incident.worst, status]),
        changed_at=max(transition.at, incident.changed_at) if is_changed else incident.changed_at,
        revision=incident.revision + is_changed,
        resolved_at=None if moved.affected else max(transition.at, incident.opened_at),
        resolution=None if moved.affected else _resolution(transition),
        reasons=reasons,
        changes=changes,
        flapping_since=_flapping_since(incident, changes, transition.at, policy.flapping),
    )
    return Fold(updated, member if member != before else None)


def _count_member(incident: Incident, target: str, before: Member | None, after: Member) -> Incident:
    """Return the incident with a changed member counted, and named if there is room."""
    counts = dict(incident.counts)
    recovered = incident.recovered
    if before is not None and before.is_affected:
        counts[before.status] -= 1
        if not counts[before.status]:
            del counts[before.status]
    elif before is not None:
        recovered -= 1
    if after.is_affected:
        counts[after.status] = counts.get(after.status, 0) + 1
    else:
        recovered += 1
    has_rows = incident.has_member_rows or sum(counts.values()) + recovered > INLINE_MEMBERS
    return msgspec.structs.replace(
        incident,
        counts=counts,
        recovered=recovered,
        named=_name_member(incident.named, target, after),
        has_member_rows=has_rows,
    )


def _name_member(named: dict[str, Member], target: str, member: Member) -> dict[str, Member]:
    """Add a member to the named ones, INLINE_MEMBERS at most; an affected one replaces one that has recovered."""
    if target in named or len(named) < INLINE_MEMBERS:
        return {**named, target: member}
    if not member.is_affected:
        return named
    recovered = next((name for name, other in named.items() if not other.is_affected), None)
    if recovered is None:
        return named
    return {**{name: other for name, other in named.items() if name != recovered}, target: member}


def _resolution(transition: Transition) -> Resolution:
    if transition.new != GONE:
        return Resolution.RECOVERED
    return Resolution.UNWATCHED if transition.run_id == UNWATCHED else Resolution.GONE


def _extend_history(
    changes: tuple[Change, ...],
    transition: Transition,
    status: str,
    affected: int,
    reasons: tuple[Reason, ...],
) -> tuple[Change, ...]:
    codes = tuple(sorted(identify_reasons(reasons)))
    last = changes[-1] if changes else None
    if last is not None and (last.status, last.codes) == (status, codes) and transition.at - last.at < _SAME_CHANGE:
        return (*changes[:-1], Change(last.at, status, affected, codes))
    return (*changes, Change(transition.at, status, affected, codes))[-_MAX_CHANGES:]


def count_status_changes(changes: tuple[Change, ...], now: datetime, window: timedelta) -> int:
    """Count the changes of status within the window, its first change included.

    Changes in the future do not count: they were made before the clock was set back."""
    recent = [change for change in changes if now - window < change.at <= now + _SAME_CHANGE]
    return sum(earlier.status != later.status for earlier, later in pairwise(recent)) + bool(recent)


def _is_flapping(incident: Incident, changes: tuple[Change, ...], now: datetime, flapping: Flapping) -> bool:
    """Decide with hysteresis: flapping starts at `high` changes and ends at `low`, as in Icinga and Nagios."""
    return count_status_changes(changes, now, flapping.window) >= (
        flapping.low + 1 if incident.flapping_since else flapping.high
    )


def _flapping_since(
    incident: Incident, changes: tuple[Change, ...], now: datetime, flapping: Flapping
) -> datetime | None:
    return (incident.flapping_since or now) if _is_flapping(incident, changes, now, flapping) else None


def end_flapping(incident: Incident, now: datetime, flapping: Flapping) -> Incident:
    """End the flapping of an incident that has changed no more than `low` times within the window."""
    if incident.flapping_since is None or _is_flapping(incident, incident.changes, now, flapping):
        return incident
    return msgspec.structs.replace(incident, flapping_since=None, revision=incident.revision + 1)


def monitor_transition(
    latest: Incident | None, key: Key, problem: Reason | None, now: datetime, *, status: str = UNKNOWN
) -> Transition | None:
    """Return a problem of the monitor itself as a transition, or its recovery if `problem` is None.

    Return None if the latest incident of the key shows it already."""
    is_open = latest is not None and latest.is_open
    new = status if problem else AVAILABLE
    if problem is None and not is_open:
        return None
    reasons = (problem,) if problem else ()
    if latest and is_open and new == latest.status and identify_reasons(reasons) == identify_reasons(latest.reasons):
        return None
    seq = latest.revision + 1 if latest else 1
    old = latest.status if latest and is_open else AVAILABLE
    return Transition(key.entity_id, seq, *key, old=old, new=new, at=now, since=now, reasons=reasons)
