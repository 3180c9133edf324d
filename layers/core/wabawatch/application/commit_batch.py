"""Turn the observations of one pass into changes, and commit them in batches.

Snapshots are loaded in slices: before their targets are asked, and dropped once the next targets answer."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from wabawatch.application.ports import Change, Outcome, SnapshotStore
from wabawatch.domain.detection import detect, forget, restate
from wabawatch.domain.health import Failure, Observation, Report
from wabawatch.domain.policy import Policy
from wabawatch.domain.snapshot import Detection, Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

logger = logging.getLogger(__name__)

_FLUSH_AT: Final = 250
"""Changes that wait for one commit: few enough to lose little time to a crash, enough to share a round trip."""
_FLUSH_AFTER: Final = timedelta(seconds=10)
"""However few they are: notify sees a change only once it is committed, and a pass can take minutes."""
_TRIES: Final = 5
_DOWN_AFTER: Final = 3
"""Failed calls in a row after which the store counts as down: each may have taken as long as its retries do."""
_TICK: Final = timedelta(microseconds=1)
_LISTED: Final = 5
_SLICE: Final = 2000
"""Targets whose snapshots are loaded at once: many more than are asked at once, few enough to fit small memory."""
_SLICES_KEPT: Final = 3
"""The slice that answers, the one before it, whose last answers may be late, and the next one."""


class _PendingCommit(msgspec.Struct, frozen=True):
    """A change, and what is needed to make it again after a conflict."""

    change: Change
    observation: Observation
    fold: Callable[[Snapshot], Detection]

    @property
    def target(self) -> str:
        return self.change.snapshot.target


class CommitBatch:
    """Fold observations into the snapshots that were loaded, and commit the changes in batches.

    A target that cannot be folded or stored is left out and listed in `refused`; the others go on, also while the store
    fails for a time. `error` keeps the store's first failure, to be raised once the pass is recorded."""

    def __init__(self, store: SnapshotStore, policy: Policy, run_id: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._thresholds = policy.thresholds
        self._run_id = run_id
        self._now = now
        self._snapshots: dict[str, Snapshot] = {}
        self._ahead: set[str] = set()
        self._waiting: list[_PendingCommit] = []
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
        """Load snapshots, best before their targets are observed; return False where the store fails."""
        if self.is_down:
            return False
        now = self._now()
        try:
            found = self._store.snapshots(targets)
        except SchemaError:
            raise
        except StoreError as error:
            self._record_failure(error)
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

    def add(self, observation: Observation) -> None:
        """Fold an observation of a target whose snapshot is loaded."""
        if observation.target not in self._snapshots:
            self._mark_lost([observation.target])
            return
        dated = self._date_after_snapshot(observation)
        self._enqueue(dated, lambda snapshot: detect(snapshot, dated, self._thresholds, self._run_id))
        if self._waiting and self._now() - self._waiting_since >= _FLUSH_AFTER:
            self.flush()

    def forget(self, snapshot: Snapshot, at: datetime) -> None:
        """Close everything that is open about a target that is no longer monitored."""
        self._snapshots[snapshot.target] = snapshot
        self._enqueue(Observation(snapshot.target, at), lambda latest: forget(latest, at, self._run_id))
        self.discard([snapshot.target])

    def restate(self, snapshot: Snapshot, capabilities: frozenset[str], report: Report, at: datetime) -> None:
        """Report again what is wrong with these capabilities. `report` is the target's state, for the log."""
        self._snapshots[snapshot.target] = snapshot
        observation = Observation(snapshot.target, at, report)
        self._enqueue(observation, lambda latest: restate(latest, capabilities, at, self._run_id))
        self.discard([snapshot.target])

    def flush(self) -> None:
        """Commit the waiting changes. After a conflict with another pass the snapshot is read and folded again, so that
        a newer observation is not lost to an older one that was written first."""
        waiting, self._waiting = self._waiting, []
        for _ in range(_TRIES):
            lost = self._commit(waiting)
            if not lost:
                return
            waiting = self._redo(lost)

    def refuse(self, target: str, error: Exception) -> None:
        """Leave out a target whose snapshot or observation cannot be used. Logs where the error was raised and not its
        text, which may quote a response."""
        place = "".join(traceback.format_tb(error.__traceback__)[-3:])
        logger.error("the reading of %s cannot be used: %s\n%s", target, type(error).__name__, place)
        self.refused[target] = None

    def _date_after_snapshot(self, observation: Observation) -> Observation:
        """Date an observation after a snapshot that is dated in the future because the clock was set back.

        Otherwise the observation would be ignored until the clock has caught up, and transitions would be out of order.
        Any other snapshot that is newer was written by an overlapping pass that was faster."""
        known_at = self._snapshots[observation.target].observed_at
        if observation.target not in self._ahead or known_at is None or observation.observed_at > known_at:
            return observation
        return msgspec.structs.replace(observation, observed_at=known_at + _TICK)

    def _enqueue(self, observation: Observation, fold: Callable[[Snapshot], Detection]) -> None:
        work = self._fold(observation, fold)
        if work is None:
            return
        if not self._waiting:
            self._waiting_since = self._now()
        self._waiting.append(work)
        if len(self._waiting) >= _FLUSH_AT:
            self.flush()

    def _fold(self, observation: Observation, fold: Callable[[Snapshot], Detection]) -> _PendingCommit | None:
        """Detect the change. A target that cannot be folded is left out; the pass goes on."""
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
        return _PendingCommit(Change(detection.snapshot, detection.transitions, row), observation, fold)

    def _redo(self, lost: Sequence[_PendingCommit]) -> list[_PendingCommit]:
        names = dict.fromkeys(work.target for work in lost)
        passing = [name for name in names if name not in self._snapshots]
        if not self.load(list(names)):
            self._mark_lost(list(names))
            return []
        again = [self._fold(work.observation, work.fold) for work in lost]
        self.discard(passing)
        return [work for work in again if work is not None]

    def _commit(self, waiting: Sequence[_PendingCommit]) -> list[_PendingCommit]:
        lost = []
        refused = []
        for work, outcome in zip(waiting, self._write(waiting), strict=True):
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
            logger.error("the state of %s could not be stored", list_some(refused))
        return lost

    def _write(self, waiting: Sequence[_PendingCommit]) -> list[Outcome]:
        if not waiting:
            return []
        if self.is_down:
            return self._mark_lost([work.target for work in waiting])
        try:
            outcomes = self._store.commit([work.change for work in waiting])
        except SchemaError:
            raise
        except StoreError as error:
            self._record_failure(error)
            return self._mark_lost([work.target for work in waiting])
        except Exception as error:  # noqa: BLE001 - a store that stumbles over one change must not lose the others
            if len(waiting) == 1:
                self.refuse(waiting[0].target, error)
                return [Outcome.REFUSED]
            return [outcome for work in waiting for outcome in self._write([work])]
        self._failures_in_a_row = 0
        return outcomes

    def _mark_lost(self, targets: Sequence[str]) -> list[Outcome]:
        self.lost |= dict.fromkeys(targets)
        self.refused |= dict.fromkeys(targets)
        return [Outcome.REFUSED] * len(targets)

    def _record_failure(self, error: StoreError) -> None:
        logger.warning("the state cannot be read or written for now: %s", error)
        self.error = self.error or error
        self._failures_in_a_row += 1


def list_some(targets: Iterable[str]) -> str:
    """Count targets and list the first of them: `7 targets (a, b, c, d, e and 2 more)`."""
    names = list(targets)
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} target{'' if len(names) == 1 else 's'} ({', '.join(names[:_LISTED])}{rest})"


class FailedReading(msgspec.Struct, frozen=True):
    """A failed reading, kept small until the pass knows whether most of its targets failed."""

    target: str
    observed_at: datetime
    cause: str
    detail: str

    def observation(self) -> Observation:
        return Observation(self.target, self.observed_at, Failure(self.cause, self.detail))


class SnapshotWindow:
    """Keep the snapshots of the targets that are being read loaded, and no others: memory does not grow with the fleet.

    The slice after the one that answers is always loaded, so that a snapshot is loaded before its target is asked.
    Answers that come much later wait until there are enough of them to load their snapshots again."""

    def __init__(self, batch: CommitBatch, ordered: Sequence[str]) -> None:
        self._batch = batch
        self._slices = list(_split(ordered))
        self._slice_of = {target: place for place, part in enumerate(self._slices) for target in part}
        self._loaded = 0
        self._late: list[Observation] = []

    def load_next(self) -> None:
        """Load the next slice, and drop the one that can have no more answers."""
        if self._loaded < len(self._slices):
            self._batch.load(self._slices[self._loaded])
        if self._loaded >= _SLICES_KEPT:
            self._batch.discard(self._slices[self._loaded - _SLICES_KEPT])
        self._loaded += 1

    def advance_to(self, target: str) -> None:
        """Load slices up to the one after the slice of a target that answered."""
        while self._loaded <= self._slice_of.get(target, -1) + 1 and self._loaded < len(self._slices):
            self.load_next()

    def add(self, observation: Observation) -> None:
        if self._batch.is_loaded(observation.target):
            self._batch.add(observation)
            return
        self._late.append(observation)
        if len(self._late) >= _SLICE:
            self._add_late()

    def finish(self) -> None:
        """Add the late answers and drop all snapshots; called when no more answers come."""
        self._add_late()
        for part in self._slices[max(0, self._loaded - _SLICES_KEPT) : self._loaded]:
            self._batch.discard(part)

    def add_failures(self, failures: Sequence[FailedReading]) -> None:
        """Fold failed readings, slice by slice."""
        for part in _split(failures):
            self._load_and_add([failure.observation() for failure in part])

    def find_new(self, skipped: Sequence[str]) -> None:
        """Load the skipped targets that were never loaded, so that the batch knows which of them are new."""
        for part in _split([target for target in skipped if self._slice_of[target] >= self._loaded]):
            self._batch.load(part)
            self._batch.discard(part)

    def _add_late(self) -> None:
        late, self._late = self._late, []
        self._load_and_add(late)

    def _load_and_add(self, observations: Sequence[Observation]) -> None:
        targets = list(dict.fromkeys(observation.target for observation in observations))
        if not targets:
            return
        self._batch.load(targets)
        for observation in observations:
            self._batch.add(observation)
        self._batch.discard(targets)


_Item = TypeVar("_Item")


def _split(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _SLICE):
        yield items[start : start + _SLICE]
