"""Which entity's trouble explains another's: a number blocked because its business is has no cause of its own."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wabawatch.domain.health import Reason, identities, rank, upstream
from wabawatch.domain.transitions import Track


class Reading(msgspec.Struct, frozen=True):
    """What one observation says about one capability of one entity. `because` names the entity that explains it."""

    key: tuple[str, str, str]
    status: str
    reasons: tuple[Reason, ...] = ()
    because: str | None = None

    @property
    def entity(self) -> str:
        return f"{self.key[0]} {self.key[1]}"


def explained(readings: list[Reading]) -> list[Reading]:
    """The readings of one report, each with the entity that explains it, where there is one."""
    return [msgspec.structs.replace(reading, because=_root(reading, readings)) for reading in readings]


def _root(reading: Reading, readings: list[Reading]) -> str | None:
    """The entity whose trouble explains this reading: another one in the same report, as bad or worse, that gives all
    its reasons, and stands upstream of it or is the only one of the two to give any.
    """
    if rank(reading.status) == 0:
        return None
    mine = identities(reading.reasons)
    roots = [
        other
        for other in readings
        if other.key[2] == reading.key[2]
        and rank(other.status) >= rank(reading.status)
        and mine <= (theirs := identities(other.reasons))
        and (upstream(other.key[0]) < upstream(reading.key[0]) or (theirs and not mine))
    ]
    nearest_first = sorted(roots, key=lambda other: (not other.reasons, upstream(other.key[0]), other.key))
    return nearest_first[0].entity if nearest_first else None


def still_explained(reading: Reading, track: Track, after: Iterable[Track]) -> Reading:
    """An explanation lasts until the recovery of what explains it is confirmed: a number that is reported blocked one
    reading longer than its business is no new cause. A reason of its own ends it at once.
    """
    if reading.because or not track.because or rank(reading.status) == 0:
        return reading
    if identities(reading.reasons) - identities(track.reasons):
        return reading
    holds = any(
        f"{one.entity_type} {one.entity_id}" == track.because
        and one.capability == track.capability
        and one.status is not None
        and rank(one.status) >= rank(reading.status)
        for one in after
    )
    return msgspec.structs.replace(reading, because=track.because) if holds else reading
