"""deliver: every destination in a thread of its own, so that one that fails or is slow delays nobody else."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.errors import DeliveryError, DeliveryErrorKind, SecretError
from wabawatch.application.ports import Clock, Notifier
from wabawatch.domain.messages import Notification

logger = logging.getLogger(__name__)

_LOGGED: Final = 20
"""Incidents of a notification that the log names."""

Task = tuple[Notification, dict[str, str], Sequence[str]]
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


class Deliverer:
    """Sends notifications and hands back each outcome as it comes in, to be recorded at once."""

    def __init__(self, notifiers: Mapping[str, Notifier], clock: Clock) -> None:
        self._notifiers = notifiers
        self._clock = clock

    def __call__(self, tasks: Sequence[Task], until: datetime | None = None) -> Generator[Attempt]:
        """Whoever stops listening (an outcome could not be recorded) stops the sending too: no lane begins another
        delivery."""
        outcomes: queue.Queue[Attempt | None] = queue.Queue()
        stop = threading.Event()
        lanes: dict[str, list[Task]] = {}
        for task in tasks:
            lanes.setdefault(task[0].destination, []).append(task)
        for name, lane in lanes.items():
            drive = (lane, until, stop, outcomes)
            threading.Thread(target=self._drive, args=drive, name=f"deliver-{name}").start()
        try:
            yield from _until_all_are_done(outcomes, len(lanes))
        finally:
            stop.set()

    def _drive(
        self,
        lane: list[Task],
        until: datetime | None,
        stop: threading.Event,
        outcomes: queue.Queue[Attempt | None],
    ) -> None:
        """One destination's notifications in order. After a failure that will pass, the rest of them waits for the next
        round: a destination that is down is not asked again and again, and one that says to slow down is obeyed. A
        lasting failure may be about one message alone, so the next one is tried."""
        try:
            for notification, thread, incidents in lane:
                if stop.is_set() or (until is not None and self._clock.now() >= until):
                    break
                attempt = self._attempt(notification, thread, incidents)
                logger.info("%s", attempt.said)
                outcomes.put(attempt)
                if attempt.error is not None and not attempt.error.lasting:
                    break
        finally:
            outcomes.put(None)

    def _attempt(self, notification: Notification, thread: dict[str, str], incidents: Sequence[str]) -> Attempt:
        name = notification.destination
        try:
            receipt = self._notifiers[name].deliver(notification, thread)
        except DeliveryError as error:
            return Attempt(name, notification, tuple(incidents), error)
        except SecretError as error:
            return Attempt(name, notification, tuple(incidents), DeliveryError(str(error), DeliveryErrorKind.DESTINATION))
        except Exception as error:  # noqa: BLE001 - one of the two borders: a bug in one notifier stops no other
            kind = type(error).__name__
            logger.warning("the notifier of %s failed: %s", name, kind)  # no traceback: it may quote a URL
            return Attempt(name, notification, tuple(incidents), DeliveryError(f"internal error: {kind}"))
        return Attempt(name, notification, tuple(incidents), thread=receipt.thread)


def _until_all_are_done(outcomes: queue.Queue[Attempt | None], lanes: int) -> Iterator[Attempt]:
    while lanes:
        outcome = outcomes.get()
        if outcome is None:
            lanes -= 1
        else:
            yield outcome
