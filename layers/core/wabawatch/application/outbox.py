"""Store notifications, send them, and record the outcomes (a transactional outbox).

A notification is queued before it is sent, and removed once the notification logs of its incidents contain it.
After a crash, a notification that may have been sent is sent again as it is stored, under the same id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.backoff import Backoff
from wabawatch.application.delivery import Attempt, Deliverer, DeliveryTask
from wabawatch.application.planner import REMOVED_FOR, Planned, some_affected_targets
from wabawatch.application.ports import Clock, IncidentStore, Notifier
from wabawatch.application.unit_of_work import IncidentUnitOfWork
from wabawatch.domain.health import Reason
from wabawatch.domain.incident import SEVERITIES, Incident, Key, NotificationState
from wabawatch.domain.notification import QueuedLine, QueuedNotification, Stage, record_sent
from wabawatch.domain.policy import Policy
from wabawatch.errors import DeliveryError, DeliveryErrorKind
from wabawatch.messages.notification import NAMED, PendingNotification, RenderContext, build_notification

_MIN_HOLD: Final = timedelta(seconds=1)
_LARGEST_DIGEST: Final = 20_000
"""Incidents in one digest: what is stored of it must fit one transaction."""
_REPORTED_REFUSALS: Final = 3
"""Refusals of one message after which they are reported as an incident."""


class Outbox:
    """The notification queue during one round. `renew_lease` is called after each outcome; it raises StoreError where
    this round must stop."""

    def __init__(
        self,
        store: IncidentStore,
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
        """Load the queue in its order, and take over the back-off of destinations that failed just before a crash."""
        self._queue = {entry.id: entry for entry in sorted(self._store.queued(), key=lambda entry: entry.position)}
        now = self._clock.now()
        for entry in self._queue.values():
            until = self._retry_at(entry, now)
            if entry.destination in self._notifiers and not entry.refused and until > now:
                self._backoff.restore(entry.destination, entry.attempts, entry.failing_since, until)

    def drop_removed(self) -> None:
        """Drop what failed for destinations that are no longer configured. What they may have received stays for a
        week: a destination that comes back gets it again, and then later notifications."""
        now = self._clock.now()
        removed = [entry for entry in self._queue.values() if entry.destination not in self._notifiers]
        old = [entry for entry in removed if abs(now - entry.notification.at) > REMOVED_FOR]
        self._remove([entry.id for entry in removed if entry.stage is Stage.FAILED])
        self._remove([entry.id for entry in old if entry.stage is Stage.SENDING])

    def held(self, now: datetime) -> dict[tuple[str, str], datetime]:
        """Return until when nothing new is decided about (incident id, destination): a notification is in the queue and
        not recorded yet."""
        paused = self._backoff.paused(now)
        return {
            (line.incident_id, entry.destination): max(
                self._retry_at(entry, now), paused.get(entry.destination, now), now + _MIN_HOLD
            )
            for entry in self._queue.values()
            if entry.id not in self._recorded and entry.id not in self._retried
            for line in entry.lines
        }

    def take_failed(self, now: datetime) -> list[Incident]:
        """Return the incidents of failed notifications that are due for a retry: what to send is decided again. A
        notification that becomes due later in the round stays in the queue for the next round."""
        self._retried = {entry.id for entry in self._queue.values() if self._is_due(entry, now)}
        return self._incidents.take_by_id({line.incident_id for entry in self._failed() for line in entry.lines})

    def find(self, incident_id: str, destination: str) -> QueuedNotification | None:
        """Return the queued notification about an incident, where there is one."""
        for entry in self._queue.values():
            if entry.destination == destination and any(line.incident_id == incident_id for line in entry.lines):
                return entry
        return None

    def has_failed(self, now: datetime) -> bool:
        """Return whether a failed notification is due for a retry."""
        return any(self._is_due(entry, now) for entry in self._queue.values())

    def take_attempted(self) -> list[str]:
        """Return the destinations with a delivery attempt since the last call."""
        attempted, self._attempted = list(self._attempted), {}
        return attempted

    def failing(self) -> list[QueuedNotification]:
        """Return what was attempted and is not delivered yet."""
        return [entry for entry in self._queue.values() if entry.attempts and entry.destination in self._notifiers]

    def compose(self, planned: Sequence[Planned]) -> list[QueuedNotification]:
        """Turn decisions into notifications: one for each incident, or digests where there are many."""
        now = self._clock.now()
        failed = {(line.incident_id, entry.destination): entry for entry in self._failed() for line in entry.lines}
        queues: dict[str, list[Planned]] = {}
        for decision in planned:
            if decision.decision.kind is not None:
                queues.setdefault(decision.destination, []).append(decision)
        batches = [(name, batch) for name, due in queues.items() for batch in self._batch(name, due, failed)]
        next_position = max((entry.position for entry in self._queue.values()), default=0) + 1
        return [
            self._compose(name, batch, failed, now, position)
            for position, (name, batch) in enumerate(batches, next_position)
        ]

    def deliver(self, composed: Sequence[QueuedNotification], until: datetime | None) -> list[Attempt]:
        """Store and send notifications, and before them those that an earlier round may have sent."""
        now = self._clock.now()
        superseded = self._retried - {entry.id for entry in composed}
        self._retried = set()
        repeated = self._repeat(now)
        self._queue |= {entry.id: entry for entry in composed}
        if composed:
            self._store.queue(composed)
        self._remove(superseded)
        waiting = {entry.id: entry for entry in (*repeated, *composed)}
        tasks = [
            DeliveryTask(entry.notification, entry.thread, [line.incident_id for line in entry.lines])
            for entry in waiting.values()
        ]
        attempts = []
        with closing(self._deliverer.run(tasks, until)) as outcomes:
            for attempt in outcomes:
                self._take_outcome(waiting.pop(attempt.notification.id), attempt)
                attempts.append(attempt)
                self._renew_lease()
        unsent = waiting.keys() - {entry.id for entry in repeated}
        self._remove([entry_id for entry_id in waiting if entry_id in unsent])
        return attempts

    def record(self) -> None:
        """Write sent notifications into the incidents' notification logs; `finish` removes them from the queue.

        This makes the incidents due: after an outdated repeated notification the current state is sent next."""
        for sent in [
            entry for entry in self._queue.values() if entry.stage is Stage.SENT and entry.id not in self._recorded
        ]:
            lines = {line.incident_id: line.notified for line in sent.lines}
            for incident in self._incidents.take_by_id(lines):
                self._record(sent, incident, lines[incident.id])
            self._recorded.append(sent.id)

    def finish(self) -> None:
        """Remove what is recorded from the queue; to be called once the incidents are saved."""
        recorded, self._recorded = self._recorded, []
        self._remove(recorded)

    def refused(self, destination: str) -> Reason | None:
        """Return a reason where a destination that works keeps refusing one message."""
        for entry in self._queue.values():
            if entry.destination == destination and entry.refused and entry.attempts >= _REPORTED_REFUSALS:
                return Reason(description="refused", detail=entry.error)
        return None

    def _is_due(self, queued: QueuedNotification, now: datetime) -> bool:
        return queued.stage is Stage.FAILED and self._retry_at(queued, now) <= now

    def _retry_at(self, queued: QueuedNotification, now: datetime) -> datetime:
        """Return when to retry. A time beyond the longest wait was set before the clock was set back, and counts as
        over."""
        at = queued.retry_at
        return now if at is None or at > self._policy.retry.farthest(now) else at

    def _failed(self) -> list[QueuedNotification]:
        """Return what failed and is decided again in this iteration."""
        return [self._queue[entry_id] for entry_id in self._retried if entry_id in self._queue]

    def _repeat(self, now: datetime) -> list[QueuedNotification]:
        """Return what may have been sent before a crash; drop what was recorded."""
        paused = self._backoff.paused(now)
        repeated = []
        for entry in list(self._queue.values()):
            if entry.stage is not Stage.SENDING or entry.destination not in self._notifiers:
                continue
            if entry.destination in paused or self._retry_at(entry, now) > now:
                continue
            incidents = self._incidents.take_by_id({line.incident_id for line in entry.lines})
            if all(_is_recorded(entry, incident) for incident in incidents):
                self._remove([entry.id])
            else:
                repeated.append(entry)
        return repeated

    def _batch(
        self, destination: str, due: list[Planned], failed: Mapping[tuple[str, str], QueuedNotification]
    ) -> list[list[Planned]]:
        """Split a destination's decisions into messages. What has failed most often comes last: a message that is
        refused must not delay the others. For one incident key, older incidents come first: the last message must show
        the present state."""

        def urgency(cause: Sequence[Planned]) -> tuple[int, int]:
            attempts = [
                failed[planned.incident.id, destination].attempts
                for planned in cause
                if (planned.incident.id, destination) in failed
            ]
            return max(attempts, default=0), min(SEVERITIES.index(planned.severity) for planned in cause)

        causes: dict[Key, list[Planned]] = {}
        for planned in sorted(due, key=lambda planned: planned.incident.generation):
            causes.setdefault(planned.incident.key, []).append(planned)
        ranked = [planned for cause in sorted(causes.values(), key=urgency) for planned in cause]
        limit = self._backoff.digest_limit(destination) or _LARGEST_DIGEST
        size = min(limit, _LARGEST_DIGEST) if len(due) > self._policy.digest_over else 1
        return [ranked[start : start + size] for start in range(0, len(ranked), size)]

    def _compose(
        self,
        destination: str,
        batch: Sequence[Planned],
        failed: Mapping[tuple[str, str], QueuedNotification],
        now: datetime,
        position: int,
    ) -> QueuedNotification:
        """Make one notification. A digest has no thread: later notifications do not reply to it."""
        pending = [self._build_pending(planned) for planned in batch]
        notification = build_notification(destination, pending, now, self._audience)
        lines = [
            QueuedLine(
                planned.incident.id,
                record_sent(planned.incident, planned.notified, planned.decision.kind or "", now, {}),
            )
            for planned in batch
        ]
        before = [failed[key] for line in lines if (key := (line.incident_id, destination)) in failed]
        return QueuedNotification(
            id=notification.id,
            destination=destination,
            stage=Stage.SENDING,
            notification=notification,
            lines=tuple(lines),
            thread=dict(batch[0].notified.thread) if len(batch) == 1 else {},
            attempts=max((entry.attempts for entry in before), default=0),
            failing_since=min((entry.failing_since for entry in before if entry.failing_since), default=None),
            position=position,
        )

    def _build_pending(self, planned: Planned) -> PendingNotification:
        targets = some_affected_targets(self._store, planned.incident, NAMED)
        return PendingNotification(
            incident=planned.incident,
            targets=targets,
            notified=planned.notified,
            kind=planned.decision.kind or "",
            severity=planned.severity,
            acknowledged_by=planned.acknowledged_by,
        )

    def _take_outcome(self, queued: QueuedNotification, attempt: Attempt) -> None:
        now = self._clock.now()
        self._attempted[queued.destination] = None
        if attempt.error is not None:
            after = self._fail(queued, attempt.error, now)
        else:
            thread = dict(attempt.thread) if len(queued.lines) == 1 else {}
            after = msgspec.structs.replace(queued, stage=Stage.SENT, sent_at=now, thread=thread)
            self._note_lag(queued, now)
            others = [
                entry for entry in self._queue.values() if entry.destination == queued.destination and entry.refused
            ]
            self._backoff.record_success(queued.destination, keep_limit=bool(others))
        self._store.queue([after])
        self._queue[queued.id] = after

    def _note_lag(self, sent: QueuedNotification, now: datetime) -> None:
        if sent.notification.kind != "reminder":
            self.lag = max(self.lag, *(now - subject.changed_at for subject in sent.notification.subjects))

    def _fail(self, queued: QueuedNotification, error: DeliveryError, now: datetime) -> QueuedNotification:
        """Return the entry after a failure. A refused digest is halved at once. Where the destination did not answer it
        may have accepted the notification, which is then repeated as it is."""
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
        removed = [entry_id for entry_id in ids if entry_id in self._queue]
        if removed:
            self._store.unqueue(removed)
            for entry_id in removed:
                del self._queue[entry_id]


def _is_recorded(queued: QueuedNotification, incident: Incident) -> bool:
    return incident.notification_log.get(queued.destination, NotificationState()).last_id == queued.id
