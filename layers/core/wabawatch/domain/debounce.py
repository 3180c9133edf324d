"""Confirm a new status only after enough consecutive observations."""

from __future__ import annotations

from collections.abc import Callable

from wabawatch.domain.health import rank
from wabawatch.domain.snapshot import CapabilityState, Evidence


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
