"""poll: read the targets, detect what changed, commit it. The only writer of snapshots.

Targets are asked in one go, and worked on in slices: a slice's snapshots are loaded before its targets are asked, and
dropped once the next ones are being read. So memory does not grow with the fleet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from wabawatch.application.commit_batch import CommitBatch, named
from wabawatch.application.ports import Clock, HealthSource, Store, Target
from wabawatch.domain.correlation import UNWATCHED
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
from wabawatch.domain.run import Run
from wabawatch.domain.sharding import parse_shard_entity_id, shard_entity_id
from wabawatch.domain.snapshot import Snapshot, Transition
from wabawatch.messages.text import clean

logger = logging.getLogger(__name__)

_SLICE: Final = 2000
"""Targets whose snapshots are loaded at once: many more than are asked at once, few enough to fit small memory."""
_CAPABILITIES: Final = "capabilities"
DEFAULT_INTERVAL: Final = timedelta(minutes=5)


class PollTask(msgspec.Struct, frozen=True):
    """What to poll: a shard of the fleet (0 of 1: all of it), until when, for which run. `interval` is the time between
    two passes."""

    run_id: str
    targets: Sequence[Target]
    shard: int = 0
    of: int = 1
    until: datetime | None = None
    interval: timedelta = DEFAULT_INTERVAL

    @property
    def readability(self) -> str:
        """The name under which the shard tells of the monitor itself."""
        return shard_entity_id(self.shard, self.of)


class PollResult(msgspec.Struct, frozen=True):
    """What a pass did: its record, and the transitions that it committed. `completes` tells that with it the whole
    fleet was asked: every shard of its run, and every target of each."""

    run: Run
    transitions: tuple[Transition, ...]
    completes: bool = False


class Poll:
    """One pass, from the first probe to the record of the run."""

    def __init__(self, store: Store, source: HealthSource, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._policy = policy

    def __call__(
        self,
        task: PollTask,
        *,
        stopped: Callable[[], bool] = lambda: False,
        heard: Callable[[Observation], None] = lambda _: None,
    ) -> PollResult:
        """Poll the targets of a pass, those first that the last one had to skip.

        `heard` is called with every observation as it comes in. A run that ends early records what it skipped. Where
        the store fails, the pass goes on with what can be stored, records what could not, and raises the StoreError."""
        batch = self._batch(task.run_id)
        ordered = self._ordered(task)
        run = Run(task.run_id, task.shard, task.of, self._clock.now(), expected=len(ordered), interval=task.interval)
        batch.load([task.readability])
        slices = SnapshotWindow(batch, [target.id for target in ordered])
        seen = PollStats()
        logger.info("run %s begins: %d targets", task.run_id, len(ordered))
        for observation in self._source.observe(ordered, until=task.until, stopped=lambda: stopped() or batch.is_down):
            heard(observation)
            slices.reach(observation.target)
            self._take(batch, seen, slices, observation)
        slices.finish()
        mass_failure = seen.is_mass_failure(self._policy.mass_failure)
        slices.take_again(seen.urgent if mass_failure else seen.failures)
        batch.flush()
        if seen.reached or not ordered:  # a shard that is empty has nothing that it could not read
            batch.take(self._readability(task, seen, batch.refused, mass_failure=mass_failure))
            batch.flush()
        skipped = [target.id for target in ordered if target.id not in seen.reached]
        slices.look_up(skipped)
        done = _concluded(run, self._clock.now(), seen, skipped, batch, mass_failure=mass_failure)
        completes = self._record(task, done, seen, skipped, batch)
        logger.info(
            "run %s: %d of %d answered; %d transitions", done.id, done.answered, done.expected, done.transitions
        )
        if batch.error is not None:
            raise batch.error
        return PollResult(done, tuple(batch.transitions), completes)

    def forget_all_but(
        self, targets: Iterable[str], run_id: str = UNWATCHED, *, shards: int | None = None
    ) -> tuple[Transition, ...]:
        """Close what targets hold that are no longer configured; to be called when the configuration has changed.

        `shards` is how many the fleet has now: what other divisions said of the monitor is closed too (None: left)."""
        watched = set(targets)
        now = self._clock.now()
        batch = self._batch(run_id)
        for snapshot in self._store.every_snapshot():
            if not _is_watched(snapshot.target, watched, shards):
                batch.forget(snapshot, now)
        return _finished(batch)

    def restate_added(self, run_id: str) -> None:
        """Tell what is wrong with the capabilities that the policy has come to include since the last time.

        Which ones those are is remembered once it is done: a crash in between does it again, and the same is told
        twice to nobody, because notify compares it with what was told."""
        wanted = sorted(self._policy.capabilities)
        document = self._store.document(_CAPABILITIES)
        known = msgspec.json.decode(document, type=list[str]) if document else wanted
        if document and known == wanted:
            return
        if added := set(wanted) - set(known):
            self.restate(added, run_id)
        self._store.save_document(_CAPABILITIES, msgspec.json.encode(wanted))

    def restate(self, capabilities: Iterable[str], run_id: str) -> tuple[Transition, ...]:
        """Tell again what is wrong with these capabilities; to be called when the policy has come to include them. What
        was wrong already makes no transition by itself, so that nobody would ever be told."""
        added = frozenset(capabilities)
        now = self._clock.now()
        batch = self._batch(run_id)
        for snapshot in self._store.every_snapshot():
            batch.restate(snapshot, added, _report_of(snapshot), now)
        return _finished(batch)

    def _batch(self, run_id: str) -> CommitBatch:
        return CommitBatch(self._store, self._policy, run_id, self._clock.now)

    def _ordered(self, task: PollTask) -> list[Target]:
        ordered = sorted(task.targets, key=lambda target: target.id)
        resume_at = self._store.document(_cursor(task))
        if not resume_at:
            return ordered
        first = resume_at.decode()
        return [one for one in ordered if one.id >= first] + [one for one in ordered if one.id < first]

    def _take(self, batch: CommitBatch, seen: PollStats, slices: SnapshotWindow, observation: Observation) -> None:
        """The border around one target: whatever its observation does, the pass goes on."""
        try:
            seen.add(observation)
        except Exception as error:  # noqa: BLE001
            batch.refuse(observation.target, error)
            return
        if isinstance(observation.outcome, Report):
            slices.take(observation)

    def _readability(
        self, task: PollTask, seen: PollStats, refused: Iterable[str], *, mass_failure: bool
    ) -> Observation:
        """What this pass says about the monitor itself, as an observation like any other."""
        detail = f"{len(seen.failures)} of {len(seen.reached)} targets could not be read: {_listed(seen.causes)}"
        readability = Reason(description="mass_failure", detail=detail)
        names = sorted(refused)
        state = Reason(description="not_stored", detail=f"the state of {named(names)} could not be stored")
        report = Report(
            (_own("readability", readability if mass_failure else None), _own("state", state if names else None))
        )
        return Observation(task.readability, self._clock.now(), report)

    def _record(self, task: PollTask, run: Run, seen: PollStats, skipped: Sequence[str], batch: CommitBatch) -> bool:
        """Record the run, what it did not read, and where the next one begins; whether the run is complete with it."""
        self._store.save_run(run)
        failed = [failure.target for failure in seen.failures]
        reading = PassReading(
            shard=task.shard,
            of=task.of,
            run_id=task.run_id,
            started_at=run.started_at,
            finished_at=run.finished_at or run.started_at,
            interval=task.interval,
            expected=run.expected,
            unread=dict.fromkeys((*failed, *skipped, *(one for one in batch.refused if one != task.readability))),
            skipped=dict.fromkeys((*skipped, *(one for one in batch.lost if one != task.readability))),
            new=batch.new - {task.readability},
        )
        completes = self._save_coverage(reading)
        self._remember(task, run.resume_at)
        return completes

    def _save_coverage(self, reading: PassReading) -> bool:
        """Store what was not read; whether the run is complete now. A day that is over is stored before the coverage
        that does not count it any more: a crash in between only repeats it."""
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

    def _remember(self, task: PollTask, resume_at: str | None) -> None:
        if (self._store.document(_cursor(task)) or b"").decode() != (resume_at or ""):
            self._store.save_document(_cursor(task), (resume_at or "").encode())


class FailedReading(msgspec.Struct, frozen=True):
    """What is kept of a failed reading until it is known whether most of the pass failed."""

    target: str
    observed_at: datetime
    cause: str
    detail: str

    def observation(self) -> Observation:
        return Observation(self.target, self.observed_at, Failure(self.cause, self.detail))


class PollStats:
    """What a pass has seen so far."""

    def __init__(self) -> None:
        self.reached: set[str] = set()
        self.failures: list[FailedReading] = []
        self.urgent: list[FailedReading] = []
        """Failures in which the provider itself says that the channel is down: told at once, and no blindness."""
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
        logger.debug("%s: %s", observation.target, clean(status))
        codes = {reason.code for entity in outcome.entities for reason in entity.reasons if reason.code is not None}
        for code in codes:
            self.codes[code] = self.codes.get(code, 0) + 1

    def _add_failure(self, observation: Observation, failure: Failure) -> None:
        self.causes[failure.cause] = self.causes.get(failure.cause, 0) + 1
        detail = self._details.setdefault(failure.detail, failure.detail)
        missed = FailedReading(observation.target, observation.observed_at, failure.cause, detail)
        self.failures.append(missed)
        logger.debug("%s: %s: %s", observation.target, failure.cause, failure.detail)
        if is_urgent((Reason(description=failure.cause),)):
            self.urgent.append(missed)

    def is_mass_failure(self, mass_failure: MassFailure) -> bool:
        unread = len(self.failures) - len(self.urgent)
        return unread >= mass_failure.at_least and unread > mass_failure.share * len(self.reached)


class SnapshotWindow:
    """The targets of a pass in the order in which they are asked, and which of their snapshots are loaded.

    The slice after the one that answers is always loaded, so that a snapshot is loaded before its target is asked.
    Answers that come much later wait until there are enough of them to load their snapshots again."""

    def __init__(self, batch: CommitBatch, ordered: Sequence[str]) -> None:
        self._batch = batch
        self._slices = list(_cut(ordered))
        self._place = {target: place for place, part in enumerate(self._slices) for target in part}
        self._loaded = 0
        self._late: list[Observation] = []
        self._load_next()

    def reach(self, target: str) -> None:
        """A target answered."""
        while self._loaded <= self._place.get(target, -1) + 1 and self._loaded < len(self._slices):
            self._load_next()

    def take(self, observation: Observation) -> None:
        if self._batch.is_loaded(observation.target):
            self._batch.take(observation)
            return
        self._late.append(observation)
        if len(self._late) >= _SLICE:
            self._take_late()

    def finish(self) -> None:
        """All answers are in: what is loaded is not needed any more."""
        self._take_late()
        for part in self._slices[max(0, self._loaded - 3) : self._loaded]:
            self._batch.discard(part)

    def take_again(self, failures: Sequence[FailedReading]) -> None:
        """Fold failed readings, slice by slice."""
        for part in _cut(failures):
            self._with_snapshots([missed.observation() for missed in part])

    def look_up(self, skipped: Sequence[str]) -> None:
        """Find out which of the skipped targets are new: of those that were never loaded."""
        for part in _cut([target for target in skipped if self._place[target] >= self._loaded]):
            self._batch.load(part)
            self._batch.discard(part)

    def _take_late(self) -> None:
        late, self._late = self._late, []
        self._with_snapshots(late)

    def _with_snapshots(self, observations: Sequence[Observation]) -> None:
        names = list(dict.fromkeys(one.target for one in observations))
        if not names:
            return
        self._batch.load(names)
        for observation in observations:
            self._batch.take(observation)
        self._batch.discard(names)

    def _load_next(self) -> None:
        if self._loaded < len(self._slices):
            self._batch.load(self._slices[self._loaded])
        if self._loaded >= 3:  # noqa: PLR2004 - before it: the one that answers, and one whose last answers may be late
            self._batch.discard(self._slices[self._loaded - 3])
        self._loaded += 1


_Item = TypeVar("_Item")


def _cut(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _SLICE):
        yield items[start : start + _SLICE]


def _own(name: str, trouble: Reason | None) -> Entity:
    return Entity(MONITOR, name, {READABLE: UNKNOWN if trouble else AVAILABLE}, (trouble,) if trouble else ())


def _finished(batch: CommitBatch) -> tuple[Transition, ...]:
    """Commit what waits. Work on the whole fleet is done, or it is done again: raises StoreError."""
    batch.flush()
    if batch.error is not None:
        raise batch.error
    return tuple(batch.transitions)


def _report_of(snapshot: Snapshot) -> Report:
    """How a target stands, as one reading of it."""
    found: dict[tuple[str, str], Entity] = {}
    for state in snapshot.states:
        if state.capability != READABLE and state.status is not None:
            known = found.get((state.entity_type, state.entity_id), Entity(state.entity_type, state.entity_id, {}))
            found[state.entity_type, state.entity_id] = msgspec.structs.replace(
                known,
                capabilities={**known.capabilities, state.capability: state.status},
                reasons=tuple(dict.fromkeys((*known.reasons, *state.reasons))),
            )
    return Report(tuple(found.values()), contradictions=snapshot.contradictions)


def _concluded(
    run: Run, now: datetime, seen: PollStats, skipped: Sequence[str], batch: CommitBatch, *, mass_failure: bool
) -> Run:
    return msgspec.structs.replace(
        run,
        finished_at=now,
        answered=len(seen.reached) - len(seen.failures),
        unknown=len(seen.failures),
        skipped=len(skipped),
        transitions=len(batch.transitions),
        writes=batch.writes,
        conflicts=batch.conflicts,
        mass_failure=mass_failure,
        resume_at=skipped[0] if skipped else None,
        causes=seen.causes,
        statuses=seen.statuses,
        codes=seen.codes,
        refused=len(batch.refused),
    )


def _cursor(task: PollTask) -> str:
    return f"cursor/{task.shard}-{task.of}"


def _listed(causes: dict[str, int]) -> str:
    ranked = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{cause} ({count})" for cause, count in ranked)


def _is_watched(target: str, watched: set[str], shards: int | None) -> bool:
    division = parse_shard_entity_id(target)
    if division is None:
        return target in watched
    return shards is None or division[1] == shards
