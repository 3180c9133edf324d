"""deliver: each destination in a thread of its own, so that one that fails, is slow or hangs delays no other."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.abandoned import AbandonedThreads
from wabawatch.application.ports import Clock, Notifier
from wabawatch.domain.notification import Notification
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError

logger = logging.getLogger(__name__)

BUDGET: Final = timedelta(seconds=25)
"""For all that one destination is sent in one round: well below the minute that a round has."""
_ONE_DELIVERY: Final = 10.0
"""Seconds that a delivery may take. With less time left no other one is begun: it would be given up, and repeated."""
_MOMENT: Final = 1.0
"""Seconds to wait for the thread of an earlier round, which may be about to end."""

_LOGGED: Final = 20
"""Incidents of a notification that the log names."""

_HANGS: Final = "an earlier delivery has not ended yet"

_abandoned: Final = AbandonedThreads()

DeliveryTask = tuple[Notification, Mapping[str, str], Sequence[str]]
"""What to send, the thread it belongs to, and the ids of its incidents."""


class Attempt(msgspec.Struct, frozen=True):
    """One delivery: to whom, of what, and how it ended (`error` None: the destination took it)."""

    destination: str
    notification: Notification
    incidents: tuple[str, ...]
    error: DeliveryError | None = None
    thread: Mapping[str, str] = {}

    @property
    def said(self) -> str:
        """For the log."""
        about = ", ".join(self.incidents[:_LOGGED])
        outcome = "taken" if self.error is None else f"not taken: {self.error}"
        return f"{self.destination}: {self.notification.kind} {self.notification.id} of {about}: {outcome}"


Outcomes = queue.SimpleQueue[tuple[Attempt, threading.Event] | None]
"""What lanes report: an outcome, and what tells the lane that it was recorded."""


class Deliverer:
    """Sends notifications and hands back each outcome as it comes in, to be recorded at once."""

    def __init__(self, notifiers: Mapping[str, Notifier], clock: Clock, budget: timedelta = BUDGET) -> None:
        """`budget`: how long all deliveries to one destination may take in one call."""
        self._notifiers = notifiers
        self._clock = clock
        self._budget = budget

    def __call__(self, tasks: Sequence[DeliveryTask], until: datetime | None = None) -> Generator[Attempt]:
        """Deliver until everything is done, the budget is spent, or `until` has come.

        A delivery without an outcome by then has failed, and its lane is given up. Who closes the generator (an outcome
        could not be recorded) stops the sending too: no lane begins another delivery."""
        budget = self._budget if until is None else min(self._budget, until - self._clock.now())
        if budget <= timedelta(0):
            return
        deadline = time.monotonic() + budget.total_seconds()
        outcomes: Outcomes = queue.SimpleQueue()
        grouped: dict[str, list[DeliveryTask]] = {}
        for task in tasks:
            grouped.setdefault(task[0].destination, []).append(task)

        def has_time(seconds: float) -> bool:
            if until is not None and self._clock.now() >= until:
                return False
            return deadline - time.monotonic() > seconds

        lanes = [_Lane(self._notifiers[name], lane, has_time, outcomes) for name, lane in grouped.items()]
        try:
            for lane in lanes:
                lane.start()
            yield from _collect(outcomes, len(lanes), deadline)
            unanswered = [lost for lane in lanes if (lost := lane.give_up())]
            yield from _collect(outcomes, len(lanes), 0.0)  # what came in before they were given up
            error = DeliveryError(f"no outcome within {budget.total_seconds():g} s", is_answered=False)
            for attempt in (_attempt(task, error=error) for task in unanswered):
                logger.info("%s", attempt.said)
                yield attempt
        finally:
            for lane in lanes:
                lane.give_up()


def _collect(outcomes: Outcomes, lanes: int, deadline: float) -> Generator[Attempt]:
    """Yield outcomes until all lanes have ended (each puts None last), or the deadline. A lane goes on once its last
    outcome was taken."""
    while lanes:
        try:
            outcome = outcomes.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        if outcome is None:
            lanes -= 1
        else:
            attempt, is_recorded = outcome
            yield attempt
            is_recorded.set()


class _Lane:
    """One destination's notifications in one round, in their order, in a thread of their own."""

    def __init__(
        self,
        notifier: Notifier,
        tasks: Sequence[DeliveryTask],
        has_time: Callable[[float], bool],
        outcomes: Outcomes,
    ) -> None:
        self._notifier = notifier
        self._tasks = tasks
        self._has_time = has_time
        self._outcomes = outcomes
        self._lock = threading.Lock()
        self._is_recorded = threading.Event()
        self._under_way: DeliveryTask | None = None
        self._is_given_up = False
        self._has_reported = False
        name = f"deliver-{tasks[0][0].destination}"
        self._thread = threading.Thread(target=self._drive, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give_up(self) -> DeliveryTask | None:
        """Begin nothing more, and report nothing more. Return the task whose outcome is not known."""
        with self._lock:
            if not self._is_given_up and self._thread.is_alive():
                _abandoned.add(self._notifier, self._thread)
            self._is_given_up = True
            self._is_recorded.set()
            task, self._under_way = self._under_way, None
        return task

    def _drive(self) -> None:
        """Go on after a message that was refused. After any other failure the rest waits for the next round: a
        destination that takes nothing is not asked again and again, and one that says to slow down is obeyed."""
        try:
            hangs = self._hangs()
            for number, task in enumerate(self._tasks):
                if not self._begin(task, 0.0 if number == 0 else _ONE_DELIVERY):
                    break
                attempt = _attempt(task, error=DeliveryError(_HANGS)) if hangs else self._deliver(task)
                self._report(attempt)
                if attempt.error is not None and attempt.error.kind is not DeliveryErrorKind.MESSAGE:
                    break
        finally:
            self._outcomes.put(None)

    def _hangs(self) -> bool:
        """Tell whether a delivery of an earlier round has not ended, and does not end in a moment either."""
        for thread in _abandoned.running(self._notifier):
            thread.join(_MOMENT)
        return bool(_abandoned.running(self._notifier))

    def _begin(self, task: DeliveryTask, seconds: float) -> bool:
        """Wait until the outcome before this one is recorded: a process that is killed repeats one delivery only."""
        if self._under_way is None and self._has_reported:
            self._is_recorded.wait()
            self._is_recorded.clear()
        with self._lock:
            if self._is_given_up or not self._has_time(seconds):
                return False
            self._under_way = task
        return True

    def _report(self, attempt: Attempt) -> None:
        with self._lock:
            is_late = self._is_given_up
            self._under_way = None
            if not is_late:
                self._has_reported = True
                self._outcomes.put((attempt, self._is_recorded))
        logger.info("%s%s", attempt.said, " (too late)" if is_late else "")

    def _deliver(self, task: DeliveryTask) -> Attempt:
        notification, thread, _ = task
        try:
            receipt = self._notifier.deliver(notification, thread)
        except DeliveryError as error:
            return _attempt(task, error=error)
        except SecretError as error:
            return _attempt(task, error=DeliveryError(str(error), DeliveryErrorKind.DESTINATION))
        except Exception as error:  # noqa: BLE001 - one of the two borders: a bug in one notifier stops no other
            kind = type(error).__name__  # no traceback: it may quote a URL
            logger.warning("the notifier of %s failed: %s", notification.destination, kind)
            return _attempt(task, error=DeliveryError(f"internal error: {kind}", is_answered=False))
        return _attempt(task, thread=receipt.thread)


def _attempt(
    task: DeliveryTask, *, error: DeliveryError | None = None, thread: Mapping[str, str] | None = None
) -> Attempt:
    notification, _, incidents = task
    return Attempt(notification.destination, notification, tuple(incidents), error, thread or {})
