"""poll: read the targets, detect what changed, commit it. The only writer of snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.commits import Commits
from wabawatch.application.ports import Clock, HealthSource, Store, Target
from wabawatch.domain.correlation import UNWATCHED
from wabawatch.domain.health import (
    AVAILABLE,
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
from wabawatch.domain.incidents import MONITOR
from wabawatch.domain.phrases import clean
from wabawatch.domain.policy import Blind, Policy
from wabawatch.domain.runs import Run
from wabawatch.domain.transitions import Transition

logger = logging.getLogger(__name__)

_SIGHT: Final = "~sight-"
"""What each shard says of the monitor's own sight has a snapshot of its own; no target's id begins like this."""


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
        commits = Commits(self._store, self._policy, task.run_id)
        sight = f"{_SIGHT}{task.shard}"
        ordered = self._ordered(task)
        run = Run(task.run_id, task.shard, task.of, self._clock.now(), expected=len(ordered))
        commits.load([*(target.id for target in ordered), sight])
        seen = _Seen()
        logger.info("run %s begins: %d targets", task.run_id, len(ordered))
        for observation in self._source.observe(ordered, until=task.until, stopped=stopped):
            heard(observation)
            seen.add(observation)
            if isinstance(observation.outcome, Report):
                commits.take(observation)
        blind = seen.is_blind(self._policy.blind)
        for observation in seen.plain if blind else seen.failures:
            commits.take(observation)
        if seen.reached:
            commits.take(self._sight(sight, seen, blind=blind))
        commits.flush()
        skipped = [target.id for target in ordered if target.id not in seen.reached]
        self._remember(task, skipped[0] if skipped else None)
        done = _concluded(run, self._clock.now(), seen, skipped, commits, blind=blind)
        self._store.save_run(done)
        logger.info(
            "run %s: %d of %d answered; %d transitions", done.id, done.answered, done.expected, done.transitions
        )
        return Polled(done, tuple(commits.transitions))

    def forget_all_but(
        self, targets: Iterable[str], run_id: str = UNWATCHED, *, shards: int | None = None
    ) -> tuple[Transition, ...]:
        """Close what targets hold that are no longer configured; to be called when the configuration has changed.

        `shards` is how many the fleet has now: what others said of the monitor's sight is closed too (None: left)."""
        commits = Commits(self._store, self._policy, run_id)
        watched = set(targets)
        now = self._clock.now()
        for snapshot in self._store.every_snapshot():
            if not _is_watched(snapshot.target, watched, shards):
                commits.forget(snapshot, now)
        commits.flush()
        return tuple(commits.transitions)

    def _ordered(self, task: Pass) -> list[Target]:
        ordered = sorted(task.targets, key=lambda target: target.id)
        resume_at = self._store.document(_cursor(task))
        if not resume_at:
            return ordered
        first = resume_at.decode()
        return [one for one in ordered if one.id >= first] + [one for one in ordered if one.id < first]

    def _sight(self, name: str, seen: _Seen, *, blind: bool) -> Observation:
        """What this pass says about the monitor's own sight, as an observation like any other."""
        detail = f"{len(seen.failures)} of {len(seen.reached)} targets could not be read: {_listed(seen.causes)}"
        reasons = (Reason(description="blind", detail=detail),)
        entity = Entity(MONITOR, "sight", {READABLE: UNKNOWN if blind else AVAILABLE}, reasons if blind else ())
        return Observation(name, self._clock.now(), Report((entity,)))

    def _remember(self, task: Pass, resume_at: str | None) -> None:
        if (self._store.document(_cursor(task)) or b"").decode() != (resume_at or ""):
            self._store.save_document(_cursor(task), (resume_at or "").encode())


class _Seen:
    """What a pass has seen so far."""

    def __init__(self) -> None:
        self.reached: set[str] = set()
        self.failures: list[Observation] = []
        self.plain: list[Observation] = []
        """Failures in which the provider itself says that the channel is down: told at once, and no blindness."""
        self.causes: dict[str, int] = {}
        self.statuses: dict[str, int] = {}
        self.codes: dict[int, int] = {}

    def add(self, observation: Observation) -> None:
        self.reached.add(observation.target)
        outcome = observation.outcome
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
        self.failures.append(observation)
        logger.debug("%s: %s: %s", observation.target, failure.cause, failure.detail)
        if is_urgent((Reason(description=failure.cause),)):
            self.plain.append(observation)

    def is_blind(self, blind: Blind) -> bool:
        unread = len(self.failures) - len(self.plain)
        return unread >= blind.at_least and unread > blind.share * len(self.reached)


def _concluded(run: Run, now: datetime, seen: _Seen, skipped: Sequence[str], commits: Commits, *, blind: bool) -> Run:
    return msgspec.structs.replace(
        run,
        finished_at=now,
        answered=len(seen.reached) - len(seen.failures),
        unknown=len(seen.failures),
        skipped=len(skipped),
        transitions=len(commits.transitions),
        writes=commits.writes,
        conflicts=commits.conflicts,
        blind=blind,
        resume_at=skipped[0] if skipped else None,
        causes=seen.causes,
        statuses=seen.statuses,
        codes=seen.codes,
    )


def _cursor(task: Pass) -> str:
    return f"cursor/{task.shard}-{task.of}"


def _listed(causes: dict[str, int]) -> str:
    ranked = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{cause} ({count})" for cause, count in ranked)


def _is_watched(target: str, watched: set[str], shards: int | None) -> bool:
    if not target.startswith(_SIGHT):
        return target in watched
    return shards is None or int(target.removeprefix(_SIGHT)) < shards
