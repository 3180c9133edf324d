"""When enough observations in a row confirm another status."""

from __future__ import annotations

from collections.abc import Callable

from wabawatch.domain.health import rank
from wabawatch.domain.snapshot import CapabilityState, Evidence


def append_evidence(state: CapabilityState, entry: Evidence, most: int) -> tuple[Evidence, ...]:
    """The track's streak with one more observation; a new one where the wind has changed."""
    side = _side(entry.status, state.status)
    kept = state.streak if all(_side(one.status, state.status) == side for one in state.streak) else ()
    return (*kept, entry)[-most:]


def confirm_status(
    base: str | None, streak: tuple[Evidence, ...], needed: Callable[[str], int]
) -> tuple[str, tuple[Evidence, ...]] | None:
    """The farthest status from `base` that enough of the latest observations reach or pass, with those observations.

    LIMITED then BLOCKED is two observations in a row that are at least LIMITED: a problem that cannot settle is still
    confirmed.
    """
    side = _side(streak[-1].status, base)
    statuses = dict.fromkeys(entry.status for entry in reversed(streak))
    for status in sorted(statuses, key=lambda one: -side * rank(one)):
        tail = streak[-needed(status) :]
        if len(tail) >= needed(status) and all(_reaches(entry.status, status, side) for entry in tail):
            return status, tail
    return None


def remaining_evidence(status: str, streak: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """The end of the streak that speaks against the status just confirmed, and goes on counting."""
    rest: list[Evidence] = []
    for entry in reversed(streak):
        if entry.status == status or (rest and _side(entry.status, status) != _side(rest[-1].status, status)):
            break
        rest.append(entry)
    return tuple(reversed(rest))


def _side(status: str, of: str | None) -> int:
    """Whether a status is worse (1), better (-1), or merely another one (0). Nothing known is no worse than health."""
    mine, other = rank(status), rank(of) if of else 0
    return (mine > other) - (mine < other)


def _reaches(status: str, mark: str, side: int) -> bool:
    return status == mark if side == 0 else side * rank(status) >= side * rank(mark)
