"""poll: read the targets, detect what changed, commit it. The only writer of snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import Change, Clock, HealthSource, Store, Target
from wabawatch.domain.correlation import UNWATCHED
from wabawatch.domain.detection import detect, forget
from wabawatch.domain.health import (
    AVAILABLE,
    READABLE,
    UNKNOWN,
    Entity,
    Failure,
    Observation,
    Reason,
    Report,
    status_of,
)
from wabawatch.domain.incidents import MONITOR
from wabawatch.domain.policy import Policy
from wabawatch.domain.runs import Run
from wabawatch.domain.transitions import Snapshot, Transition

_FLUSH_AT: Final = 100
"""Changes that wait for one commit: few enough to lose little time to a crash, enough to share a round trip."""
_TRIES: Final = 5


class Pass(msgspec.Struct, frozen=True):
    """What to poll: a shard of the fleet (0 of 1: all of it), until when, for which run."""

    run_id: str
    targets: Sequence[Target]
    shard: int = 0
    of: int = 1
    until: datetime | None = None


class Polled(msgspec.Struct, frozen=True):
    """What a pass did: its record, and the transitions that it committed."""

    run: Run
    transitions: tuple[Transition, ...]


class Poll:
    """One pass, from the first probe to the record of the run."""

    def __init__(self, store: Store, source: HealthSource, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._policy = policy

    def __call__(
        self,
        task: Pass,
        *,
        stopped: Callable[[], bool] = lambda: False,
        heard: Callable[[Observation], None] = lambda _: None,
    ) -> Polled:
        """Poll the targets of a pass, those first that the last one had to skip.

        `heard` is called with every observation as it comes in. A run that ends early records what it skipped."""
        ledger = _Ledger(self._store, self._policy, task.run_id)
        sight = f"~sight-{task.shard}"
        ordered = self._ordered(task)
        run = Run(task.run_id, task.shard, task.of, self._clock.now(), expected=len(ordered))
        ledger.load([*(target.id for target in ordered), sight])
        failures: list[Observation] = []
        statuses: dict[str, int] = {}
        reached: set[str] = set()
        for observation in self._source.observe(ordered, until=task.until, stopped=stopped):
            heard(observation)
            reached.add(observation.target)
            if isinstance(observation.outcome, Report):
                ledger.take(observation)
                status = status_of(observation.outcome)
                statuses[status] = statuses.get(status, 0) + 1
            else:
                failures.append(observation)
        blind = self._is_blind(len(failures), len(reached))
        for observation in () if blind else failures:
            ledger.take(observation)
        if reached:
            ledger.take(self._sight(sight, len(failures), len(reached), blind=blind))
        ledger.flush()
        return self._concluded(run, task, ordered, reached, failures, statuses, ledger, blind=blind)

    def forget_all_but(self, targets: Iterable[str], run_id: str = UNWATCHED) -> tuple[Transition, ...]:
        """Close what targets hold that are no longer configured; to be called when the configuration has changed."""
        ledger = _Ledger(self._store, self._policy, run_id)
        watched = set(targets)
        now = self._clock.now()
        for snapshot in self._store.every_snapshot():
            if snapshot.tracks and snapshot.target not in watched and not snapshot.target.startswith("~"):
                detection = forget(snapshot, now, run_id)
                ledger.add(Change(detection.snapshot, detection.transitions, Observation(snapshot.target, now)))
        ledger.flush()
        return tuple(ledger.transitions)

    def _ordered(self, task: Pass) -> list[Target]:
        ordered = sorted(task.targets, key=lambda target: target.id)
        resume_at = self._store.document(_cursor(task))
        if not resume_at:
            return ordered
        first = resume_at.decode()
        return [one for one in ordered if one.id >= first] + [one for one in ordered if one.id < first]

    def _is_blind(self, unread: int, reached: int) -> bool:
        blind = self._policy.blind
        return unread >= blind.at_least and unread > blind.share * reached

    def _sight(self, name: str, unread: int, reached: int, *, blind: bool) -> Observation:
        """What this pass says about the monitor's own sight, as an observation like any other."""
        reasons = (Reason(description="blind", detail=f"{unread} of {reached} targets could not be read"),)
        entity = Entity(MONITOR, "sight", {READABLE: UNKNOWN if blind else AVAILABLE}, reasons if blind else ())
        return Observation(name, self._clock.now(), Report((entity,)))

    def _concluded(
        self,
        run: Run,
        task: Pass,
        ordered: list[Target],
        reached: set[str],
        failures: list[Observation],
        statuses: dict[str, int],
        ledger: _Ledger,
        *,
        blind: bool,
    ) -> Polled:
        skipped = [target.id for target in ordered if target.id not in reached]
        self._remember(task, skipped[0] if skipped else None)
        done = msgspec.structs.replace(
            run,
            finished_at=self._clock.now(),
            answered=len(reached) - len(failures),
            unknown=len(failures),
            skipped=len(skipped),
            transitions=len(ledger.transitions),
            writes=ledger.writes,
            conflicts=ledger.conflicts,
            blind=blind,
            resume_at=skipped[0] if skipped else None,
            causes=_causes(failures),
            statuses=statuses | ({UNKNOWN: len(failures) + statuses.get(UNKNOWN, 0)} if failures else {}),
        )
        self._store.save_run(done)
        return Polled(done, tuple(ledger.transitions))

    def _remember(self, task: Pass, resume_at: str | None) -> None:
        if (self._store.document(_cursor(task)) or b"").decode() != (resume_at or ""):
            self._store.save_document(_cursor(task), (resume_at or "").encode())


def _cursor(task: Pass) -> str:
    return f"cursor/{task.shard}-{task.of}"


def _causes(failures: list[Observation]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for failure in failures:
        if isinstance(failure.outcome, Failure):
            counts[failure.outcome.cause] = counts.get(failure.outcome.cause, 0) + 1
    return counts


class _Ledger:
    """The changes of one pass on their way to the store, some at a time."""

    def __init__(self, store: Store, policy: Policy, run_id: str) -> None:
        self._store = store
        self._thresholds = policy.thresholds
        self._run_id = run_id
        self._snapshots: dict[str, Snapshot] = {}
        self._waiting: list[Change] = []
        self.transitions: list[Transition] = []
        self.writes = 0
        self.conflicts = 0

    def load(self, targets: list[str]) -> None:
        self._snapshots = self._store.snapshots(targets)

    def take(self, observation: Observation) -> None:
        change = self._change(observation)
        if change is not None:
            self.add(change)

    def add(self, change: Change) -> None:
        self._waiting.append(change)
        if len(self._waiting) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Commit what waits. Whoever loses to another pass is read again and folded anew: a newer observation is not
        lost to an older one that was written first."""
        waiting, self._waiting = self._waiting, []
        for _ in range(_TRIES):
            lost = self._commit(waiting)
            if not lost:
                return
            self._snapshots |= self._store.snapshots([change.snapshot.target for change in lost])
            again = (self._change(change.observation) for change in lost)
            waiting = [change for change in again if change is not None]

    def _commit(self, changes: list[Change]) -> list[Change]:
        lost = []
        for change, won in zip(changes, self._store.commit(changes) if changes else (), strict=True):
            if won:
                self.writes += 1
                self.transitions.extend(change.transitions)
            else:
                self.conflicts += 1
                lost.append(change)
        return lost

    def _change(self, observation: Observation) -> Change | None:
        snapshot = self._snapshots.get(observation.target) or Snapshot(observation.target)
        detection = detect(snapshot, observation, self._thresholds, self._run_id)
        if detection.snapshot is snapshot:
            return None
        return Change(detection.snapshot, detection.transitions, observation)
