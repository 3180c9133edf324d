"""Which entity's trouble explains another's: a number blocked because its business is has no cause of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from wabawatch.domain.health import CALLING, TARGET, Reason, identify_reasons, rank, upstream_rank
from wabawatch.domain.snapshot import CapabilityState


class Reading(msgspec.Struct, frozen=True):
    """What one observation says about one capability of one entity. `caused_by` names the entity that explains it."""

    key: tuple[str, str, str]
    status: str
    reasons: tuple[Reason, ...] = ()
    caused_by: str | None = None

    @property
    def entity(self) -> str:
        return f"{self.key[0]} {self.key[1]}"


def attach_root_causes(
    readings: list[Reading], before: Mapping[tuple[str, str, str], CapabilityState]
) -> list[Reading]:
    """Name for each reading of one report the entity that explains it, where there is one. `before` holds the tracks
    by their keys.
    """
    groups: dict[str, list[_Trouble]] = {}
    for reading in readings:
        if rank(reading.status) > 0:
            state = before.get(reading.key)
            trouble = _Trouble(
                reading, identify_reasons(reading.reasons), was_available=state is not None and state.was_available
            )
            groups.setdefault(reading.key[2], []).append(trouble)
    caused_by = {reading.key: root for group in groups.values() for reading, root in _find_roots(group)}
    if not caused_by:
        return readings
    return [msgspec.structs.replace(reading, caused_by=caused_by.get(reading.key)) for reading in readings]


class _Trouble(msgspec.Struct, frozen=True, gc=False):
    """A reading that is not well, with what deciding on its explanation needs."""

    reading: Reading
    reasons: frozenset[str]
    was_available: bool


def _find_roots(group: list[_Trouble]) -> Iterator[tuple[Reading, str]]:
    """For the troubles of one capability, the nearest root of each that has any."""
    roots = sorted(
        (trouble for trouble in group if trouble.reading.key[0] != TARGET),
        key=lambda trouble: (not trouble.reading.reasons, upstream_rank(trouble.reading.key[0]), trouble.reading.key),
    )
    for trouble in group:
        root = next((other for other in roots if _is_explained_by(trouble, other)), None)
        if root is not None:
            yield trouble.reading, root.reading.entity


def _is_explained_by(trouble: _Trouble, other: _Trouble) -> bool:
    """Whether the other is as bad or worse, gives all the reasons of this one, and stands upstream of it or is the only
    one of the two to give any.

    Nobody is told of calling that never worked. It cannot explain calling that did: that loss would be told to nobody.
    """
    mine, theirs = trouble.reading, other.reading
    return (
        rank(theirs.status) >= rank(mine.status)
        and trouble.reasons <= other.reasons
        and (upstream_rank(theirs.key[0]) < upstream_rank(mine.key[0]) or (bool(other.reasons) and not trouble.reasons))
        and (mine.key[2] != CALLING or other.was_available or not trouble.was_available)
    )


def keep_root_cause(reading: Reading, state: CapabilityState, explaining: CapabilityState | None) -> Reading:
    """Keep an explanation until the recovery of what explains it is confirmed: a number that is reported blocked one
    reading longer than its business is no new cause. A reason of its own ends it at once.

    `explaining` is the track, after this observation, of the entity that explained it before.
    """
    if reading.caused_by or not state.caused_by or rank(reading.status) == 0:
        return reading
    if identify_reasons(reading.reasons) - identify_reasons(state.reasons):
        return reading
    holds = (
        explaining is not None
        and explaining.status is not None
        and rank(explaining.status) >= rank(reading.status)
        and (reading.key[2] != CALLING or explaining.was_available or not state.was_available)
    )
    return msgspec.structs.replace(reading, caused_by=state.caused_by) if holds else reading
