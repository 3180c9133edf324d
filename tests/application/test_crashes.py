"""Killed at any moment and started again: nothing is lost, and what is said twice carries the same id."""

import threading
import time
from datetime import timedelta

import pytest

from tests.application.conftest import Stage
from tests.application.fakes import PAYMENT, Dying, FakeNotifier, FakeStore, KilledError, phone, targets
from wabawatch.application.errors import StoreError

METHODS = [
    "pending",
    "latest_incidents",
    "save_incidents",
    "mark_folded",
    "due_incidents",
    "open_incidents",
    "document",
]


@pytest.fixture
def blocked(store):
    stage = Stage(store)
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))
    stage.clock.advance(minutes=1)
    stage.poll()
    return stage


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("calls", [1, 2, 3, 4])
@pytest.mark.parametrize("method", [*METHODS, "save_document", "release_lease"])
def test_notify_killed_at_any_call_loses_nothing(method, calls, after):
    stage = Stage(FakeStore())
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))
    stage.clock.advance(minutes=1)
    stage.poll()
    dies(stage, method, calls, after=after)
    stage.cycle(3)
    stage.says(phone())
    stage.clock.advance(minutes=1)
    stage.poll()
    stage.clock.advance(minutes=1)
    stage.poll()
    dies(stage, method, calls, after=after)
    stage.cycle(3)
    opened = [one for one in stage.ops.taken if one.kind == "opened"]
    resolved = [one for one in stage.ops.taken if one.kind == "resolved"]
    assert (len({one.id for one in opened}), len({one.id for one in resolved})) == (1, 1)
    assert len(stage.ops.taken) == len(opened) + len(resolved) <= 4


def dies(stage, method, calls, *, after):
    """A round that is killed; the next one comes when its lease is over."""
    try:
        stage.notify(store=Dying(stage.store, method, calls, after=after), owner="killed", complete=True)
    except KilledError:
        stage.clock.advance(minutes=1)


def test_killed_between_send_and_record_it_is_sent_again_with_the_same_id(blocked):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "save_incidents", 2), complete=True)
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"] * 2
    assert len({one.id for one in blocked.ops.taken}) == 1


def test_a_digest_that_is_sent_again_has_the_same_id(store):
    stage = Stage(store, fleet=targets(*"abcdefgh"))
    stage.says(phone("BLOCKED"))
    stage.poll()
    with pytest.raises(KilledError):
        stage.notify(store=Dying(store, "save_incidents", 2), complete=True)
    stage.notify(complete=True)
    assert stage.ops.said == ["digest 8", "digest 8"]
    assert len({one.id for one in stage.ops.taken}) == 1


def test_killed_between_the_incident_and_the_mark_nothing_is_told_twice(blocked):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "mark_folded"), complete=True)
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]
    assert blocked.incidents()[0].revision == 1


def test_killed_after_the_mark_the_news_is_still_due(blocked):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "mark_folded", after=True), complete=True)
    blocked.notify(complete=True)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]


def test_killed_while_new_rules_are_applied_they_are_applied_again(blocked):
    blocked.cycle()
    blocked.destinations["late"] = FakeNotifier()
    blocked.ruled()
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "open_incidents", after=True))
    blocked.notify()
    assert blocked.destinations["late"].said == ["opened AVAILABLE>BLOCKED"]


def test_a_poll_killed_before_its_commit_finds_the_same_next_time(store):
    stage = Stage(store)
    stage.says(phone("BLOCKED"))
    with pytest.raises(KilledError):
        stage.poll(store=Dying(store, "commit"))
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_a_poll_killed_after_its_commit_finds_it_once(store):
    stage = Stage(store)
    stage.says(phone("BLOCKED"))
    with pytest.raises(KilledError):
        stage.poll(store=Dying(store, "commit", after=True))
    stage.cycle(2)
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_of_two_notifies_at_once_one_works(blocked):
    blocked.ops.gate.clear()
    outcomes = []
    first = threading.Thread(target=lambda: outcomes.append(blocked.notify(owner="first", complete=True)))
    first.start()
    assert blocked.store.acquire_lease("notify", "first", blocked.clock.now(), timedelta(minutes=1))
    second = blocked.notify(owner="second", complete=True)
    blocked.ops.gate.set()
    first.join()
    assert (outcomes[0].worked, outcomes[0].sent, second.worked) == (True, 1, False)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]


def test_a_lease_that_is_lost_ends_the_round_and_loses_nothing(local):
    local.fleet = targets("n1", "n2", "n3")
    local.says(phone("BLOCKED"))
    local.poll()

    def too_slow(_):
        local.clock.advance(seconds=90)
        assert local.store.acquire_lease("notify", "other", local.clock.now(), timedelta(minutes=1))

    local.ops.refuses = too_slow
    with pytest.raises(StoreError, match="another one took over"):
        local.notify(complete=True)
    local.ops.refuses = lambda _: False
    local.store.release_lease("notify", "other")
    local.notify(complete=True)
    assert sorted({one.subject.entity_id for one in local.ops.taken}) == ["n1", "n2", "n3"]


def test_a_long_round_keeps_its_lease(local):
    local.fleet = targets("n1", "n2", "n3", "n4")
    local.says(phone("BLOCKED"))
    local.poll()
    others = []

    def slow(_):
        while local.store.leases["notify"][1] - local.clock.now() < timedelta(seconds=45):
            time.sleep(0.001)  # until the outcome before this one is recorded, which takes a moment only
        local.clock.advance(seconds=20)
        others.append(local.notify(owner="other").worked)

    local.ops.refuses = slow
    assert local.notify(complete=True).sent == 4
    assert others == [False] * 4


def test_an_incident_that_another_notify_wrote_meanwhile_stops_this_one(local):
    local.says(phone("BLOCKED"))
    local.poll()

    def overtaken(_):
        local.ops.refuses = lambda _: False
        local.store.leases.clear()
        local.notify(owner="other", complete=True)

    local.ops.refuses = overtaken
    with pytest.raises(StoreError, match="another notify"):
        local.notify(complete=True)
    assert len(local.ops.taken) == 2
    assert len({one.id for one in local.ops.taken}) == 1
