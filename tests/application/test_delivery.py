"""Deliveries: each destination in a lane of its own, with a time that ends."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.application.fakes import T0, FakeClock, FakeNotifier, phone, targets
from wabawatch.application.delivery import Deliverer, DeliveryTask
from wabawatch.domain.notification import Notification, Stage
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError

SHORT = timedelta(seconds=0.2)
LONG = timedelta(seconds=30)


class Hanging(FakeNotifier):
    """Hangs in each delivery until it is released."""

    def __init__(self):
        super().__init__()
        self.begun = threading.Event()
        self.released = threading.Event()
        self.ended = threading.Event()
        self.asked = 0

    def deliver(self, notification, thread):
        self.asked += 1
        self.begun.set()
        self.released.wait(30)
        try:
            return super().deliver(notification, thread)
        finally:
            self.ended.set()

    def come_back(self):
        """Release it, and wait until its thread has ended."""
        self.released.set()
        for thread in threading.enumerate():
            if thread.name.startswith("deliver-"):
                thread.join(10)


@pytest.fixture
def hanging():
    found = Hanging()
    yield found
    found.come_back()


def tasks(destination, *ids):
    return [DeliveryTask(Notification(one, "opened", destination, "test", T0, ())) for one in ids]


def deliver(notifiers, *given, budget=LONG, until=None):
    """Each outcome as `destination notification outcome`."""
    deliverer = Deliverer(notifiers, FakeClock(), budget)
    every = deliverer.run([task for each in given for task in each], until)
    return sorted(f"{one.destination} {one.notification.id} {one.error or 'taken'}" for one in every)


def test_a_destination_that_hangs_is_given_up_and_the_round_goes_on(hanging):
    found = deliver(
        {"hangs": hanging, "ops": FakeNotifier()}, tasks("hangs", "a", "b"), tasks("ops", "a"), budget=SHORT
    )
    assert found == ["hangs a no outcome within 0.2 s", "ops a taken"]


def test_what_had_no_outcome_is_worth_another_try(hanging):
    (attempt,) = Deliverer({"hangs": hanging}, FakeClock(), SHORT).run(tasks("hangs", "a", "b"))
    assert (attempt.error.kind, attempt.error.retry_after) == (DeliveryErrorKind.PASSING, None)


def test_no_destination_has_more_time_than_the_round(hanging):
    assert deliver({"hangs": hanging}, tasks("hangs", "a"), until=T0 + SHORT) == ["hangs a no outcome within 0.2 s"]


def test_a_destination_that_still_hangs_is_not_asked_again_and_counts_as_failing(hanging):
    deliver({"hangs": hanging}, tasks("hangs", "a"), budget=SHORT)
    again = deliver({"hangs": hanging, "ops": FakeNotifier()}, tasks("hangs", "a", "b"), tasks("ops", "a"))
    assert again == ["hangs a an earlier delivery has not ended yet", "ops a taken"]
    assert hanging.asked == 1


def test_a_destination_that_came_back_is_asked_again_and_reports_nothing_of_before(hanging):
    deliver({"hangs": hanging}, tasks("hangs", "a"), budget=SHORT)
    hanging.come_back()
    assert deliver({"hangs": hanging}, tasks("hangs", "b")) == ["hangs b taken"]
    assert [one.id for one in hanging.taken] == ["a", "b"]


def test_a_destination_that_comes_back_in_the_next_round_is_waited_for_a_moment(hanging):
    deliver({"hangs": hanging}, tasks("hangs", "a"), budget=SHORT)
    threading.Timer(0.05, hanging.released.set).start()
    assert deliver({"hangs": hanging}, tasks("hangs", "b")) == ["hangs b taken"]


def test_a_lane_that_nobody_listens_to_any_more_begins_nothing_and_is_not_overtaken(hanging):
    lanes = Deliverer({"hangs": hanging, "ops": FakeNotifier()}, FakeClock()).run(
        [*tasks("hangs", "a", "b"), *tasks("ops", "a")]
    )
    next(lanes)
    hanging.begun.wait(10)
    lanes.close()
    assert deliver({"hangs": hanging}, tasks("hangs", "a")) == ["hangs a an earlier delivery has not ended yet"]
    hanging.come_back()
    assert [one.id for one in hanging.taken] == ["a"]


def test_the_process_can_end_while_a_destination_hangs(hanging):
    deliver({"hangs": hanging}, tasks("hangs", "a"), budget=SHORT)
    threads = [thread for thread in threading.enumerate() if thread.name == "deliver-hangs"]
    assert [thread.daemon for thread in threads] == [True]


def test_when_the_time_is_up_before_it_begins_nothing_is_sent():
    ops = FakeNotifier()
    assert deliver({"ops": ops}, tasks("ops", "a"), until=T0) == []
    assert ops.tried == []


def test_a_delivery_that_could_not_end_in_time_is_not_begun():
    ops = FakeNotifier()
    assert deliver({"ops": ops}, tasks("ops", "a", "b"), budget=timedelta(seconds=9)) == ["ops a taken"]


@pytest.mark.parametrize(
    ("error", "tried"),
    [
        pytest.param(DeliveryError("no", DeliveryErrorKind.MESSAGE), ["a", "b"], id="a refused message is passed over"),
        pytest.param(DeliveryError("no", DeliveryErrorKind.DESTINATION), ["a"], id="a refused destination is left"),
        pytest.param(DeliveryError("no", DeliveryErrorKind.PASSING), ["a"], id="one that is away is left"),
        pytest.param(SecretError("no"), ["a"], id="one whose secret cannot be read is left"),
        pytest.param(RuntimeError("no"), ["a"], id="one that is broken is left"),
    ],
)
def test_what_a_failure_means_for_the_next_message(error, tried):
    ops = FakeNotifier(error)
    deliver({"ops": ops}, tasks("ops", "a", "b"))
    assert [one.id for one in ops.tried] == tried


def test_a_destination_that_hangs_is_recorded_as_failing_and_delays_no_other(stage, hanging):
    stage.destinations = {"hangs": hanging, "ops": FakeNotifier()}
    stage.fleet = targets("n1")
    stage.says(phone("BLOCKED"))
    stage.poll()
    notified = stage.notify(complete=True, until=stage.clock.now() + SHORT)
    assert stage.ops.said == ["opened None>BLOCKED"]
    assert (notified.sent, notified.failed, notified.pending) == (1, 1, 1)
    (queued,) = stage.store.queued()
    assert (queued.destination, queued.stage, queued.failing_since) == ("hangs", Stage.SENDING, stage.clock.now())
    hanging.come_back()
    stage.cycle(2)
    assert hanging.said == ["opened None>BLOCKED"] * 2
    assert len({one.id for one in hanging.taken}) == 1
    assert stage.store.queued() == []
