"""Define the stored snapshot of a target and its transitions; confirm a status after enough observations in a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec

from wabawatch.domain.health import Reason, identify_reasons, rank


class Key(NamedTuple):
    """The identity of a capability state, and of the transitions and incidents that follow from it."""

    entity_type: str
    entity_id: str
    capability: str


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """The status in one observation that counted towards a transition."""

    status: str
    observed_at: datetime


class CapabilityState(msgspec.Struct, frozen=True, array_like=True):
    """The confirmed status of one capability of one entity, and the observations that contradict it.

    `status` is None until a first status is confirmed. `streak` holds the latest consecutive observations that are all
    worse, or all better, than the status; at most as many as the largest threshold. `caused_by` names the entity that
    is the root cause. `was_available` is true once the capability was AVAILABLE.
    """

    entity_type: str
    entity_id: str
    capability: str
    status: str | None = None
    since: datetime | None = None
    reasons: tuple[Reason, ...] = ()
    caused_by: str | None = None
    was_available: bool = False
    streak: tuple[Evidence, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.entity_type, self.entity_id, self.capability)

    def differs_from(self, other: CapabilityState) -> bool:
        """Return whether people would see a difference: another status, other reasons, or another root cause."""
        return (
            self.status != other.status
            or self.caused_by != other.caused_by
            or (self.reasons != other.reasons and identify_reasons(self.reasons) != identify_reasons(other.reasons))
        )


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The last accepted state of a target.

    `version` counts the writes; 0 means never stored. `seq` is the number of the last transition, without gaps.
    `observed_at` is the time of the last observation that changed the snapshot.
    """

    target: str
    version: int = 0
    seq: int = 0
    observed_at: datetime | None = None
    states: tuple[CapabilityState, ...] = ()
    contradictions: tuple[str, ...] = ()
    is_reset: bool = False
    """The stored snapshot could not be read. Incidents of the target may be open, so the first confirmed status of each
    capability is a transition, AVAILABLE too."""

    def state(self, key: Key) -> CapabilityState | None:
        return next((state for state in self.states if state.key == key), None)


class Transition(msgspec.Struct, frozen=True, array_like=True):
    """A change of one capability of one entity, as one target reports it: another status, or other reasons.

    `old` is None if no status was known before. `at` is the time of the confirming observation, `since` that of the
    first observation of its streak.
    """

    target: str
    seq: int
    entity_type: str
    entity_id: str
    capability: str
    old: str | None
    new: str
    at: datetime
    since: datetime
    reasons: tuple[Reason, ...] = ()
    caused_by: str | None = None
    was_available: bool = False
    evidence: tuple[Evidence, ...] = ()
    run_id: str = ""

    @property
    def key(self) -> Key:
        return Key(self.entity_type, self.entity_id, self.capability)


class Detection(msgspec.Struct, frozen=True):
    """The result of `detect`: the next snapshot (the same object if nothing changed) and its transitions."""

    snapshot: Snapshot
    transitions: tuple[Transition, ...] = ()
    late: bool = False
    """The observation is not newer than the snapshot, and was ignored."""


def append_evidence(state: CapabilityState, entry: Evidence, limit: int) -> tuple[Evidence, ...]:
    """Append an observation to the streak of a state; start a new streak if the direction has changed.

    Keep at most `limit` observations.
    """
    direction = _compare(entry.status, state.status)
    is_same = all(_compare(previous.status, state.status) == direction for previous in state.streak)
    return (*(state.streak if is_same else ()), entry)[-limit:]


def confirm_status(
    base: str | None, streak: tuple[Evidence, ...], needed: Callable[[str], int]
) -> tuple[str, tuple[Evidence, ...]] | None:
    """Return the status farthest from `base` that enough of the latest observations reach, with those observations.

    `needed` returns the number of observations that confirm a status. LIMITED followed by BLOCKED counts as two
    observations that reach LIMITED, so that a status which alternates is still confirmed.
    """
    direction = _compare(streak[-1].status, base)
    statuses = dict.fromkeys(entry.status for entry in reversed(streak))
    for status in sorted(statuses, key=lambda candidate: -direction * rank(candidate)):
        latest = streak[-needed(status) :]
        if len(latest) >= needed(status) and all(_reaches(entry.status, status, direction) for entry in latest):
            return status, latest
    return None


def remaining_evidence(status: str, streak: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Return the latest observations that contradict the status just confirmed. They count towards the next one."""
    rest: list[Evidence] = []
    for entry in reversed(streak):
        if entry.status == status or (rest and _compare(entry.status, status) != _compare(rest[-1].status, status)):
            break
        rest.append(entry)
    return tuple(reversed(rest))


def _compare(status: str, base: str | None) -> int:
    """Return 1 if a status is worse than `base`, -1 if it is better, 0 if equally bad. None counts as healthy."""
    difference = rank(status) - (rank(base) if base else 0)
    return (difference > 0) - (difference < 0)


def _reaches(status: str, candidate: str, direction: int) -> bool:
    return status == candidate if direction == 0 else direction * rank(status) >= direction * rank(candidate)
