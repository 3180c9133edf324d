"""Detect changes: a pure function from a snapshot and an observation to the next snapshot and its transitions.

1. Derive a reading of each capability of each entity from the observation.
2. Apply each reading to its state: the debounce decides whether it confirms a new status.
3. Number the confirmed changes as transitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

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
from wabawatch.domain.snapshot import (
    CapabilityState,
    Detection,
    Evidence,
    Key,
    Snapshot,
    Transition,
    append_evidence,
    confirm_status,
    remaining_evidence,
)

_MAX_TARGET_REASONS: Final = 20
"""How many reasons of the report's entities are attached to the target's own overall status."""
_MAX_HELD: Final = 50


def detect(snapshot: Snapshot, observation: Observation, thresholds: Thresholds, run_id: str = "") -> Detection:
    """Apply an observation to a snapshot.

    Ignore an observation that is not newer than the snapshot. A failure changes only the state of READABLE: it neither
    confirms nor contradicts the health that was reported before.
    """
    at = observation.observed_at
    if snapshot.observed_at is not None and at <= snapshot.observed_at:
        return Detection(snapshot, late=True)
    before = {state.key: state for state in snapshot.states}
    after = dict(before)
    causes = _index_by_name(before.values()) if any(state.caused_by for state in before.values()) else {}
    applied: list[tuple[CapabilityState, CapabilityState]] = []
    for reading in _derive_readings(observation, before, is_reset=snapshot.is_reset):
        old = before.get(reading.key) or _initial_state(reading.key, is_reset=snapshot.is_reset)
        cause = causes.get((old.caused_by, old.capability))
        new = _apply_reading(old, keep_root_cause(reading, old, cause), at, thresholds)
        if causes:  # entities upstream come first, so that their new state decides on those below
            causes[reading.entity, new.capability] = new
        after[reading.key] = new
        applied.append((old, new))
    return _build_detection(snapshot, observation, after, applied, run_id)


def forget(snapshot: Snapshot, at: datetime, run_id: str) -> Detection:
    """End all states of a target that was removed from the configuration.

    The version, the numbering and the time go on in the same row, in case that the target is added again.
    """
    if not snapshot.states:
        return Detection(snapshot)
    at = _after_snapshot(snapshot, at)
    applied = [(state, CapabilityState(*state.key, status=GONE, since=at)) for state in snapshot.states]
    changes = [(old, new) for old, new in applied if _is_transition(old, new)]
    transitions = _number_transitions(snapshot, changes, at, run_id)
    ended = Snapshot(snapshot.target, snapshot.version + 1, snapshot.seq + len(changes), at)
    return Detection(ended, transitions)


def restate(snapshot: Snapshot, capabilities: frozenset[str], at: datetime, run_id: str) -> Detection:
    """Repeat the transitions of all unhealthy states of these capabilities that have no root cause elsewhere.

    This opens the incidents of a capability that was added to the policy.
    """
    unhealthy = [
        state
        for state in snapshot.states
        if state.capability in capabilities and not state.caused_by and rank(state.status or AVAILABLE) > 0
    ]
    if not unhealthy:
        return Detection(snapshot)
    at = _after_snapshot(snapshot, at)
    transitions = tuple(
        msgspec.structs.replace(transition, since=state.since or at)
        for state, transition in zip(
            unhealthy,
            _number_transitions(snapshot, [(state, state) for state in unhealthy], at, run_id),
            strict=True,
        )
    )
    following = msgspec.structs.replace(
        snapshot, version=snapshot.version + 1, seq=snapshot.seq + len(unhealthy), observed_at=at
    )
    return Detection(following, transitions)


def _after_snapshot(snapshot: Snapshot, at: datetime) -> datetime:
    """Return an instant after the snapshot's own, even if the clock was set back: the log has one row for each."""
    return at if snapshot.observed_at is None else max(at, snapshot.observed_at + timedelta(microseconds=1))


def _derive_readings(observation: Observation, before: dict[Key, CapabilityState], *, is_reset: bool) -> list[Reading]:
    """Derive a reading of every capability that the report contains or the snapshot knows, upstream entities first."""
    readable = Key(TARGET, observation.target, READABLE)
    outcome = observation.outcome
    if isinstance(outcome, Failure):
        return [Reading(readable, UNKNOWN, (Reason(description=outcome.cause, detail=outcome.detail),))]
    overall = target_statuses(outcome)
    reported = [reading for entity in outcome.entities for reading in _readings_of(entity)]
    if overall:
        reported += _readings_of(_build_target_entity(outcome, observation.target, overall))
    reported_keys = {reading.key for reading in reported}
    missing = [state for key, state in before.items() if key not in reported_keys and key != readable]
    held = _select_held(missing, outcome, overall)
    held_keys = {state.key for state in held}
    reported = [_attach_missing_cause(reading, held) for reading in attach_root_causes(reported, before)]
    absent = [_reading_of_missing(state, outcome, is_held=state.key in held_keys) for state in missing]
    readings = sorted(reported + absent, key=lambda reading: (upstream_rank(reading.key.entity_type), reading.key))
    if readable in before or is_reset:
        readings.append(Reading(readable, AVAILABLE))
    return readings


def _readings_of(entity: Entity) -> list[Reading]:
    return [
        Reading(Key(entity.entity_type, entity.id, capability), status, reasons_for(entity, capability))
        for capability, status in entity.capabilities.items()
    ]


def _build_target_entity(report: Report, target: str, overall: dict[str, str]) -> Entity:
    """Represent the target itself as an entity with the overall statuses that count and the reasons of the report."""
    reasons = tuple(reason for entity in report.entities for reason in entity.reasons)
    return Entity(TARGET, target, overall, reasons[:_MAX_TARGET_REASONS])


def _select_held(missing: list[CapabilityState], report: Report, overall: dict[str, str]) -> list[CapabilityState]:
    """Select the unhealthy states that are kept although the report does not list their entities.

    A state is kept if the overall status is as bad as it and no listed entity is the cause (the overall status of
    messaging stands for all capabilities without their own), or if the report was cut because it lists too much. Only
    the oldest are kept: entities that are new in each answer would fill the snapshot.
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
    if len(held) <= _MAX_HELD:
        return held
    return sorted(held, key=lambda state: (state.since is None, state.since, state.key))[:_MAX_HELD]


def _attach_missing_cause(reading: Reading, held: list[CapabilityState]) -> Reading:
    """Set the missing entity that is the cause of a bad overall status, if there is one."""
    if reading.key.entity_type != TARGET or not held:
        return reading
    candidates = [
        state
        for state in held
        if state.capability == reading.key.capability and rank(state.status or AVAILABLE) >= rank(reading.status)
    ]
    if not candidates:
        return reading
    root = min(candidates, key=lambda state: (state.caused_by is not None, upstream_rank(state.entity_type), state.key))
    return msgspec.structs.replace(reading, caused_by=root.caused_by or f"{root.entity_type} {root.entity_id}")


def _reading_of_missing(state: CapabilityState, report: Report, *, is_held: bool) -> Reading:
    """Derive the reading of a state that the report does not list: as before if it is held, else GONE.

    A state of the target itself is AVAILABLE if the overall status is. It is GONE if the overall status is bad but no
    longer counts, because an entity is as bad: then that entity has the problem.
    """
    if is_held and state.status is not None:
        return Reading(state.key, state.status, state.reasons)
    if state.entity_type == TARGET and report.overall.get(state.capability) == AVAILABLE:
        return Reading(state.key, AVAILABLE)
    return Reading(state.key, GONE)


def _index_by_name(states: Iterable[CapabilityState]) -> dict[tuple[str | None, str], CapabilityState]:
    """Index states by the entity's name, as `caused_by` has it, and the capability."""
    return {(f"{state.entity_type} {state.entity_id}", state.capability): state for state in states}


def _initial_state(key: Key, *, is_reset: bool) -> CapabilityState:
    """Create a state without a status; only a target counts as readable from the start."""
    return CapabilityState(*key, status=AVAILABLE if key.capability == READABLE and not is_reset else None)


def _apply_reading(state: CapabilityState, reading: Reading, at: datetime, thresholds: Thresholds) -> CapabilityState:
    if reading.status == state.status:
        return _apply_same_status(state, reading)
    streak = append_evidence(state, Evidence(reading.status, at), thresholds.longest)
    confirmed = confirm_status(
        state.status, streak, lambda status: _needed_observations(state, status, reading, thresholds)
    )
    if confirmed is None:
        return msgspec.structs.replace(state, streak=streak)
    status, evidence = confirmed
    return CapabilityState(
        *state.key,
        status=status,
        since=evidence[0].observed_at,
        reasons=reading.reasons,
        caused_by=reading.caused_by,
        was_available=state.was_available or status == AVAILABLE,
        streak=remaining_evidence(status, streak),
    )


def _apply_same_status(state: CapabilityState, reading: Reading) -> CapabilityState:
    """End the streak, and update reasons and root cause. New wording of the same reasons changes nothing."""
    is_same = state.caused_by == reading.caused_by and (
        state.reasons == reading.reasons or identify_reasons(state.reasons) == identify_reasons(reading.reasons)
    )
    if is_same:
        return msgspec.structs.replace(state, streak=()) if state.streak else state
    return msgspec.structs.replace(state, reasons=reading.reasons, caused_by=reading.caused_by, streak=())


def _needed_observations(state: CapabilityState, status: str, reading: Reading, thresholds: Thresholds) -> int:
    """Return how many consecutive observations confirm a status.

    One confirms a first status of AVAILABLE, and that a target can be read again.
    """
    if status == UNKNOWN and state.capability == READABLE:
        return thresholds.of_failure(reading.reasons[0].description)
    if status == AVAILABLE and (state.status is None or state.capability == READABLE):
        return 1
    return thresholds.of(status)


def _build_detection(
    snapshot: Snapshot,
    observation: Observation,
    after: dict[Key, CapabilityState],
    applied: list[tuple[CapabilityState, CapabilityState]],
    run_id: str,
) -> Detection:
    """Build the next snapshot and its transitions; return the same snapshot if nothing changed."""
    at, outcome = observation.observed_at, observation.outcome
    changes = [(old, new) for old, new in applied if _is_transition(old, new, is_reset=snapshot.is_reset)]
    states = tuple(state for state in after.values() if _is_stored(state))
    contradictions = outcome.contradictions if isinstance(outcome, Report) else snapshot.contradictions
    if (states, contradictions) == (snapshot.states, snapshot.contradictions):
        return Detection(snapshot)
    following = Snapshot(
        target=snapshot.target,
        version=snapshot.version + 1,
        seq=snapshot.seq + len(changes),
        observed_at=at,
        states=states,
        contradictions=contradictions,
        is_reset=snapshot.is_reset and (isinstance(outcome, Failure) or any(state.status is None for state in states)),
    )
    return Detection(following, _number_transitions(snapshot, changes, at, run_id))


def _is_transition(old: CapabilityState, new: CapabilityState, *, is_reset: bool = False) -> bool:
    """Return whether a change of state is a transition.

    A first status that is healthy is none, and neither is the end of a state that never had a status. After a reset a
    healthy first status is one, so that an open incident of the target can be resolved.
    """
    if old is new:
        return False
    if old.status is None and is_reset:
        return new.status not in {None, GONE}
    if old.status is None and (new.status is None or rank(new.status) == 0):
        return False
    return new.differs_from(old)


def _is_stored(state: CapabilityState) -> bool:
    """Return whether the snapshot keeps a state. It does not keep the default: gone, or readable without a streak."""
    is_readable = state.capability == READABLE and state.status == AVAILABLE and not state.streak
    return state.status != GONE and not is_readable


def _number_transitions(
    snapshot: Snapshot, changes: list[tuple[CapabilityState, CapabilityState]], at: datetime, run_id: str
) -> tuple[Transition, ...]:
    return tuple(
        _build_transition(snapshot.target, seq, old, new, at=at, run_id=run_id)
        for seq, (old, new) in enumerate(changes, snapshot.seq + 1)
    )


def _build_transition(
    target: str, seq: int, old: CapabilityState, new: CapabilityState, *, at: datetime, run_id: str
) -> Transition:
    is_new_status = old.status != new.status
    return Transition(
        target,
        seq,
        *new.key,
        old=old.status,
        new=new.status or UNKNOWN,
        at=at,
        since=(new.since or at) if is_new_status else at,
        reasons=new.reasons,
        caused_by=new.caused_by,
        was_available=new.was_available,
        evidence=(*old.streak, Evidence(new.status or UNKNOWN, at)) if is_new_status else (),
        run_id=run_id,
    )
