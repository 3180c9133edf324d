"""poll: read the targets, detect what changed, commit it. The only writer of snapshots.

All targets are read in one stream of probes; CommitBatch loads their snapshots and commits their changes in slices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from wabawatch.application.commit_batch import CommitBatch, FailedReading, SnapshotWindow, list_some
from wabawatch.application.ports import Clock, DocumentStore, HealthSource, RunStore, SnapshotStore, Target
from wabawatch.domain.coverage import PassReading, completes_run, update_coverage
from wabawatch.domain.health import (
    AVAILABLE,
    NOT_ASKED,
    READABLE,
    UNKNOWN,
    Entity,
    Failure,
    Observation,
    Reason,
    Report,
    is_urgent,
    status_of,
)
from wabawatch.domain.incident import MONITOR
from wabawatch.domain.policy import MassFailure, Policy
from wabawatch.domain.sharding import Run, shard_entity_id
from wabawatch.domain.snapshot import Transition
from wabawatch.messages.text import sanitize

logger = logging.getLogger(__name__)

DEFAULT_INTERVAL: Final = timedelta(minutes=5)


class PollTask(msgspec.Struct, frozen=True):
    """One pass to do: a shard of the fleet (0 of 1: all of it), the run that it belongs to, and when it must end.
    `interval` is the time between two passes."""

    run_id: str
    targets: Sequence[Target]
    shard: int = 0
    of: int = 1
    until: datetime | None = None
    interval: timedelta = DEFAULT_INTERVAL

    @property
    def readability(self) -> str:
        """The target name under which this shard reports on the monitor itself."""
        return shard_entity_id(self.shard, self.of)


class PollResult(msgspec.Struct, frozen=True):
    """The outcome of a pass: its record and the transitions that it committed. `completes`: with this pass the run has
    asked every target of every shard."""

    run: Run
    transitions: tuple[Transition, ...]
    completes: bool = False


class PollStore(SnapshotStore, RunStore, DocumentStore, Protocol):
    """What poll reads and writes."""


class Poll:
    """Run one pass, from the first probe to the record of the run."""

    def __init__(self, store: PollStore, source: HealthSource, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._policy = policy

    def run(
        self,
        task: PollTask,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        on_observation: Callable[[Observation], None] = lambda _: None,
    ) -> PollResult:
        """Poll the targets of a pass; those that the last pass had to skip come first.

        `on_observation` is called with every observation as it comes in. A run that ends early records what it skipped.
        While the store fails, the pass goes on with what can be stored, records what could not, and raises the
        StoreError at its end."""
        batch = CommitBatch(self._store, self._policy, task.run_id, self._clock.now)
        ordered = self._order_targets(task)
        run = Run(
            id=task.run_id,
            shard=task.shard,
            of=task.of,
            started_at=self._clock.now(),
            expected=len(ordered),
            interval=task.interval,
        )
        stats = PollStats()
        logger.info("run %s begins: %d targets", task.run_id, len(ordered))
        window = self._read_targets(task, ordered, batch, stats, should_stop, on_observation)
        mass_failure = stats.is_mass_failure(self._policy.mass_failure)
        window.add_failures(stats.urgent if mass_failure else stats.failures)
        batch.flush()
        if stats.reached or not ordered:  # an empty shard has nothing that it could not read
            batch.add(self._observe_monitor(task, stats, batch.refused, mass_failure=mass_failure))
            batch.flush()
        skipped = [target.id for target in ordered if target.id not in stats.reached]
        window.find_new(skipped)
        finished = _finish_run(run, self._clock.now(), stats, skipped, batch, mass_failure=mass_failure)
        completes = self._record(task, finished, stats, skipped, batch)
        logger.info(
            "run %s: %d of %d answered; %d transitions",
            finished.id,
            finished.answered,
            finished.expected,
            finished.transitions,
        )
        if batch.error is not None:
            raise batch.error
        return PollResult(finished, tuple(batch.transitions), completes)

    def _order_targets(self, task: PollTask) -> list[Target]:
        """Sort the targets by id, beginning with the first that the last pass skipped."""
        ordered = sorted(task.targets, key=lambda target: target.id)
        resume_at = (self._store.document(_cursor(task)) or b"").decode()
        return sorted(ordered, key=lambda target: target.id < resume_at) if resume_at else ordered

    def _read_targets(
        self,
        task: PollTask,
        ordered: Sequence[Target],
        batch: CommitBatch,
        stats: PollStats,
        should_stop: Callable[[], bool],
        on_observation: Callable[[Observation], None],
    ) -> SnapshotWindow:
        """Read every target and fold the reports; failed readings wait in `stats`."""
        batch.load([task.readability])
        window = SnapshotWindow(batch, [target.id for target in ordered])
        window.load_next()
        observations = self._source.observe(
            ordered, until=task.until, should_stop=lambda: should_stop() or batch.is_down
        )
        for observation in observations:
            on_observation(observation)
            window.advance_to(observation.target)
            try:
                stats.add(observation)
            except Exception as error:  # noqa: BLE001 - the border around one target: the pass goes on
                batch.refuse(observation.target, error)
                continue
            if isinstance(observation.outcome, Report):
                window.add(observation)
        window.finish()
        return window

    def _observe_monitor(
        self, task: PollTask, stats: PollStats, refused: Collection[str], *, mass_failure: bool
    ) -> Observation:
        """Return the monitor's own state after this pass, as an observation like any other."""
        unread = f"{len(stats.failures)} of {len(stats.reached)} targets could not be read: {stats.format_causes()}"
        unstored = f"the state of {list_some(sorted(refused))} could not be stored"
        readability = Reason(description="mass_failure", detail=unread) if mass_failure else None
        state = Reason(description="not_stored", detail=unstored) if refused else None
        report = Report((_monitor_entity("readability", readability), _monitor_entity("state", state)))
        return Observation(task.readability, self._clock.now(), report)

    def _record(self, task: PollTask, run: Run, stats: PollStats, skipped: Sequence[str], batch: CommitBatch) -> bool:
        """Record the run, what it did not read, and where the next one begins; return whether this completes the
        run."""
        self._store.save_run(run)
        failed = [failure.target for failure in stats.failures]
        reading = PassReading(
            shard=task.shard,
            of=task.of,
            run_id=task.run_id,
            started_at=run.started_at,
            finished_at=run.finished_at or run.started_at,
            interval=task.interval,
            expected=run.expected,
            unread=dict.fromkeys(
                (*failed, *skipped, *(target for target in batch.refused if target != task.readability))
            ),
            skipped=dict.fromkeys((*skipped, *(target for target in batch.lost if target != task.readability))),
            new=batch.new - {task.readability},
        )
        completes = self._save_coverage(reading)
        cursor = (run.resume_at or "").encode()
        if (self._store.document(_cursor(task)) or b"") != cursor:
            self._store.save_document(_cursor(task), cursor)
        return completes

    def _save_coverage(self, reading: PassReading) -> bool:
        """Store what was not read; return whether the run is complete now. A day that is over is stored before the
        coverage that no longer counts it: a crash in between only repeats it."""
        stored = self._store.coverages()
        resumed = None
        if not any((row.shard, row.of) == (reading.shard, reading.of) for row in stored):
            day = reading.started_at.date()
            rows = self._store.days(day, day + timedelta(days=1))
            resumed = next((row for row in rows if (row.shard, row.of) == (reading.shard, reading.of)), None)
        update = update_coverage(reading, stored, resumed)
        for finished in update.days:
            self._store.save_day(finished)
        if update.coverage is not None:
            self._store.save_coverage(update.coverage)
        for row in update.obsolete:
            self._store.remove_coverage(row.shard, row.of)
        if update.coverage is None:
            return False
        others = stored if reading.of == 1 else self._store.coverages()  # another shard may have ended meanwhile
        return completes_run(update.coverage, others)


class PollStats:
    """Count the observations of a pass."""

    def __init__(self) -> None:
        self.reached: set[str] = set()
        self.failures: list[FailedReading] = []
        self.urgent: list[FailedReading] = []
        """Failures in which the provider itself says that the channel is down: reported at once, and not counted as a
        mass failure of the monitor."""
        self.causes: dict[str, int] = {}
        self.statuses: dict[str, int] = {}
        self.codes: dict[int, int] = {}
        self._details: dict[str, str] = {}

    def add(self, observation: Observation) -> None:
        outcome = observation.outcome
        if isinstance(outcome, Failure) and outcome.cause in NOT_ASKED:
            self.causes[outcome.cause] = self.causes.get(outcome.cause, 0) + 1
            logger.debug("%s: %s: %s", observation.target, outcome.cause, outcome.detail)
            return
        self.reached.add(observation.target)
        status = status_of(outcome) if isinstance(outcome, Report) else UNKNOWN
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if isinstance(outcome, Failure):
            self._add_failure(observation, outcome)
            return
        logger.debug("%s: %s", observation.target, sanitize(status))
        codes = {reason.code for entity in outcome.entities for reason in entity.reasons if reason.code is not None}
        for code in codes:
            self.codes[code] = self.codes.get(code, 0) + 1

    def _add_failure(self, observation: Observation, failure: Failure) -> None:
        self.causes[failure.cause] = self.causes.get(failure.cause, 0) + 1
        detail = self._details.setdefault(failure.detail, failure.detail)
        reading = FailedReading(observation.target, observation.observed_at, failure.cause, detail)
        self.failures.append(reading)
        logger.debug("%s: %s: %s", observation.target, failure.cause, failure.detail)
        if is_urgent((Reason(description=failure.cause),)):
            self.urgent.append(reading)

    def format_causes(self) -> str:
        """Return the causes of failures with their counts, the most frequent first: `timeout (3), auth (1)`."""
        ranked = sorted(self.causes.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{cause} ({count})" for cause, count in ranked)

    def is_mass_failure(self, mass_failure: MassFailure) -> bool:
        unread = len(self.failures) - len(self.urgent)
        return unread >= mass_failure.at_least and unread > mass_failure.share * len(self.reached)


def _monitor_entity(name: str, trouble: Reason | None) -> Entity:
    return Entity(MONITOR, name, {READABLE: UNKNOWN if trouble else AVAILABLE}, (trouble,) if trouble else ())


def _finish_run(
    run: Run, now: datetime, stats: PollStats, skipped: Sequence[str], batch: CommitBatch, *, mass_failure: bool
) -> Run:
    return msgspec.structs.replace(
        run,
        finished_at=now,
        answered=len(stats.reached) - len(stats.failures),
        unknown=len(stats.failures),
        skipped=len(skipped),
        transitions=len(batch.transitions),
        writes=batch.writes,
        conflicts=batch.conflicts,
        mass_failure=mass_failure,
        resume_at=skipped[0] if skipped else None,
        causes=stats.causes,
        statuses=stats.statuses,
        codes=stats.codes,
        refused=len(batch.refused),
    )


def _cursor(task: PollTask) -> str:
    return f"cursor/{task.shard}-{task.of}"
