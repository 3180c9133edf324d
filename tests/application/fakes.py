"""Fakes by hand: a clock that stands still, a source and notifiers that do as they are told."""

# ruff: noqa: ARG002 - fakes have the signatures of the ports

import threading
from datetime import UTC, datetime, timedelta

from wabawatch.application.ports import Receipt, Target
from wabawatch.domain.health import MESSAGING, Entity, Failure, Observation, Reason, Report
from wabawatch.errors import DeliveryError, DeliveryErrorKind

T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PAYMENT = Reason(141006, "The payment method is missing.", "Add one.")


class FakeClock:
    def __init__(self, at=T0):
        self.at = at

    def now(self):
        return self.at

    def advance(self, **length):
        self.at += timedelta(**length)


def phone(status="AVAILABLE", *reasons, entity_id=None):
    """A reading of a number: a report of its own PHONE_NUMBER, or of `entity_id`'s."""
    return lambda target: Report((Entity("PHONE_NUMBER", entity_id or target, {MESSAGING: status}, reasons),))


def business(status="AVAILABLE", *reasons):
    """A reading of a number of the one business b."""

    def report(target):
        number = Entity("PHONE_NUMBER", target, {MESSAGING: status})
        return Report((number, Entity("BUSINESS", "b", {MESSAGING: status}, reasons)))

    return report


def failing(cause):
    return lambda _: Failure(cause)


class FakeSource:
    """Answers by `readings` (the usual one is healthy); does not reach the targets in `unreached`."""

    def __init__(self, clock):
        self.clock = clock
        self.readings = {}
        self.unreached = set()
        self.asked = []
        self.meanwhile = lambda: None

    def observe(self, targets, *, until, should_stop=lambda: False):
        for target in targets:
            if target.id in self.unreached or should_stop():
                continue
            self.asked.append(target.id)
            outcome = self.readings.get(target.id, phone())(target.id)
            yield Observation(target.id, self.clock.now(), outcome)
        self.meanwhile()


class FakeNotifier:
    """Keeps what it took; `errors` are raised first, one for each delivery; `refuses` picks what it never takes."""

    kind = "fake"

    def __init__(self, *errors, always=None):
        self.taken = []
        self.tried = []
        self.errors = list(errors)
        self.always = always
        self.refuses = lambda _: False
        self.gate = threading.Event()
        self.gate.set()

    def deliver(self, notification, thread):
        assert self.gate.wait(10), "nobody opened the gate"
        self.tried.append(notification)
        if self.always:
            raise self.always
        if self.errors:
            raise self.errors.pop(0)
        if self.refuses(notification):
            raise DeliveryError("invalid_payload", DeliveryErrorKind.MESSAGE)
        self.taken.append(notification)
        return Receipt({"ts": str(len(self.taken))})

    @property
    def said(self):
        """`kind old>new` of each notification, a digest with its number of incidents."""
        return [
            f"digest {one.total}" if one.kind == "digest" else f"{one.kind} {one.subject.old}>{one.subject.new}"
            for one in self.taken
        ]


class KilledError(BaseException):
    """What a process that is killed leaves undone. No border of the program may catch it."""


class Dying:
    """A store whose process is killed at the n-th call of a method, before or after it took effect."""

    def __init__(self, store, method, calls=1, *, after=False):
        self._store = store
        self._method = method
        self._left = calls
        self._after = after

    def __getattr__(self, name):
        found = getattr(self._store, name)
        return found if name != self._method else lambda *given: self._dies(found, *given)

    def _dies(self, found, *given):
        self._left -= 1
        if self._left == 0 and not self._after:
            raise KilledError
        outcome = found(*given)
        if self._left == 0:
            raise KilledError
        return outcome


def targets(*ids):
    return [Target(one, f"Number {one}", f"env:{one}") for one in ids]
