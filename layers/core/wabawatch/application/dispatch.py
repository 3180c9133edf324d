"""Store notifications, send them, and record what became of them.

A notification is stored in the queue before it is sent, and removed once the incidents' ledgers say that it was sent.
Whoever finds one that was perhaps sent sends it again as it is stored, under its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.delivery import Attempt, Deliverer
from wabawatch.application.membership import some_affected_targets
from wabawatch.application.planner import Planned
from wabawatch.application.ports import Clock, Notifier, Store
from wabawatch.application.unit_of_work import IncidentUnitOfWork
from wabawatch.domain.health import Reason
from wabawatch.domain.incident import SEVERITIES, Incident, Key, NotificationState
from wabawatch.domain.notification_log import QueuedLine, QueuedNotification, Stage, record_sent
from wabawatch.domain.policy import Policy
from wabawatch.errors import DeliveryError, DeliveryErrorKind
from wabawatch.messages.notification import NAMED, News, RenderContext, compose

_A_MOMENT: Final = timedelta(seconds=1)
ABSENCE: Final = timedelta(days=7)
"""How long a destination that left the configuration may stay away and go on where it was."""
_LARGEST_DIGEST: Final = 20_000
"""Incidents in one digest: what is stored of it must fit one transaction."""
_REFUSED_OFTEN: Final = 3
"""Refusals of one message after which people are told of it."""


class Dispatch:
    """The notification queue of one round. `renew_lease` is called after each outcome; it raises where this round must
    stop."""

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        policy: Policy,
        audience: RenderContext,
        incidents: IncidentUnitOfWork,
        backoff: Backoff,
        renew_lease: Callable[[], None],
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._deliverer = Deliverer(notifiers, clock)
        self._clock = clock
        self._policy = policy
        self._audience = audience
        self._incidents = incidents
        self._backoff = backoff
        self._renew_lease = renew_lease
        self._queue: dict[str, QueuedNotification] = {}
        self._recorded: list[str] = []
        self._retried: set[str] = set()
        self._attempted: dict[str, None] = {}
        self.lag = timedelta(0)
        """The longest time from a change to its delivery in this round; reminders are about nothing new."""

    def load(self) -> None:
        """Read the queue in its order, and what it knows of destinations that failed just before a crash."""
        self._queue = {one.id: one for one in sorted(self._store.queued(), key=lambda one: one.position)}
        now = self._clock.now()
        for one in self._queue.values():
            if one.destination in self._notifiers and not one.refused and (until := self._retry_at(one, now)) > now:
                self._backoff.restore(one.destination, one.attempts, one.failing_since, until)

    def drop_removed(self) -> None:
        """Drop what destinations that are not configured any more did not take. What they perhaps took stays for a
        week: one that comes back gets it again, and then hears how it went on."""
        now = self._clock.now()
        self._remove(
            [
                one.id
                for one in self._queue.values()
                if one.destination not in self._notifiers
                and (
                    one.stage is Stage.FAILED
                    or (one.stage is Stage.SENDING and abs(now - one.notification.at) > ABSENCE)
                )
            ]
        )

    def held(self, now: datetime) -> dict[tuple[str, str], datetime]:
        """Until when nothing new is decided about an incident (incident id, destination): it is in the queue, and not
        recorded yet."""
        paused = self._backoff.paused(now)
        return {
            (line.incident_id, one.destination): max(
                self._retry_at(one, now), paused.get(one.destination, now), now + _A_MOMENT
            )
            for one in self._queue.values()
            if one.id not in self._recorded and one.id not in self._retried
            for line in one.lines
        }

    def take_failed(self, now: datetime) -> list[Incident]:
        """Load the incidents of failed notifications whose time has come: what is to be said is decided anew. One whose
        time comes later in the round stays in the queue for the next one."""
        self._retried = {one.id for one in self._queue.values() if self._is_due(one, now)}
        return self._incidents.take_by_id({line.incident_id for one in self._failed() for line in one.lines})

    def find(self, incident_id: str, destination: str) -> QueuedNotification | None:
        """Return the queued notification about an incident, where there is one."""
        return next(
            (
                one
                for one in self._queue.values()
                if one.destination == destination and any(line.incident_id == incident_id for line in one.lines)
            ),
            None,
        )

    def has_failed(self, now: datetime) -> bool:
        """Whether there is something to decide anew."""
        return any(self._is_due(one, now) for one in self._queue.values())

    def take_attempted(self) -> list[str]:
        """Return the destinations that something was sent to since the last call, whether they took it or not."""
        attempted, self._attempted = list(self._attempted), {}
        return attempted

    def failing(self) -> list[QueuedNotification]:
        """Return what was tried and is not delivered yet."""
        return [one for one in self._queue.values() if one.attempts and one.destination in self._notifiers]

    def compose(self, planned: Sequence[Planned]) -> list[QueuedNotification]:
        """Turn decisions into notifications: one for each incident, or a digest where they would be a storm."""
        now = self._clock.now()
        failed = {(line.incident_id, one.destination): one for one in self._failed() for line in one.lines}
        queues: dict[str, list[Planned]] = {}
        for decision in planned:
            if decision.decision.kind is not None:
                queues.setdefault(decision.destination, []).append(decision)
        batches = [(name, batch) for name, news in queues.items() for batch in self._batch(name, news, failed)]
        next_position = max((one.position for one in self._queue.values()), default=0) + 1
        return [
            self._compose(name, batch, failed, now, position)
            for position, (name, batch) in enumerate(batches, next_position)
        ]

    def deliver(self, composed: Sequence[QueuedNotification], until: datetime | None) -> list[Attempt]:
        """Store and send notifications, and before them those that an earlier round may have sent."""
        now = self._clock.now()
        superseded = self._retried - {one.id for one in composed}
        self._retried = set()
        repeated = self._repeat(now)
        self._queue |= {one.id: one for one in composed}
        if composed:
            self._store.queue(composed)
        self._remove(superseded)
        waiting = {one.id: one for one in (*repeated, *composed)}
        tasks = [(one.notification, one.thread, [line.incident_id for line in one.lines]) for one in waiting.values()]
        attempts = []
        with closing(self._deliverer(tasks, until)) as outcomes:
            for attempt in outcomes:
                self._take_outcome(waiting.pop(attempt.notification.id), attempt)
                attempts.append(attempt)
                self._renew_lease()
        self._remove(one for one in waiting if one not in {each.id for each in repeated})
        return attempts

    def record(self) -> None:
        """Write what was sent into the incidents' ledgers; `finish` removes it from the queue once that is saved.

        It makes them due: what was repeated as it is stored may be over by now, and that is to be said next."""
        for sent in [one for one in self._queue.values() if one.stage is Stage.SENT and one.id not in self._recorded]:
            lines = {line.incident_id: line.notified for line in sent.lines}
            for incident in self._incidents.take_by_id(lines):
                self._record(sent, incident, lines[incident.id])
            self._recorded.append(sent.id)

    def finish(self) -> None:
        """Remove from the queue what is recorded; to be called once the incidents are saved."""
        recorded, self._recorded = self._recorded, []
        self._remove(recorded)

    def refused(self, destination: str) -> Reason | None:
        """Say that a destination, which is well, keeps refusing a message."""
        often = [
            one
            for one in self._queue.values()
            if one.destination == destination and one.refused and one.attempts >= _REFUSED_OFTEN
        ]
        return Reason(description="refused", detail=often[0].error) if often else None

    def _is_due(self, queued: QueuedNotification, now: datetime) -> bool:
        return queued.stage is Stage.FAILED and self._retry_at(queued, now) <= now

    def _retry_at(self, queued: QueuedNotification, now: datetime) -> datetime:
        """A time that is farther away than any wait was set before the clock was set back, and is over."""
        at = queued.retry_at
        return now if at is None or at > self._policy.retry.farthest(now) else at

    def _failed(self) -> list[QueuedNotification]:
        """What failed and is decided anew in this iteration."""
        return [self._queue[one] for one in self._retried if one in self._queue]

    def _repeat(self, now: datetime) -> list[QueuedNotification]:
        """Return what was perhaps sent, as it is stored; without what was recorded before the crash."""
        paused = self._backoff.paused(now)
        repeated = []
        for one in list(self._queue.values()):
            if one.stage is not Stage.SENDING or one.destination not in self._notifiers:
                continue
            if one.destination in paused or self._retry_at(one, now) > now:
                continue
            incidents = self._incidents.take_by_id({line.incident_id for line in one.lines})
            if all(_is_recorded(one, incident) for incident in incidents):
                self._remove([one.id])
            else:
                repeated.append(one)
        return repeated

    def _batch(
        self, destination: str, news: list[Planned], failed: Mapping[tuple[str, str], QueuedNotification]
    ) -> list[list[Planned]]:
        """Cut a destination's news into messages. What has failed most often goes last: news that its destination
        can't take must not keep the others waiting. Of one cause the end is told before it comes back: the last word
        must be how it is now."""

        def urgency(cause: Sequence[Planned]) -> tuple[int, int]:
            attempts = [
                failed[planned.incident.id, destination].attempts
                for planned in cause
                if (planned.incident.id, destination) in failed
            ]
            return max(attempts, default=0), min(SEVERITIES.index(planned.severity) for planned in cause)

        causes: dict[Key, list[Planned]] = {}
        for planned in sorted(news, key=lambda planned: planned.incident.generation):
            causes.setdefault(planned.incident.key, []).append(planned)
        ranked = [planned for cause in sorted(causes.values(), key=urgency) for planned in cause]
        limit = self._backoff.digest_limit(destination) or _LARGEST_DIGEST
        size = min(limit, _LARGEST_DIGEST) if len(news) > self._policy.digest_over else 1
        return [ranked[start : start + size] for start in range(0, len(ranked), size)]

    def _compose(
        self,
        destination: str,
        batch: Sequence[Planned],
        failed: Mapping[tuple[str, str], QueuedNotification],
        now: datetime,
        position: int,
    ) -> QueuedNotification:
        """A digest begins a thread of its own, and is none that later news could go on with."""
        news = [self._news(planned) for planned in batch]
        notification = compose(destination, news, now, self._audience)
        lines = [
            QueuedLine(
                planned.incident.id,
                record_sent(planned.incident, planned.notified, planned.decision.kind or "", now, {}),
            )
            for planned in batch
        ]
        before = [failed[key] for line in lines if (key := (line.incident_id, destination)) in failed]
        return QueuedNotification(
            notification.id,
            destination,
            Stage.SENDING,
            notification,
            tuple(lines),
            thread=dict(batch[0].notified.thread) if len(batch) == 1 else {},
            attempts=max((one.attempts for one in before), default=0),
            failing_since=min((one.failing_since for one in before if one.failing_since), default=None),
            position=position,
        )

    def _news(self, planned: Planned) -> News:
        targets = some_affected_targets(self._store, planned.incident, NAMED)
        kind = planned.decision.kind or ""
        return News(planned.incident, targets, planned.notified, kind, planned.severity, planned.acknowledged_by)

    def _take_outcome(self, queued: QueuedNotification, attempt: Attempt) -> None:
        now = self._clock.now()
        self._attempted[queued.destination] = None
        if attempt.error is not None:
            after = self._fail(queued, attempt.error, now)
        else:
            thread = dict(attempt.thread) if len(queued.lines) == 1 else {}
            after = msgspec.structs.replace(queued, stage=Stage.SENT, sent_at=now, thread=thread)
            self._note_lag(queued, now)
            others = [one for one in self._queue.values() if one.destination == queued.destination and one.refused]
            self._backoff.record_success(queued.destination, keep_limit=bool(others))
        self._store.queue([after])
        self._queue[queued.id] = after

    def _note_lag(self, sent: QueuedNotification, now: datetime) -> None:
        if sent.notification.kind != "reminder":
            self.lag = max(self.lag, *(now - subject.changed_at for subject in sent.notification.subjects))

    def _fail(self, queued: QueuedNotification, error: DeliveryError, now: datetime) -> QueuedNotification:
        """What the queue says after a failure. A digest that was refused is cut into halves at once; where nothing was
        answered the destination may have taken it, and it is repeated as it is."""
        attempts = queued.attempts + 1
        is_refused = error.kind is DeliveryErrorKind.MESSAGE
        if is_refused and len(queued.lines) > 1:
            self._backoff.record_refused_digest(queued.destination, len(queued.lines))
            return msgspec.structs.replace(queued, stage=Stage.FAILED, retry_at=now, error=str(error), refused=True)
        if is_refused:
            retry_at = now + self._policy.retry.wait(attempts, error.retry_after)
        else:
            retry_at = self._backoff.record_failure(queued.destination, error, now)
        return msgspec.structs.replace(
            queued,
            stage=Stage.FAILED if error.is_answered else Stage.SENDING,
            attempts=attempts,
            failing_since=queued.failing_since or now,
            retry_at=retry_at,
            error=str(error),
            refused=is_refused,
        )

    def _record(self, sent: QueuedNotification, incident: Incident, line: NotificationState) -> None:
        if _is_recorded(sent, incident):
            return
        before = incident.notification_log.get(sent.destination, NotificationState())
        notified = msgspec.structs.replace(
            line,
            at=sent.sent_at,
            first_at=before.first_at or sent.sent_at,
            thread=sent.thread or before.thread,
            last_id=sent.id,
        )
        notification_log = {**incident.notification_log, sent.destination: notified}
        self._incidents.put(
            msgspec.structs.replace(incident, notification_log=notification_log, due_at=self._clock.now())
        )

    def _remove(self, ids: Iterable[str]) -> None:
        gone = [one for one in ids if one in self._queue]
        if gone:
            self._store.unqueue(gone)
            for one in gone:
                del self._queue[one]


def _is_recorded(queued: QueuedNotification, incident: Incident) -> bool:
    return incident.notification_log.get(queued.destination, NotificationState()).last_id == queued.id
