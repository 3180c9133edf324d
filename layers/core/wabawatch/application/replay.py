"""replay: run stored observations through poll and notify under other rules, and collect what would be told.

Stored are the readings that changed something. Between two of them a target read the same at every run, so the later
runs read it again: that is what thresholds count. Nothing is delivered, and only the scratch store is written.
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
    """What happened: each target's observations, the earliest first, and when runs ended."""

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
    """Answers as the past did at the clock's time; what was read before is read again."""

    def __init__(self, past: RecordedHistory, clock: _Clock) -> None:
        self._past = past
        self._clock = clock
        self._times = {name: [one.observed_at for one in found] for name, found in past.observations.items()}
        self._taken: dict[str, int] = {}

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, stopped: Callable[[], bool] = lambda: False
    ) -> Iterable[Observation]:
        del until, stopped
        return (one for target in targets for one in self._of(target.id))

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
    """A destination that takes everything and writes it down."""

    def __init__(self, kind: str, clock: _Clock, said: list[ReplayedNotification]) -> None:
        self.kind = kind
        self._clock = clock
        self._said = said

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        self._said.append(ReplayedNotification(self._clock.at, notification))
        return Receipt(thread)


class Replay:
    """The past under these rules. `kinds` gives each destination's kind; `scratch` is an empty store, used up."""

    def __init__(
        self, past: RecordedHistory, scratch: Store, rules: Rules, audience: RenderContext, kinds: Mapping[str, str]
    ) -> None:
        self._past = past
        self._store = scratch
        self._targets = [Target(name, name, "") for name in past.observations]
        self._clock = _Clock(datetime.fromtimestamp(0, UTC))
        self._said: list[ReplayedNotification] = []
        recorders = {name: _Recorder(kind, self._clock, self._said) for name, kind in kinds.items()}
        self._poll = Poll(scratch, _Source(past, self._clock), self._clock, rules.policy)
        self._notify = Notify(scratch, recorders, self._clock, rules, audience)
        self._patience = rules.policy.thresholds.longest

    def __call__(self, until: datetime) -> list[ReplayedNotification]:
        """Everything that would have been told up to then, the earliest first."""
        for at in self._instants():
            if at > until:
                break
            self._rounds_before(at)
            self._clock.at = at
            self._poll(PollTask(f"replay-{at:%Y%m%dT%H%M%S}", self._targets))
            self._notify.run(_OWNER, complete=True)
        self._rounds_before(until)
        return self._said

    def _instants(self) -> Iterator[datetime]:
        """The runs that matter: those with news, and as many after each as the longest threshold counts. Any other
        read what the one before it had read."""
        news = sorted(one.observed_at for found in self._past.observations.values() for one in found)
        unheard = news[-1:] if news and news[-1] > max(self._past.runs, default=news[0] - _MOMENT) else []
        left, seen = 0, 0
        for at in [*self._past.runs, *unheard]:
            heard = bisect_right(news, at)
            left = self._patience if heard > seen else left - 1
            seen = heard
            if left >= 0:
                yield at

    def _rounds_before(self, at: datetime) -> None:
        """The rounds of notify between two runs: reminders, and ends of mutes and waits."""
        while True:
            due = [one.due_at for one in self._store.open_incidents() if one.due_at is not None]
            if not due or min(due) >= at:
                return
            self._clock.at = max(min(due), self._clock.at + _MOMENT)
            self._notify.run(_OWNER)
