"""From a snapshot and an observation to the next snapshot and the transitions between them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from wabawatch.domain.health import Reason, identify_reasons


class Key(NamedTuple):
    """What a track, a transition and an incident are about."""

    entity_type: str
    entity_id: str
    capability: str


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """One observation that counted towards a transition."""

    status: str
    observed_at: datetime


class CapabilityState(msgspec.Struct, frozen=True, array_like=True):
    """One state machine: the confirmed status of one capability of one entity, and what speaks against it.

    `status` is None until the first status is confirmed. `streak` holds the latest observations in a row that differ
    from it, all on one side of it, no more than the longest threshold. `caused_by` names the entity whose trouble
    explains this one's. `was_available` tells that the capability was AVAILABLE once.
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
    def key(self) -> tuple[str, str, str]:
        return (self.entity_type, self.entity_id, self.capability)

    @property
    def picture(self) -> tuple[str | None, frozenset[str], str | None]:
        """What people would call the same: status, identities of the reasons, and the entity that explains it."""
        return (self.status, identify_reasons(self.reasons), self.caused_by)


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The last accepted picture of a target. `version` counts writes, `seq` numbers transitions without gaps.

    `observed_at` is when the observation was made that last changed it; `version` 0 is a target never seen.
    """

    target: str
    version: int = 0
    seq: int = 0
    observed_at: datetime | None = None
    states: tuple[CapabilityState, ...] = ()
    contradictions: tuple[str, ...] = ()
    is_reset: bool = False
    """What was stored could not be read: nothing is known of what was told before, so that the first reading afterwards
    tells health too."""

    def state(self, key: tuple[str, str, str]) -> CapabilityState | None:
        return next((state for state in self.states if state.key == key), None)


class Transition(msgspec.Struct, frozen=True, array_like=True):
    """What changed for one capability of one entity, as one target reports it: another status, or other reasons.

    `old` is None where no status was known before: the entity was found so. `at` is when the confirming observation was
    made, `since` when the first one of its streak was.
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
    """What an observation did: the next snapshot (the same object where nothing changed) and its transitions."""

    snapshot: Snapshot
    transitions: tuple[Transition, ...] = ()
    late: bool = False
    """The observation is not newer than the snapshot, and was left out of it."""
