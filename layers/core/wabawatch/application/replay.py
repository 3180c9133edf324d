"""replay: run stored observations through poll and notify under other rules, and collect the notifications.

Only observations that changed something are stored. In between, each run read the same, so that replay repeats the last
one: thresholds count it. Nothing is delivered, and only the scratch store is written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.notify import Notify
from wabawatch.application.poll import Poll, PollTask
from wabawatch.application.ports import Receipt, Store, Target
from wabawatch.domain.health import Observation
from wabawatch.domain.notification import Notification
from wabawatch.domain.routing import Rules
from wabawatch.messages.notification import RenderContext

_OWNER: Final = "replay"
_MOMENT: Final = timedelta(milliseconds=1)
"""Time must pass between two rounds, whatever they say is due."""


class RecordedHistory(msgspec.Struct, frozen=True):
    """Each target's observations, the earliest first, and when runs ended."""

    observations: Mapping[str, Sequence[Observation]]
    runs: Sequence[datetime]


class ReplayedNotification(msgspec.Struct, frozen=True):
    """A notification that would have been delivered, and when."""

    at: datetime
    notification: Notification


class _Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class _Source:
    """Yield what each target answered at the clock's time; repeat the last observation where there is no new one."""

    def __init__(self, past: RecordedHistory, clock: _Clock) -> None:
        self._past = past
        self._clock = clock
        self._times = {
            name: [observation.observed_at for observation in found] for name, found in past.observations.items()
        }
        self._taken: dict[str, int] = {}

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterable[Observation]:
        del until, should_stop
        return (observation for target in targets for observation in self._of(target.id))

    def _of(self, target: str) -> Iterator[Observation]:
        known = self._past.observations.get(target, ())
        before = self._taken.get(target, 0)
        after = bisect_right(self._times.get(target, ()), self._clock.at)
        self._taken[target] = after
        if after > before:
            yield from known[before:after]
        elif after:
            yield msgspec.structs.replace(known[after - 1], observed_at=self._clock.at)


class _Recorder:
    """A destination that accepts everything and records it."""

    def __init__(self, kind: str, clock: _Clock, sent: list[ReplayedNotification]) -> None:
        self.kind = kind
        self._clock = clock
        self._sent = sent

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        self._sent.append(ReplayedNotification(self._clock.at, notification))
        return Receipt(thread)


class Replay:
    """Replay history under these rules. `kinds` has each destination's kind; `scratch` is an empty store."""

    def __init__(
        self, past: RecordedHistory, scratch: Store, rules: Rules, audience: RenderContext, kinds: Mapping[str, str]
    ) -> None:
        self._past = past
        self._store = scratch
        self._targets = [Target(name, name, "") for name in past.observations]
        self._clock = _Clock(datetime.fromtimestamp(0, UTC))
        self._sent: list[ReplayedNotification] = []
        recorders = {name: _Recorder(kind, self._clock, self._sent) for name, kind in kinds.items()}
        self._poll = Poll(scratch, _Source(past, self._clock), self._clock, rules.policy)
        self._notify = Notify(scratch, recorders, self._clock, rules, audience)
        self._patience = rules.policy.thresholds.longest

    def run(self, until: datetime) -> list[ReplayedNotification]:
        """Return every notification that would have been sent up to then, the earliest first."""
        for at in self._instants():
            if at > until:
                break
            self._rounds_before(at)
            self._clock.at = at
            self._poll.run(PollTask(f"replay-{at:%Y%m%dT%H%M%S}", self._targets))
            self._notify.run(_OWNER, complete=True)
        self._rounds_before(until)
        return self._sent

    def _instants(self) -> Iterator[datetime]:
        """Yield the times of runs to replay: those with new observations, and after each as many as the longest
        threshold needs. All other runs repeat the run before."""
        observed_at = sorted(
            observation.observed_at for found in self._past.observations.values() for observation in found
        )
        unread_run = (
            observed_at[-1:]
            if observed_at and observed_at[-1] > max(self._past.runs, default=observed_at[0] - _MOMENT)
            else []
        )
        left, seen = 0, 0
        for at in [*self._past.runs, *unread_run]:
            observed = bisect_right(observed_at, at)
            left = self._patience if observed > seen else left - 1
            seen = observed
            if left >= 0:
                yield at

    def _rounds_before(self, at: datetime) -> None:
        """Run the rounds of notify between two runs: reminders, and ends of mutes and waits."""
        while True:
            due = [incident.due_at for incident in self._store.open_incidents() if incident.due_at is not None]
            if not due or min(due) >= at:
                return
            self._clock.at = max(min(due), self._clock.at + _MOMENT)
            self._notify.run(_OWNER)
