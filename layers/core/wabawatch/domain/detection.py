"""detect: a pure function from the last snapshot and one observation to the next snapshot and its transitions.

In three steps: read what the observation says of each (entity, capability); move each state machine by it; number what
was confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.domain.debounce import append_evidence, confirm_status, remaining_evidence
from wabawatch.domain.health import (
    AVAILABLE,
    GONE,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    Entity,
    Failure,
    Observation,
    Reason,
    Report,
    identify_reasons,
    rank,
    reasons_for,
    target_statuses,
    upstream_rank,
)
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.root_cause import Reading, attach_root_causes, keep_root_cause
from wabawatch.domain.snapshot import CapabilityState, Detection, Evidence, Snapshot, Transition

_MOST_REASONS: Final = 20
"""Reasons that the target itself is given with its overall status."""
_MOST_HELD: Final = 50


def detect(snapshot: Snapshot, observation: Observation, thresholds: Thresholds, run_id: str = "") -> Detection:
    """Fold an observation into a snapshot.

    An observation that is not newer than the snapshot changes nothing. A failure moves only the target's readability:
    it never looks like health, and never counts for or against what was reported before.
    """
    at = observation.observed_at
    if snapshot.observed_at is not None and at <= snapshot.observed_at:
        return Detection(snapshot, late=True)
    before = {state.key: state for state in snapshot.states}
    readings = _readings(observation, before, is_reset=snapshot.is_reset)
    after = dict(before)
    explaining = _name_tracks(before.values()) if any(state.caused_by for state in before.values()) else {}
    moved: list[tuple[CapabilityState, CapabilityState]] = []
    for reading in readings:
        old = before.get(reading.key) or _unseen(reading.key, is_reset=snapshot.is_reset)
        kept = keep_root_cause(reading, old, explaining.get((old.caused_by, old.capability)))
        new = _move(old, kept, at, thresholds)
        if explaining:
            explaining[reading.entity, new.capability] = new
        after[reading.key] = new
        moved.append((old, new))
    return _conclude(snapshot, observation, after, moved, run_id)


def forget(snapshot: Snapshot, at: datetime, run_id: str) -> Detection:
    """Close what a target holds that is no longer watched. Its numbering goes on, should it come back, and so does its
    time, where the clock was set back.
    """
    if not snapshot.states:
        return Detection(snapshot)
    at = _after(snapshot, at)
    moved = [(state, CapabilityState(*state.key, status=GONE, since=at)) for state in snapshot.states]
    kept = Snapshot(snapshot.target, snapshot.version + 1, snapshot.seq, at)
    changes = [(old, new) for old, new in moved if _tells(old, new)]
    transitions = [
        _transition(snapshot, seq, old, new, at, run_id) for seq, (old, new) in enumerate(changes, snapshot.seq + 1)
    ]
    return Detection(msgspec.structs.replace(kept, seq=snapshot.seq + len(changes)), tuple(transitions))


def restate(snapshot: Snapshot, capabilities: frozenset[str], at: datetime, run_id: str) -> Detection:
    """Tell again what is wrong with these capabilities and has no other entity's trouble as its cause."""
    bad = [
        state
        for state in snapshot.states
        if state.capability in capabilities and not state.caused_by and rank(state.status or AVAILABLE) > 0
    ]
    if not bad:
        return Detection(snapshot)
    at = _after(snapshot, at)
    following = msgspec.structs.replace(
        snapshot, version=snapshot.version + 1, seq=snapshot.seq + len(bad), observed_at=at
    )
    transitions = [
        msgspec.structs.replace(_transition(snapshot, seq, state, state, at, run_id), since=state.since or at)
        for seq, state in enumerate(bad, snapshot.seq + 1)
    ]
    return Detection(following, tuple(transitions))


def _after(snapshot: Snapshot, at: datetime) -> datetime:
    """An instant after the snapshot's own, even where the clock was set back: the log has one row for each."""
    return at if snapshot.observed_at is None else max(at, snapshot.observed_at + timedelta(microseconds=1))


def _readings(
    observation: Observation, before: dict[tuple[str, str, str], CapabilityState], *, is_reset: bool
) -> list[Reading]:
    readable = (TARGET, observation.target, READABLE)
    outcome = observation.outcome
    if isinstance(outcome, Failure):
        return [Reading(readable, UNKNOWN, (Reason(description=outcome.cause, detail=outcome.detail),))]
    overall = target_statuses(outcome)
    found = [reading for entity in outcome.entities for reading in _of_entity(entity)]
    if overall:
        found += _of_entity(_target_node(outcome, observation.target, overall))
    said = {reading.key for reading in found}
    missing = [state for key, state in before.items() if key not in said and key != readable]
    held = _held(missing, outcome, overall)
    found = [_explained_by_missing(reading, held) for reading in attach_root_causes(found, before)]
    kept = {state.key for state in held}
    gone = [_of_missing(state, outcome, is_held=state.key in kept) for state in missing]
    again = [Reading(readable, AVAILABLE)] if readable in before or is_reset else []
    return sorted(found + gone, key=lambda reading: (upstream_rank(reading.key[0]), reading.key)) + again


def _target_node(report: Report, target: str, overall: dict[str, str]) -> Entity:
    """The target itself with the overall statuses that count, and whatever reasons the answer gives."""
    reasons = tuple(reason for entity in report.entities for reason in entity.reasons)
    return Entity(TARGET, target, overall, reasons[:_MOST_REASONS])


def _held(missing: list[CapabilityState], report: Report, overall: dict[str, str]) -> list[CapabilityState]:
    """Select the troubles that are not gone, though the report does not name their entities.

    They were left out where the overall status is as bad as they were and nothing in the report explains that (the
    overall status of messaging covers all capabilities that have none of their own), and where more was listed than is
    kept. Only the oldest are held: entities that are new in each answer would fill the snapshot for ever.
    """
    general = overall.get(MESSAGING, AVAILABLE)
    held = [
        state
        for state in missing
        if state.entity_type != TARGET
        and state.status is not None
        and rank(state.status) > 0
        and (report.implausible or rank(state.status) <= rank(overall.get(state.capability, general)))
    ]
    if len(held) <= _MOST_HELD:
        return held
    return sorted(held, key=lambda state: (state.since is None, state.since, state.key))[:_MOST_HELD]


def _explained_by_missing(reading: Reading, held: list[CapabilityState]) -> Reading:
    """Name the missing entity whose trouble explains the overall status, where there is one."""
    if reading.key[0] != TARGET or not held:
        return reading
    roots = [
        state
        for state in held
        if state.capability == reading.key[2] and rank(state.status or AVAILABLE) >= rank(reading.status)
    ]
    if not roots:
        return reading
    root = min(roots, key=lambda state: (state.caused_by is not None, upstream_rank(state.entity_type), state.key))
    return msgspec.structs.replace(reading, caused_by=root.caused_by or f"{root.entity_type} {root.entity_id}")


def _of_missing(state: CapabilityState, report: Report, *, is_held: bool) -> Reading:
    """What the report says of a track that it does not name.

    A trouble of the target itself ends by the overall status getting well; where that is as bad as an entity, the
    entity's trouble takes its place.
    """
    if is_held and state.status is not None:
        return Reading(state.key, state.status, state.reasons)
    if state.entity_type == TARGET and report.overall.get(state.capability) == AVAILABLE:
        return Reading(state.key, AVAILABLE)
    return Reading(state.key, GONE)


def _of_entity(entity: Entity) -> list[Reading]:
    return [
        Reading((entity.entity_type, entity.id, capability), status, reasons_for(entity, capability))
        for capability, status in entity.capabilities.items()
    ]


def _name_tracks(states: Iterable[CapabilityState]) -> dict[tuple[str | None, str], CapabilityState]:
    """Tracks by what `caused_by` calls their entity, and by capability."""
    return {(f"{state.entity_type} {state.entity_id}", state.capability): state for state in states}


def _unseen(key: tuple[str, str, str], *, is_reset: bool) -> CapabilityState:
    """A target counts as readable until it is not; of everything else nothing is known."""
    return CapabilityState(*key, status=AVAILABLE if key[2] == READABLE and not is_reset else None)


def _move(state: CapabilityState, reading: Reading, at: datetime, thresholds: Thresholds) -> CapabilityState:
    if reading.status == state.status:
        return _settled(state, reading)
    streak = append_evidence(state, Evidence(reading.status, at), thresholds.longest)
    found = confirm_status(state.status, streak, lambda status: _needed(state, status, reading, thresholds))
    if found is None:
        return msgspec.structs.replace(state, streak=streak)
    status, evidence = found
    return CapabilityState(
        *state.key,
        status=status,
        since=evidence[0].observed_at,
        reasons=reading.reasons,
        caused_by=reading.caused_by,
        was_available=state.was_available or status == AVAILABLE,
        streak=remaining_evidence(status, streak),
    )


def _settled(state: CapabilityState, reading: Reading) -> CapabilityState:
    """The same status again: whatever spoke against it is over, and new wording alone changes nothing."""
    same = state.caused_by == reading.caused_by and (
        state.reasons == reading.reasons or identify_reasons(state.reasons) == identify_reasons(reading.reasons)
    )
    if same:
        return msgspec.structs.replace(state, streak=()) if state.streak else state
    return msgspec.structs.replace(state, reasons=reading.reasons, caused_by=reading.caused_by, streak=())


def _needed(state: CapabilityState, status: str, reading: Reading, thresholds: Thresholds) -> int:
    """Observations in a row that confirm `status`. Health found at the first look is believed; so is an answer that can
    be read again.
    """
    if status == UNKNOWN and state.capability == READABLE:
        return thresholds.of_failure(reading.reasons[0].description)
    if status == AVAILABLE and (state.status is None or state.capability == READABLE):
        return 1
    return thresholds.of(status)


def _conclude(
    snapshot: Snapshot,
    observation: Observation,
    after: dict[tuple[str, str, str], CapabilityState],
    moved: list[tuple[CapabilityState, CapabilityState]],
    run_id: str,
) -> Detection:
    changes = [(old, new) for old, new in moved if old is not new and _tells(old, new, is_reset=snapshot.is_reset)]
    states = tuple(state for state in after.values() if _kept(state))
    report = observation.outcome
    contradictions = report.contradictions if isinstance(report, Report) else snapshot.contradictions
    if (states, contradictions) == (snapshot.states, snapshot.contradictions):
        return Detection(snapshot)
    following = Snapshot(
        snapshot.target,
        snapshot.version + 1,
        snapshot.seq + len(changes),
        observation.observed_at,
        states,
        contradictions,
        is_reset=snapshot.is_reset and (isinstance(report, Failure) or any(one.status is None for one in states)),
    )
    transitions = [
        _transition(snapshot, seq, old, new, observation.observed_at, run_id)
        for seq, (old, new) in enumerate(changes, snapshot.seq + 1)
    ]
    return Detection(following, tuple(transitions))


def _tells(old: CapabilityState, new: CapabilityState, *, is_reset: bool = False) -> bool:
    """Health at the first look is silent, and so is the end of what was never confirmed. After a reset what was told
    before is not known: health is told too, so that an incident that the target was part of can end."""
    if old.status is None and is_reset:
        return new.status not in {None, GONE}
    if old.status is None and (new.status is None or rank(new.status) == 0):
        return False
    return old is not new and old.picture != new.picture


def _kept(state: CapabilityState) -> bool:
    """What is gone is forgotten, and a target that can be read needs no mark of it."""
    readable = state.capability == READABLE and state.status == AVAILABLE and not state.streak
    return state.status != GONE and not readable


def _transition(
    snapshot: Snapshot, seq: int, old: CapabilityState, new: CapabilityState, at: datetime, run_id: str
) -> Transition:
    changed = old.status != new.status
    return Transition(
        snapshot.target,
        seq,
        *new.key,
        old=old.status,
        new=new.status or UNKNOWN,
        at=at,
        since=(new.since or at) if changed else at,
        reasons=new.reasons,
        caused_by=new.caused_by,
        was_available=new.was_available,
        evidence=(*old.streak, Evidence(new.status or UNKNOWN, at)) if changed else (),
        run_id=run_id,
    )
