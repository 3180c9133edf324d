"""The changes of one pass on their way to the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.ports import Change, Store
from wabawatch.domain.detection import detect, forget
from wabawatch.domain.health import Observation
from wabawatch.domain.policy import Policy
from wabawatch.domain.transitions import Detection, Snapshot, Transition

_FLUSH_AT: Final = 100
"""Changes that wait for one commit: few enough to lose little time to a crash, enough to share a round trip."""
_TRIES: Final = 5
_TICK: Final = timedelta(microseconds=1)


class _Work(msgspec.Struct, frozen=True):
    """A change, and how it is made again where another pass was faster."""

    change: Change
    fold: Callable[[Snapshot], Detection]


class Commits:
    """Folds observations into the snapshots that were loaded, and commits the changes some at a time."""

    def __init__(self, store: Store, policy: Policy, run_id: str) -> None:
        self._store = store
        self._thresholds = policy.thresholds
        self._run_id = run_id
        self._snapshots: dict[str, Snapshot] = {}
        self._waiting: list[_Work] = []
        self.transitions: list[Transition] = []
        self.writes = 0
        self.conflicts = 0

    def load(self, targets: Sequence[str]) -> None:
        """To be called before the targets are observed."""
        self._snapshots = self._store.snapshots(targets)

    def take(self, observation: Observation) -> None:
        """Fold an observation that was made after the loading."""
        dated = self._dated(observation)
        self._add(dated, lambda snapshot: detect(snapshot, dated, self._thresholds, self._run_id))

    def forget(self, snapshot: Snapshot, at: datetime) -> None:
        """Close what a target holds that is no longer watched."""
        self._snapshots[snapshot.target] = snapshot
        self._add(Observation(snapshot.target, at), lambda latest: forget(latest, at, self._run_id))

    def flush(self) -> None:
        """Commit what waits. Whoever loses to another pass is read again and folded anew: a newer observation is not
        lost to an older one that was written first."""
        waiting, self._waiting = self._waiting, []
        for _ in range(_TRIES):
            lost = self._commit(waiting)
            if not lost:
                return
            self._snapshots |= self._store.snapshots([work.change.snapshot.target for work in lost])
            again = (self._work(work.change.observation, work.fold) for work in lost)
            waiting = [work for work in again if work is not None]

    def _dated(self, observation: Observation) -> Observation:
        """What was observed after a snapshot was loaded is newer than it, even where the clock was set back since: else
        nothing would be believed until the clock has caught up, and transitions would not be in order."""
        snapshot = self._snapshots.get(observation.target)
        known_at = snapshot.observed_at if snapshot else None
        if known_at is None or observation.observed_at > known_at:
            return observation
        return msgspec.structs.replace(observation, observed_at=known_at + _TICK)

    def _add(self, observation: Observation, fold: Callable[[Snapshot], Detection]) -> None:
        work = self._work(observation, fold)
        if work is None:
            return
        self._waiting.append(work)
        if len(self._waiting) >= _FLUSH_AT:
            self.flush()

    def _work(self, observation: Observation, fold: Callable[[Snapshot], Detection]) -> _Work | None:
        snapshot = self._snapshots.get(observation.target) or Snapshot(observation.target)
        detection = fold(snapshot)
        if detection.snapshot is snapshot:
            return None
        return _Work(Change(detection.snapshot, detection.transitions, observation), fold)

    def _commit(self, waiting: Sequence[_Work]) -> list[_Work]:
        lost = []
        won = self._store.commit([work.change for work in waiting]) if waiting else []
        for work, took in zip(waiting, won, strict=True):
            if took:
                self.writes += 1
                self.transitions.extend(work.change.transitions)
            else:
                self.conflicts += 1
                lost.append(work)
        return lost
