"""deliver: send to each destination in a thread of its own, so that a slow or failing destination delays no other."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from wabawatch.application.ports import Clock, Notifier
from wabawatch.domain.notification import Notification
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError

logger = logging.getLogger(__name__)

BUDGET: Final = timedelta(seconds=25)
"""For all that one destination is sent in one round: well below the minute that a round has."""
_ONE_DELIVERY: Final = 10.0
"""Seconds that a delivery may take. With less time left no other delivery begins: it would be given up, and
repeated."""
_MOMENT: Final = 1.0
"""Seconds to wait for the thread of an earlier round, which may be about to end."""

_LOGGED: Final = 20
"""Incidents of a notification that the log names."""

_HANGS: Final = "an earlier delivery has not ended yet"


class DeliveryTask(NamedTuple):
    """A notification to send, the thread that it belongs to, and the ids of its incidents."""

    notification: Notification
    thread: Mapping[str, str] = {}
    incidents: Sequence[str] = ()


class AbandonedThreads:
    """Track threads that were given up because they took too long, so that their number stays bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[tuple[object, threading.Thread]] = []

    def add(self, key: object, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.append((key, thread))

    def running(self, key: object) -> list[threading.Thread]:
        """Return the threads that work on `key` and have not ended; forget those that have."""
        with self._lock:
            self._threads = [entry for entry in self._threads if entry[1].is_alive()]
            return [thread for other, thread in self._threads if other == key]


_abandoned: Final = AbandonedThreads()


class Attempt(msgspec.Struct, frozen=True):
    """One delivery and its outcome (`error` None: the destination accepted it)."""

    destination: str
    notification: Notification
    incidents: tuple[str, ...]
    error: DeliveryError | None = None
    thread: Mapping[str, str] = {}

    def describe(self) -> str:
        """Return one line for the log."""
        about = ", ".join(self.incidents[:_LOGGED])
        outcome = "accepted" if self.error is None else f"not accepted: {self.error}"
        return f"{self.destination}: {self.notification.kind} {self.notification.id} of {about}: {outcome}"


Outcomes = queue.SimpleQueue[tuple[Attempt, threading.Event] | None]
"""Queue of outcomes from the lanes: an attempt, and the event to set once it is recorded. None: the lane has ended."""


class Deliverer:
    """Sends notifications and hands back each outcome as it comes in, to be recorded at once."""

    def __init__(self, notifiers: Mapping[str, Notifier], clock: Clock, budget: timedelta = BUDGET) -> None:
        """`budget`: how long all deliveries to one destination may take in one call."""
        self._notifiers = notifiers
        self._clock = clock
        self._budget = budget

    def run(self, tasks: Sequence[DeliveryTask], until: datetime | None = None) -> Generator[Attempt]:
        """Deliver until everything is done, the budget is spent, or `until` has come.

        A delivery without an outcome by then has failed, and its lane is given up. Closing the generator (because an
        outcome could not be recorded) stops the sending too: no lane begins another delivery."""
        budget = self._budget if until is None else min(self._budget, until - self._clock.now())
        if budget <= timedelta(0):
            return
        deadline = time.monotonic() + budget.total_seconds()
        outcomes: Outcomes = queue.SimpleQueue()
        grouped: dict[str, list[DeliveryTask]] = {}
        for task in tasks:
            grouped.setdefault(task.notification.destination, []).append(task)

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
            for lost in unanswered:
                attempt = _attempt(lost, error=error)
                logger.info("%s", attempt.describe())
                yield attempt
        finally:
            for lane in lanes:
                lane.give_up()


def _collect(outcomes: Outcomes, lanes: int, deadline: float) -> Generator[Attempt]:
    """Yield outcomes until all lanes have ended (each puts None last), or the deadline. A lane continues once its last
    outcome was recorded."""
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
    """Send one destination's notifications in their order, in a thread."""

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
        name = f"deliver-{tasks[0].notification.destination}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give_up(self) -> DeliveryTask | None:
        """Stop beginning and reporting deliveries. Return the task whose outcome is not known."""
        with self._lock:
            if not self._is_given_up and self._thread.is_alive():
                _abandoned.add(self._notifier, self._thread)
            self._is_given_up = True
            self._is_recorded.set()
            task, self._under_way = self._under_way, None
        return task

    def _run(self) -> None:
        """Send all tasks. A refused message does not stop the others. After any other failure the rest waits for the
        next round: the destination is down, or asked to slow down."""
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
        """Return whether a delivery of an earlier round still hangs, after a moment of waiting for it."""
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
        logger.info("%s%s", attempt.describe(), " (too late)" if is_late else "")

    def _deliver(self, task: DeliveryTask) -> Attempt:
        try:
            receipt = self._notifier.deliver(task.notification, task.thread)
        except DeliveryError as error:
            return _attempt(task, error=error)
        except SecretError as error:
            return _attempt(task, error=DeliveryError(str(error), DeliveryErrorKind.DESTINATION))
        except Exception as error:  # noqa: BLE001 - the border around one delivery: a bug in one notifier stops no other
            kind = type(error).__name__  # no traceback: it may quote a URL
            logger.warning("the notifier of %s failed: %s", task.notification.destination, kind)
            return _attempt(task, error=DeliveryError(f"internal error: {kind}", is_answered=False))
        return _attempt(task, thread=receipt.thread)


def _attempt(
    task: DeliveryTask, *, error: DeliveryError | None = None, thread: Mapping[str, str] | None = None
) -> Attempt:
    notification = task.notification
    return Attempt(
        destination=notification.destination,
        notification=notification,
        incidents=tuple(task.incidents),
        error=error,
        thread=thread or {},
    )
