"""correlate: fold transitions into incidents, one for each (entity type, entity id, capability), over all targets.

Folding a transition twice changes nothing, so that a crash between writing an incident and marking its transitions as
folded costs only the work.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from wabawatch.domain.health import AVAILABLE, CALLING, GONE, READABLE, UNKNOWN, Reason, identities, rank, worst
from wabawatch.domain.incidents import DESTINATION, MONITOR, Change, Incident, Key, Member
from wabawatch.domain.policy import Flapping, Policy
from wabawatch.domain.transitions import Transition

_STORY = 50


def fold(latest: Incident | None, transition: Transition, policy: Policy) -> Incident | None:
    """The incident of this key after the transition, or None where there is (still) nothing to tell.

    `latest` is the key's latest incident, open or resolved. The result is the same object where nothing changed."""
    if latest is not None and latest.folded.get(transition.target, 0) >= transition.seq:
        return latest
    if latest is not None and latest.is_open:
        return _updated(latest, transition, policy)
    if rank(transition.new) == 0 or transition.because or not makes_incident(transition, policy):
        return latest
    return _opened(latest, transition, policy)


def makes_incident(transition: Transition, policy: Policy) -> bool:
    """Whether people are told of this capability: those of the policy, a target's readability, the monitor's own
    troubles; and calling, where it is known to have worked (a number that does not use it reports BLOCKED for ever)."""
    if transition.capability in policy.capabilities or transition.capability == READABLE:
        return True
    if transition.entity_type in {MONITOR, DESTINATION}:
        return True
    return transition.capability == CALLING and transition.proven


def incident_id(key: Key, target: str, seq: int) -> str:
    """Short, stable, and the same whoever folds the first transition."""
    text = "\x1f".join((*key, target, str(seq)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _opened(latest: Incident | None, transition: Transition, policy: Policy) -> Incident:
    changes = _story(latest.changes if latest else (), transition, transition.new, 1)
    folded = {**(latest.folded if latest else {}), transition.target: transition.seq}
    members = {transition.target: Member(transition.new, transition.since)}
    if latest is not None and _flaps(latest, changes, transition.at, policy.flapping):
        return msgspec.structs.replace(
            latest,
            status=transition.new,
            worst=worst([latest.worst, transition.new]),
            confirmed_at=transition.at,
            changed_at=transition.at,
            revision=latest.revision + 1,
            resolved_at=None,
            resolution="",
            reasons=transition.reasons,
            members=members,
            left=(),
            folded=folded,
            changes=changes,
            flapping_since=latest.flapping_since or transition.at,
        )
    return Incident(
        incident_id(transition.key, transition.target, transition.seq),
        *transition.key,
        status=transition.new,
        worst=transition.new,
        opened_at=transition.since,
        confirmed_at=transition.at,
        changed_at=transition.at,
        found=transition.old is None,
        reasons=transition.reasons,
        members=members,
        folded=folded,
        changes=changes,
    )


def _updated(incident: Incident, transition: Transition, policy: Policy) -> Incident:
    """A target joins, stays or leaves. One that was not in it and is well changes nothing but the count of folds."""
    folded = {**incident.folded, transition.target: transition.seq}
    before = incident.members.get(transition.target)
    is_bad = rank(transition.new) > 0
    if before is None and not is_bad:
        return msgspec.structs.replace(incident, folded=folded)
    members = dict(incident.members)
    if is_bad:
        members[transition.target] = Member(transition.new, before.since if before else transition.since)
    else:
        del members[transition.target]
    status = _status(incident, members, transition.new)
    reasons = transition.reasons if is_bad else incident.reasons
    moved = (status, len(members)) != (incident.status, len(incident.members))
    told = moved or identities(reasons) != identities(incident.reasons)
    changes = _story(incident.changes, transition, status, len(members), reasons) if told else incident.changes
    return msgspec.structs.replace(
        incident,
        status=status,
        worst=worst([incident.worst, status]),
        changed_at=max(transition.at, incident.changed_at) if told else incident.changed_at,
        revision=incident.revision + told,
        resolved_at=None if members else max(transition.at, incident.opened_at),
        resolution="" if members else _resolution(transition),
        reasons=reasons,
        members=members,
        left=_left(incident.left, transition.target, is_bad=is_bad),
        folded=folded,
        changes=changes,
        flapping_since=_flapping_since(incident, changes, transition.at, policy.flapping),
    )


def _status(incident: Incident, members: dict[str, Member], new: str) -> str:
    """The worst of the members. The first that is as bad as before answers it: thousands may leave one by one."""
    if rank(new) > rank(incident.status):
        return new
    if any(member.status == incident.status for member in members.values()):
        return incident.status
    return worst([member.status for member in members.values()]) if members else AVAILABLE


def _left(left: tuple[str, ...], target: str, *, is_bad: bool) -> tuple[str, ...]:
    if not is_bad:
        return (*left, target)
    return tuple(one for one in left if one != target) if target in left else left


def _resolution(transition: Transition) -> str:
    if transition.new != GONE:
        return "recovered"
    return "unwatched" if transition.run_id == UNWATCHED else "gone"


UNWATCHED = "unwatched"
"""The run id of the transitions that close what a target held when it left the configuration."""


def _story(
    changes: tuple[Change, ...],
    transition: Transition,
    status: str,
    affected: int,
    reasons: tuple[Reason, ...] | None = None,
) -> tuple[Change, ...]:
    codes = tuple(sorted(identities(transition.reasons if reasons is None else reasons)))
    return (*changes, Change(transition.at, status, affected, codes))[-_STORY:]


def turns(changes: tuple[Change, ...], now: datetime, window: timedelta) -> int:
    """How often the status changed within the window."""
    recent = [change for change in changes if change.at > now - window]
    return sum(one.status != two.status for one, two in pairwise(recent)) + bool(recent)


def _flaps(incident: Incident, changes: tuple[Change, ...], now: datetime, flapping: Flapping) -> bool:
    """Two thresholds: it starts with many turns, and lasts until there are few (as Icinga and Nagios do it)."""
    return turns(changes, now, flapping.window) >= (flapping.low + 1 if incident.flapping_since else flapping.high)


def _flapping_since(
    incident: Incident, changes: tuple[Change, ...], now: datetime, flapping: Flapping
) -> datetime | None:
    return (incident.flapping_since or now) if _flaps(incident, changes, now, flapping) else None


def settle(incident: Incident, now: datetime, flapping: Flapping) -> Incident:
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
    if latest and is_open and new == latest.status and identities(reasons) == identities(latest.reasons):
        return None
    seq = (latest.folded.get(key[1], 0) if latest else 0) + 1
    old = latest.status if latest and is_open else AVAILABLE
    return Transition(key[1], seq, *key, old=old, new=new, at=now, since=now, reasons=reasons)
