"""Find root causes: a number that is blocked because its business is blocked gets no incident of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from wabawatch.domain.health import CALLING, TARGET, Reason, identify_reasons, rank, upstream_rank
from wabawatch.domain.snapshot import CapabilityState, Key


class Reading(msgspec.Struct, frozen=True):
    """The status of one capability of one entity in one observation. `caused_by` names the entity at its root."""

    key: Key
    status: str
    reasons: tuple[Reason, ...] = ()
    caused_by: str | None = None

    @property
    def entity(self) -> str:
        return f"{self.key.entity_type} {self.key.entity_id}"


def attach_root_causes(readings: list[Reading], before: Mapping[Key, CapabilityState]) -> list[Reading]:
    """Set `caused_by` of each reading of a report that has a root cause in the same report.

    `before` holds the states of the snapshot by key.
    """
    groups: dict[str, list[_Problem]] = {}
    for reading in readings:
        if rank(reading.status) > 0:
            state = before.get(reading.key)
            problem = _Problem(
                reading, identify_reasons(reading.reasons), was_available=state is not None and state.was_available
            )
            groups.setdefault(reading.key.capability, []).append(problem)
    caused_by = {reading.key: root for group in groups.values() for reading, root in _find_roots(group)}
    if not caused_by:
        return readings
    return [msgspec.structs.replace(reading, caused_by=caused_by.get(reading.key)) for reading in readings]


class _Problem(msgspec.Struct, frozen=True, gc=False):
    """A reading that is not healthy. `reasons` identifies its reasons; they are normalized only once for all pairs."""

    reading: Reading
    reasons: frozenset[str]
    was_available: bool


def _find_roots(group: list[_Problem]) -> Iterator[tuple[Reading, str]]:
    """Yield each problem of one capability that has a root cause, with the entity's name.

    Of several candidates take an entity with reasons before one without, then the farthest upstream.
    """
    candidates = sorted(
        (problem for problem in group if problem.reading.key.entity_type != TARGET),
        key=lambda problem: (
            not problem.reading.reasons,
            upstream_rank(problem.reading.key.entity_type),
            problem.reading.key,
        ),
    )
    for problem in group:
        root = next((other for other in candidates if _is_caused_by(problem, other)), None)
        if root is not None:
            yield problem.reading, root.reading.entity


def _is_caused_by(problem: _Problem, other: _Problem) -> bool:
    """Return whether `other` is the cause: it is at least as bad, has all reasons of `problem`, and either is upstream
    of it or is the only one with reasons.

    Calling that never worked opens no incident. So it cannot be the cause of a loss of calling that did work: nobody
    would be notified of the loss.
    """
    mine, theirs = problem.reading, other.reading
    is_upstream = upstream_rank(theirs.key.entity_type) < upstream_rank(mine.key.entity_type)
    return (
        rank(theirs.status) >= rank(mine.status)
        and problem.reasons <= other.reasons
        and (is_upstream or (bool(other.reasons) and not problem.reasons))
        and (mine.key.capability != CALLING or other.was_available or not problem.was_available)
    )


def keep_root_cause(reading: Reading, state: CapabilityState, cause: CapabilityState | None) -> Reading:
    """Keep the stored root cause of a reading until the recovery of that cause is confirmed.

    Entities recover in different observations: a number that is reported blocked a little longer than its business is
    no new problem. A new reason ends the relation at once. `cause` is the state, after this observation, of the entity
    that `state.caused_by` names.
    """
    if reading.caused_by or not state.caused_by or rank(reading.status) == 0:
        return reading
    if identify_reasons(reading.reasons) - identify_reasons(state.reasons):
        return reading
    is_kept = (
        cause is not None
        and cause.status is not None
        and rank(cause.status) >= rank(reading.status)
        and (reading.key.capability != CALLING or cause.was_available or not state.was_available)
    )
    return msgspec.structs.replace(reading, caused_by=state.caused_by) if is_kept else reading
