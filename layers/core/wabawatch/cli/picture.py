"""What is known of a target now, for people and for `status --json`: from its snapshot, pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import Target
from wabawatch.domain.coverage import LastReadings, ShardCoverage
from wabawatch.domain.health import (
    AVAILABLE,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    Failure,
    Observation,
    Reason,
    rank,
    upstream_rank,
    worst,
)
from wabawatch.domain.policy import MassFailure
from wabawatch.domain.snapshot import CapabilityState, Key, Snapshot
from wabawatch.messages.text import humanize_duration

NOT_READ: Final = "no answer so far"


class Picture(msgspec.Struct, frozen=True):
    """One target now. `entity` is the (type, id) at fault; `since` is when the status was first seen; `detail` says why
    the target is UNKNOWN, `last_known` what its status was before that.

    `also` holds the troubles of other capabilities that are known to have worked; `missed` is the latest reading where
    it failed and that is not confirmed yet.

    `last_read_at` is the start of the last pass that read it; `stale_at` is when that is too old to say how it is now
    (None: that is not known). `is_stale` tells that it is, and that the target counts as UNKNOWN because of it."""

    target: Target
    status: str
    since: datetime | None = None
    entity: tuple[str, str] | None = None
    reasons: tuple[Reason, ...] = ()
    cause: str | None = None
    detail: str = ""
    last_known: str | None = None
    capabilities: Mapping[str, str] = {}
    contradictions: tuple[str, ...] = ()
    observed_at: datetime | None = None
    also: tuple[CapabilityState, ...] = ()
    missed: Failure | None = None
    last_read_at: datetime | None = None
    stale_at: datetime | None = None
    is_stale: bool = False


def picture(target: Target, snapshot: Snapshot | None, latest: Observation | None = None) -> Picture:
    """Nothing read yet is UNKNOWN; so is a target that cannot be read, whatever was known before.

    `latest` is the latest reading of a target that `is_doubtful`."""
    if snapshot is None or not (snapshot.states or snapshot.observed_at):
        return Picture(target, UNKNOWN, detail=NOT_READ)
    capabilities = _capabilities(snapshot)
    last_known = capabilities.get(MESSAGING)
    seen = Picture(
        target,
        last_known or UNKNOWN,
        capabilities=capabilities,
        contradictions=snapshot.contradictions,
        observed_at=snapshot.observed_at,
        detail="" if last_known else "not confirmed yet",
        also=_also(snapshot),
    )
    readable = snapshot.state(Key(TARGET, target.id, READABLE))
    if readable is not None and readable.status == UNKNOWN:
        return _unread(seen, readable, last_known)
    if latest is not None and isinstance(latest.outcome, Failure) and is_doubtful(snapshot):
        seen = msgspec.structs.replace(seen, missed=latest.outcome)
    return _blamed(seen, _culprit(snapshot))


def with_reading(one: Picture, readings: LastReadings) -> Picture:
    """Add when a target was last read. A target of which nothing is known was not read, whatever the passes did."""
    row = readings.coverage(one.target.id)
    if row is None or one.detail == NOT_READ:
        return one
    read_at = row.unread.get(one.target.id, row.started_at)
    stale_at = (read_at or row.started_at) + row.stale_after
    return msgspec.structs.replace(one, last_read_at=read_at, stale_at=stale_at)


def aged(one: Picture, now: datetime) -> Picture:
    """Make a target UNKNOWN whose latest reading is too old; the same picture where it is not."""
    if one.stale_at is None or now <= one.stale_at or one.status == UNKNOWN:
        return one
    since = one.last_read_at or one.stale_at
    return msgspec.structs.replace(
        one,
        status=UNKNOWN,
        since=since,
        entity=None,
        reasons=(),
        detail=f"not read for {humanize_duration(now - since)}",
        last_known=one.status,
        is_stale=True,
    )


def aged_all(found: Sequence[Picture], now: datetime) -> Sequence[Picture]:
    """As `aged`, the worst first; the same pictures where time has changed none of them."""
    later = [aged(one, now) for one in found]
    if all(one is other for one, other in zip(found, later, strict=True)):
        return found
    return sorted(later, key=_worst_first)


def is_doubtful(snapshot: Snapshot | None) -> bool:
    """Whether the latest readings failed, and too few of them to say that the target cannot be read."""
    readable = snapshot.state(Key(TARGET, snapshot.target, READABLE)) if snapshot else None
    return readable is not None and readable.status != UNKNOWN and bool(readable.streak)


def _unread(seen: Picture, readable: CapabilityState, last_known: str | None) -> Picture:
    why = readable.reasons[0] if readable.reasons else Reason()
    return msgspec.structs.replace(
        seen,
        status=UNKNOWN,
        since=readable.since,
        reasons=readable.reasons,
        cause=why.description or None,
        detail=why.detail,
        last_known=last_known,
    )


def _blamed(seen: Picture, culprit: CapabilityState | None) -> Picture:
    if culprit is None:
        return seen
    entity = None if rank(seen.status) == 0 else (culprit.entity_type, culprit.entity_id)
    reasons = () if entity is None else culprit.reasons
    return msgspec.structs.replace(seen, since=culprit.since, entity=entity, reasons=reasons)


def _capabilities(snapshot: Snapshot) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for state in snapshot.states:
        if state.capability != READABLE and state.status is not None:
            found.setdefault(state.capability, []).append(state.status)
    return {capability: worst(statuses) for capability, statuses in sorted(found.items())}


def _culprit(snapshot: Snapshot) -> CapabilityState | None:
    """The worst track of messaging that nothing else explains; for a healthy target, the one that changed last."""
    states = [state for state in snapshot.states if state.capability == MESSAGING and state.status is not None]
    if all(rank(state.status or "") == 0 for state in states):
        return max(states, key=lambda state: state.since.timestamp() if state.since else 0.0, default=None)
    return min(
        states,
        key=lambda state: (-rank(state.status or ""), state.caused_by is not None, upstream_rank(state.entity_type)),
    )


def _also(snapshot: Snapshot) -> tuple[CapabilityState, ...]:
    return tuple(
        state
        for state in snapshot.states
        if state.capability not in {MESSAGING, READABLE} and state.was_available and rank(state.status or AVAILABLE) > 0
    )


def pictures(
    targets: Sequence[Target],
    snapshots: Mapping[str, Snapshot],
    latest: Mapping[str, Observation],
    coverages: Sequence[ShardCoverage],
    now: datetime,
) -> list[Picture]:
    """All of them, the worst first; among equals the latest change first, then by name."""
    readings = LastReadings(coverages)
    found = [picture(target, snapshots.get(target.id), latest.get(target.id)) for target in targets]
    return sorted((aged(with_reading(one, readings), now) for one in found), key=_worst_first)


def warning(
    found: Sequence[Picture], coverages: Sequence[ShardCoverage], mass_failure: MassFailure, now: datetime
) -> str:
    """What a reader must know before believing the pictures: that no pass has ended for too long, or that most numbers
    are not read; empty where neither is so."""
    latest = max(coverages, key=lambda row: row.finished_at, default=None)
    if latest is not None and now - latest.finished_at > latest.stale_after:
        return (
            f"no run has ended for {humanize_duration(now - latest.finished_at)}: the monitor has stopped, or is late"
        )
    known = {one.target.id for one in found}
    unread = {target for row in coverages for target in row.unread if target in known}
    if len(unread) >= mass_failure.at_least and len(unread) > mass_failure.share * len(found):
        return f"{len(unread)} of {len(found)} targets could not be read by the last run; what is shown of them is old"
    return ""


def _worst_first(one: Picture) -> tuple[int, int, float, str]:
    since = one.since.timestamp() // 1 if one.since and rank(one.status) else 0.0
    return (-rank(one.status), -bool(one.also), -since, one.target.name.casefold())


def counts(found: Iterable[Picture]) -> dict[str, int]:
    """How many have each status, the worst first."""
    tally: dict[str, int] = {}
    for one in found:
        tally[one.status] = tally.get(one.status, 0) + 1
    return dict(sorted(tally.items(), key=lambda item: -rank(item[0])))


def worst_status(found: Iterable[Picture]) -> str:
    """AVAILABLE for an empty fleet, too."""
    return worst([AVAILABLE, *(one.status for one in found)])
