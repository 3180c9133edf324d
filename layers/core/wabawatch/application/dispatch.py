"""From decisions to messages, and from their outcomes to the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.delivery import Attempt, Deliverer, Task
from wabawatch.application.incidents import Book
from wabawatch.application.planner import Planned
from wabawatch.application.ports import Clock, Notifier
from wabawatch.domain.composition import SEVERITIES, Audience, News, compose
from wabawatch.domain.incidents import Key, Told
from wabawatch.domain.ledger import record_failed, record_sent
from wabawatch.domain.policy import Policy


class Sending:
    """Sends what is to be said, a thread for each destination, and records every outcome as it comes in.

    `keep_going` is called after each record; it raises where this round must not go on."""

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        policy: Policy,
        audience: Audience,
        book: Book,
        backoff: Backoff,
        keep_going: Callable[[], None],
    ) -> None:
        self._deliverer = Deliverer(notifiers, clock)
        self._clock = clock
        self._policy = policy
        self._audience = audience
        self._book = book
        self._backoff = backoff
        self._keep_going = keep_going

    def __call__(self, planned: Sequence[Planned], until: datetime | None) -> list[Attempt]:
        lanes: dict[str, list[Planned]] = {}
        for one in planned:
            if one.decision.kind is not None:
                lanes.setdefault(one.destination, []).append(one)
        tasks = [self._task(batch) for lane in lanes.values() for batch in self._batches(lane)]
        attempts = []
        with closing(self._deliverer(tasks, until)) as outcomes:
            for attempt in outcomes:
                self._record(attempt)
                attempts.append(attempt)
                self._keep_going()
        return attempts

    def _batches(self, lane: list[Planned]) -> list[list[Planned]]:
        """One message for each incident, or one digest of them all where they would be a storm. What has failed most
        often goes last: news that its destination cannot swallow must not keep the others waiting. Of one cause the end
        is told before it comes back: the last word must be how it is now."""
        if len(lane) > self._policy.digest_over:
            return [lane]
        causes: dict[Key, list[Planned]] = {}
        for one in sorted(lane, key=lambda one: one.incident.opened_at):
            causes.setdefault(one.incident.key, []).append(one)
        return [[one] for cause in sorted(causes.values(), key=_urgency) for one in cause]

    def _task(self, batch: list[Planned]) -> Task:
        """A digest begins a thread of its own, and is none that later news could go on with."""
        news = [_news(one) for one in batch]
        thread = dict(batch[0].told.thread) if len(batch) == 1 else {}
        return compose(batch[0].destination, news, self._clock.now(), self._audience), thread, batch

    def _record(self, attempt: Attempt) -> None:
        now = self._clock.now()
        for planned in attempt.planned:
            incident = self._book.current(planned.incident)
            told = incident.ledger.get(attempt.destination, Told())
            line = self._line(attempt, planned, told, now)
            ledger = {**incident.ledger, attempt.destination: line}
            self._book.put(msgspec.structs.replace(incident, ledger=ledger))
        self._strain(attempt, now)
        self._book.save()

    def _line(self, attempt: Attempt, planned: Planned, told: Told, now: datetime) -> Told:
        if attempt.error is not None:
            return record_failed(told, str(attempt.error), now, self._policy, attempt.error.retry_after)
        thread = dict(attempt.thread) if len(attempt.planned) == 1 else {}
        return record_sent(planned.incident, told, planned.decision.kind or "", now, thread)

    def _strain(self, attempt: Attempt, now: datetime) -> None:
        """A lasting failure may be about one message alone: it does not make the others wait."""
        if attempt.error is None:
            self._backoff.worked(attempt.destination)
        elif not attempt.error.lasting:
            self._backoff.failed(attempt.destination, now, attempt.error.retry_after)


def _urgency(cause: Sequence[Planned]) -> tuple[int, int]:
    return max(one.told.attempts for one in cause), min(SEVERITIES.index(one.severity) for one in cause)


def _news(planned: Planned) -> News:
    kind = planned.decision.kind or ""
    return News(planned.incident, planned.told, kind, planned.severity, planned.acknowledged_by)
