"""correlate: fold transitions into incidents, one for each (entity type, entity id, capability), over all targets.

The store takes what a fold made and the mark that its transitions are folded in one transaction, so that each
transition counts exactly once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, CALLING, GONE, READABLE, UNKNOWN, Reason, identify_reasons, rank, worst
from wabawatch.domain.incident import DESTINATION, INLINE_MEMBERS, MONITOR, Change, Incident, Key, Member
from wabawatch.domain.policy import Flapping, Policy
from wabawatch.domain.snapshot import Transition

_STORY: Final = 50
_SAME_POINT: Final = timedelta(minutes=1)
"""Within which targets that join or leave are one point of the story: thousands do in an outage, and must not push out
the changes of status."""

UNWATCHED: Final = "unwatched"
"""The run id of the transitions that close what a target held when it left the configuration."""


class Fold(msgspec.Struct, frozen=True):
    """What a transition did. `incident` is the key's latest incident afterwards, None where there is none; `member` is
    the target's new part in it, None where that did not change."""

    incident: Incident | None
    member: Member | None = None


def fold(
    latest: Incident | None, before: Member | None, transition: Transition, policy: Policy, generation: int = 0
) -> Fold:
    """Fold a transition that was not folded yet.

    `latest` is the key's latest incident, open or resolved, and `generation` its number, which is known even where the
    incident is not stored any more; `before` is the target's part in it, None where it has none. The result holds the
    same incident where nothing changed."""
    if latest is not None and latest.is_open:
        return _update(latest, before, transition, policy)
    if rank(transition.new) == 0 or transition.caused_by or not makes_incident(transition, policy):
        return Fold(latest)
    return _open(latest, before, transition, policy, latest.generation if latest else generation)


def makes_incident(transition: Transition, policy: Policy) -> bool:
    """Whether people are told of this capability: those of the policy, a target's readability, the monitor's own
    troubles; and calling, where it is known to have worked (a number that does not use it reports BLOCKED for ever)."""
    if transition.capability in policy.capabilities or transition.capability == READABLE:
        return True
    if transition.entity_type in {MONITOR, DESTINATION}:
        return True
    return transition.capability == CALLING and transition.was_available


def incident_id(key: Key, generation: int, target: str, seq: int) -> str:
    """Short, stable, and the same whoever folds the first transition."""
    text = "\x1f".join((*key, str(generation), target, str(seq)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _open(
    latest: Incident | None, before: Member | None, transition: Transition, policy: Policy, generation: int
) -> Fold:
    """Begin a new incident, or go on with the latest one where the key flaps."""
    member = Member(transition.new, transition.since)
    changes = _extend_story(latest.changes if latest else (), transition, transition.new, 1)
    if latest is not None and _flaps(latest, changes, transition.at, policy.flapping):
        reopened = msgspec.structs.replace(
            latest,
            status=transition.new,
            worst=worst([latest.worst, transition.new]),
            confirmed_at=transition.at,
            changed_at=transition.at,
            revision=latest.revision + 1,
            resolved_at=None,
            resolution="",
            reasons=transition.reasons,
            changes=changes,
            flapping_since=latest.flapping_since or transition.at,
        )
        return Fold(_with_member(reopened, transition.target, before, member), member)
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
    return Fold(_with_member(opened, transition.target, None, member), member)


def _update(incident: Incident, before: Member | None, transition: Transition, policy: Policy) -> Fold:
    """A target joins, stays or leaves. One that was not in it and is well changes nothing."""
    was_affected = before is not None and before.is_affected
    is_bad = rank(transition.new) > 0
    if not was_affected and not is_bad:
        return Fold(incident)
    if is_bad:
        since = before.since if before is not None and was_affected else transition.since
        member = Member(transition.new, since)
    else:
        member = Member("", transition.at)
    moved = _with_member(incident, transition.target, before, member)
    status = _worst_of(moved.counts)
    reasons = transition.reasons if is_bad else incident.reasons
    has_moved = (status, moved.affected) != (incident.status, incident.affected)
    is_news = has_moved or identify_reasons(reasons) != identify_reasons(incident.reasons)
    changes = incident.changes
    if is_news:
        changes = _extend_story(changes, transition, status, moved.affected, reasons)
    updated = msgspec.structs.replace(
        moved,
        status=status,
        worst=worst([incident.worst, status]),
        changed_at=max(transition.at, incident.changed_at) if is_news else incident.changed_at,
        revision=incident.revision + is_news,
        resolved_at=None if moved.affected else max(transition.at, incident.opened_at),
        resolution="" if moved.affected else _resolution(transition),
        reasons=reasons,
        changes=changes,
        flapping_since=_flapping_since(incident, changes, transition.at, policy.flapping),
    )
    return Fold(updated, member if member != before else None)


def _with_member(incident: Incident, target: str, before: Member | None, after: Member) -> Incident:
    """The incident with a target's new part in it counted, and named where there is room."""
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
    """Keep INLINE_MEMBERS at most; one that is affected takes the place of one that is not any more."""
    if target in named or len(named) < INLINE_MEMBERS:
        return {**named, target: member}
    if not member.is_affected:
        return named
    over = next((name for name, other in named.items() if not other.is_affected), None)
    if over is None:
        return named
    return {**{name: other for name, other in named.items() if name != over}, target: member}


def _worst_of(counts: dict[str, int]) -> str:
    return worst(sorted(counts)) if counts else AVAILABLE


def _resolution(transition: Transition) -> str:
    if transition.new != GONE:
        return "recovered"
    return "unwatched" if transition.run_id == UNWATCHED else "gone"


def _extend_story(
    changes: tuple[Change, ...],
    transition: Transition,
    status: str,
    affected: int,
    reasons: tuple[Reason, ...] | None = None,
) -> tuple[Change, ...]:
    codes = tuple(sorted(identify_reasons(transition.reasons if reasons is None else reasons)))
    change = Change(transition.at, status, affected, codes)
    last = changes[-1] if changes else None
    if last is not None and (last.status, last.codes) == (status, codes) and transition.at - last.at < _SAME_POINT:
        return (*changes[:-1], Change(last.at, status, affected, codes))
    return (*changes, change)[-_STORY:]


def count_status_changes(changes: tuple[Change, ...], now: datetime, window: timedelta) -> int:
    """How often the status changed within the window. Changes from the future do not count: the clock was set back."""
    recent = [change for change in changes if now - window < change.at <= now + _SAME_POINT]
    return sum(one.status != two.status for one, two in pairwise(recent)) + bool(recent)


def _flaps(incident: Incident, changes: tuple[Change, ...], now: datetime, flapping: Flapping) -> bool:
    """Two thresholds: it starts with many turns, and lasts until there are few (as Icinga and Nagios do it)."""
    return count_status_changes(changes, now, flapping.window) >= (
        flapping.low + 1 if incident.flapping_since else flapping.high
    )


def _flapping_since(
    incident: Incident, changes: tuple[Change, ...], now: datetime, flapping: Flapping
) -> datetime | None:
    return (incident.flapping_since or now) if _flaps(incident, changes, now, flapping) else None


def end_flapping(incident: Incident, now: datetime, flapping: Flapping) -> Incident:
    """End the flapping of an incident whose story has been calm for long enough."""
    if incident.flapping_since is None or _flaps(incident, incident.changes, now, flapping):
        return incident
    return msgspec.structs.replace(incident, flapping_since=None, revision=incident.revision + 1)


def monitor_transition(
    latest: Incident | None, key: Key, trouble: Reason | None, now: datetime, *, status: str = UNKNOWN
) -> Transition | None:
    """What the monitor says of itself, as a transition; None where it was said already. No trouble: all is well."""
    is_open = latest is not None and latest.is_open
    new = status if trouble else AVAILABLE
    if trouble is None and not is_open:
        return None
    reasons = (trouble,) if trouble else ()
    if latest and is_open and new == latest.status and identify_reasons(reasons) == identify_reasons(latest.reasons):
        return None
    seq = latest.revision + 1 if latest else 1
    old = latest.status if latest and is_open else AVAILABLE
    return Transition(key.entity_id, seq, *key, old=old, new=new, at=now, since=now, reasons=reasons)
