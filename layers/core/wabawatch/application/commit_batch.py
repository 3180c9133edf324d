"""The changes of one pass on their way to the store."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.ports import Change, Outcome, Store
from wabawatch.domain.detection import detect, forget, restate
from wabawatch.domain.health import Observation, Report
from wabawatch.domain.policy import Policy
from wabawatch.domain.snapshot import Detection, Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

logger = logging.getLogger(__name__)

_FLUSH_AT: Final = 250
"""Changes that wait for one commit: few enough to lose little time to a crash, enough to share a round trip."""
_FLUSH_AFTER: Final = timedelta(seconds=10)
"""However few they are: people hear of a change only once it is committed, and a pass can take minutes."""
_TRIES: Final = 5
_DOWN_AFTER: Final = 3
"""Failed calls in a row after which the store counts as down: each may have taken as long as its retries do."""
_TICK: Final = timedelta(microseconds=1)
_NAMED: Final = 5


class _Work(msgspec.Struct, frozen=True):
    """A change, and how it is made again where another pass was faster."""

    change: Change
    observation: Observation
    fold: Callable[[Snapshot], Detection]

    @property
    def target(self) -> str:
        return self.change.snapshot.target


class CommitBatch:
    """Folds observations into the snapshots that were loaded, and commits the changes some at a time.

    What cannot be folded or stored of one target is left out and counted in `refused`; the rest goes on. So it does
    where the store fails for a while: `error` keeps the first failure, to be raised once the pass is recorded."""

    def __init__(self, store: Store, policy: Policy, run_id: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._thresholds = policy.thresholds
        self._run_id = run_id
        self._now = now
        self._snapshots: dict[str, Snapshot] = {}
        self._ahead: set[str] = set()
        self._waiting: list[_Work] = []
        self._waiting_since = now()
        self._failures_in_a_row = 0
        self.transitions: list[Transition] = []
        self.writes = 0
        self.conflicts = 0
        self.refused: dict[str, None] = {}
        self.lost: dict[str, None] = {}
        """The part of `refused` that the store could not take for a while."""
        self.new: set[str] = set()
        """Targets of which nothing was known before."""
        self.error: StoreError | None = None

    @property
    def is_down(self) -> bool:
        """Whether the store has failed so often that nothing more should be read."""
        return self._failures_in_a_row >= _DOWN_AFTER

    def load(self, targets: Sequence[str]) -> bool:
        """Load snapshots, best before their targets are observed; False where the store fails."""
        if self.is_down:
            return False
        now = self._now()
        try:
            found = self._store.snapshots(targets)
        except SchemaError:
            raise
        except StoreError as error:
            self._fail(error)
            return False
        for target in targets:
            snapshot = found.get(target)
            self._snapshots[target] = snapshot or Snapshot(target)
            if snapshot is None or not (snapshot.states or snapshot.is_reset):
                self.new.add(target)
            if snapshot is not None and snapshot.observed_at is not None and snapshot.observed_at >= now:
                self._ahead.add(target)
        return True

    def is_loaded(self, target: str) -> bool:
        return target in self._snapshots

    def discard(self, targets: Iterable[str]) -> None:
        """Drop loaded snapshots. What waits for its commit stays."""
        for target in targets:
            self._snapshots.pop(target, None)

    def take(self, observation: Observation) -> None:
        """Fold an observation of a target whose snapshot is loaded."""
        if observation.target not in self._snapshots:
            self._lose([observation.target])
            return
        dated = self._dated(observation)
        self._add(dated, lambda snapshot: detect(snapshot, dated, self._thresholds, self._run_id))
        if self._waiting and self._now() - self._waiting_since >= _FLUSH_AFTER:
            self.flush()

    def forget(self, snapshot: Snapshot, at: datetime) -> None:
        """Close what a target holds that is no longer watched."""
        self._snapshots[snapshot.target] = snapshot
        self._add(Observation(snapshot.target, at), lambda latest: forget(latest, at, self._run_id))
        self.discard([snapshot.target])

    def restate(self, snapshot: Snapshot, capabilities: frozenset[str], report: Report, at: datetime) -> None:
        """Say again what is wrong with these capabilities. `report` is how the target stands, for the log."""
        self._snapshots[snapshot.target] = snapshot
        notified = Observation(snapshot.target, at, report)
        self._add(notified, lambda latest: restate(latest, capabilities, at, self._run_id))
        self.discard([snapshot.target])

    def flush(self) -> None:
        """Commit what waits. Whoever loses to another pass is read again and folded anew: a newer observation is not
        lost to an older one that was written first."""
        waiting, self._waiting = self._waiting, []
        for _ in range(_TRIES):
            lost = self._commit(waiting)
            if not lost:
                return
            waiting = self._again(lost)

    def refuse(self, target: str, error: Exception) -> None:
        """Leave out a target whose snapshot or observation cannot be worked on. The error's place is logged and its
        text is not: it may quote an answer."""
        place = "".join(traceback.format_tb(error.__traceback__)[-3:])
        logger.error("the reading of %s cannot be used: %s\n%s", target, type(error).__name__, place)
        self.refused[target] = None

    def _dated(self, observation: Observation) -> Observation:
        """A snapshot that was dated in the future when it was loaded was made before the clock was set back. What is
        observed now is newer than it: else nothing would be believed until the clock has caught up, and transitions
        would not be in order. Any other snapshot that is newer is an overlapping pass's, which was faster."""
        known_at = self._snapshots[observation.target].observed_at
        if observation.target not in self._ahead or known_at is None or observation.observed_at > known_at:
            return observation
        return msgspec.structs.replace(observation, observed_at=known_at + _TICK)

    def _add(self, observation: Observation, fold: Callable[[Snapshot], Detection]) -> None:
        work = self._work(observation, fold)
        if work is None:
            return
        if not self._waiting:
            self._waiting_since = self._now()
        self._waiting.append(work)
        if len(self._waiting) >= _FLUSH_AT:
            self.flush()

    def _work(self, observation: Observation, fold: Callable[[Snapshot], Detection]) -> _Work | None:
        """The border around one target: the pass goes on without one that cannot be folded."""
        snapshot = self._snapshots[observation.target]
        try:
            detection = fold(snapshot)
        except Exception as error:  # noqa: BLE001 - one bad snapshot or observation must not end the pass
            self.refuse(observation.target, error)
            return None
        if detection.snapshot is snapshot:
            return None
        self._snapshots[observation.target] = detection.snapshot
        row = observation
        if detection.snapshot.observed_at not in {None, observation.observed_at}:  # a row has its transitions' instant
            row = msgspec.structs.replace(observation, observed_at=detection.snapshot.observed_at)
        return _Work(Change(detection.snapshot, detection.transitions, row), observation, fold)

    def _again(self, lost: Sequence[_Work]) -> list[_Work]:
        names = dict.fromkeys(work.target for work in lost)
        passing = [name for name in names if name not in self._snapshots]
        if not self.load(list(names)):
            self._lose(list(names))
            return []
        again = [self._work(work.observation, work.fold) for work in lost]
        self.discard(passing)
        return [work for work in again if work is not None]

    def _commit(self, waiting: Sequence[_Work]) -> list[_Work]:
        lost = []
        refused = []
        for work, outcome in zip(waiting, self._outcomes(waiting), strict=True):
            if outcome is Outcome.WRITTEN:
                self.writes += 1
                self.transitions.extend(work.change.transitions)
            elif outcome is Outcome.CONFLICT:
                self.conflicts += 1
                lost.append(work)
            else:
                refused.append(work.target)
        if refused:
            self.refused |= dict.fromkeys(refused)
            logger.error("the state of %s could not be stored", named(refused))
        return lost

    def _outcomes(self, waiting: Sequence[_Work]) -> list[Outcome]:
        if not waiting:
            return []
        if self.is_down:
            return self._lose([work.target for work in waiting])
        try:
            outcomes = self._store.commit([work.change for work in waiting])
        except SchemaError:
            raise
        except StoreError as error:
            self._fail(error)
            return self._lose([work.target for work in waiting])
        except Exception as error:  # noqa: BLE001 - a store that stumbles over one change must not lose the others
            if len(waiting) == 1:
                self.refuse(waiting[0].target, error)
                return [Outcome.REFUSED]
            return [outcome for work in waiting for outcome in self._outcomes([work])]
        self._failures_in_a_row = 0
        return outcomes

    def _lose(self, targets: Sequence[str]) -> list[Outcome]:
        self.lost |= dict.fromkeys(targets)
        self.refused |= dict.fromkeys(targets)
        return [Outcome.REFUSED] * len(targets)

    def _fail(self, error: StoreError) -> None:
        logger.warning("the state cannot be read or written for now: %s", error)
        self.error = self.error or error
        self._failures_in_a_row += 1


def named(targets: Iterable[str]) -> str:
    """Count targets, and name the first of them: `7 targets (a, b, c, d, e and 2 more)`."""
    names = list(targets)
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} target{'' if len(names) == 1 else 's'} ({', '.join(names[:_NAMED])}{rest})"
