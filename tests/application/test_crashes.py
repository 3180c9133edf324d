"""Killed at any moment and started again: nothing is lost, and what is said twice carries the same id."""

import threading
import time
from datetime import timedelta

import pytest

from tests.application.conftest import Stage
from tests.application.fakes import PAYMENT, Dying, FakeNotifier, KilledError, phone, targets
from wabawatch.domain.policy import Policy
from wabawatch.errors import DeliveryError, DeliveryErrorKind, StoreError


@pytest.fixture
def blocked(store):
    stage = Stage(store)
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))
    stage.clock.advance(minutes=1)
    stage.poll()
    return stage


def test_killed_between_send_and_record_it_is_sent_again_with_the_same_id(blocked):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "queue", 2), complete=True)
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"] * 2
    assert len({one.id for one in blocked.ops.taken}) == 1


def test_killed_after_it_is_stored_and_before_it_is_sent_it_is_sent(blocked):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "queue", after=True), complete=True)
    assert blocked.ops.said == []
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]


def test_killed_between_its_outcome_and_the_ledger_it_is_not_sent_again(blocked):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "save_incidents"), complete=True)
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]
    assert blocked.incidents()[0].notification_log["ops"].count == 1


def test_a_digest_that_is_recorded_by_half_is_not_sent_again(store):
    stage = Stage(store, fleet=targets(*"abcdefgh"))
    stage.says(phone("BLOCKED"))
    stage.poll()
    with pytest.raises(KilledError):
        stage.notify(store=Dying(store, "save_incidents"), complete=True)
    stage.notify(complete=True)
    assert stage.ops.said == ["digest 8"]


def test_a_digest_that_was_perhaps_sent_is_sent_again_with_the_same_id(store):
    stage = Stage(store, fleet=targets(*"abcdefgh"))
    stage.says(phone("BLOCKED"))
    stage.poll()
    with pytest.raises(KilledError):
        stage.notify(store=Dying(store, "queue", 2), complete=True)
    stage.says(phone(), *[phone("BLOCKED")] * 7)
    stage.cycle(3)
    assert stage.ops.said[:2] == ["digest 8", "digest 8"]
    assert len({one.id for one in stage.ops.taken[:2]}) == 1
    assert stage.ops.said[2:] == ["resolved BLOCKED>AVAILABLE"]


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_killed_at_the_fold_the_news_is_told_once(blocked, after):
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "fold", after=after), complete=True)
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]
    assert blocked.incidents()[0].revision == 1


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
        time.sleep(0.05)  # until the outcome before this one is recorded, which takes a moment only
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
        local.store.release_lease("notify", "me")
        local.notify(owner="other", complete=True)

    local.ops.refuses = overtaken
    with pytest.raises(StoreError, match="another notify"):
        local.notify(complete=True)
    assert len(local.ops.taken) == 2
    assert len({one.id for one in local.ops.taken}) == 1


def test_what_a_slower_notify_takes_out_of_the_queue_is_decided_anew(local):
    local.fleet = targets("n1", "n2")
    local.says(phone("BLOCKED"))
    local.cycle()
    local.says(phone())
    for _ in range(2):
        local.clock.advance(minutes=1)
        local.poll()

    def fails_while_another_works(*given):
        local.ops.deliver = fails
        local.store.release_lease("notify", "me")
        local.notify(owner="other", complete=True)
        fails(*given)

    def fails(*_):
        raise DeliveryError("HTTP 503")

    deliver, local.ops.deliver = local.ops.deliver, fails_while_another_works
    with pytest.raises(StoreError, match="another notify"):
        local.notify(complete=True)
    local.ops.deliver = deliver
    local.cycle(3, minutes=30)
    assert local.ops.said == ["opened None>BLOCKED"] * 2 + ["resolved BLOCKED>AVAILABLE"] * 2


def last_words(notifier):
    return {one.subject.entity_id: one.subject.new for one in notifier.taken}


def end_and_come_back(stage):
    """What was blocked is well for long enough to be over, and is blocked again."""
    stage.says(phone())
    for _ in range(2):
        stage.clock.advance(minutes=1)
        stage.poll()
    stage.says(phone("BLOCKED"))
    stage.clock.advance(minutes=1)
    stage.poll()


def test_what_was_perhaps_sent_is_sent_again_in_its_order(store):
    stage = Stage(store, fleet=targets(*"abcdefgh"), policy=Policy(digest_over=50))
    stage.says(phone("BLOCKED"))
    stage.cycle()
    end_and_come_back(stage)
    with pytest.raises(KilledError):
        stage.notify(store=Dying(store, "queue", 2), complete=True)
    stage.cycle()
    assert last_words(stage.ops) == dict.fromkeys("abcdefgh", "BLOCKED")
    assert len(stage.ops.said) == 1 + 3 * 8


@pytest.mark.parametrize("is_answered", [False, True], ids=["it was perhaps taken", "it was not taken"])
def test_killed_after_a_failure_the_destination_is_still_left_alone(blocked, is_answered):
    blocked.notify(complete=True)
    blocked.says(phone())
    for _ in range(2):
        blocked.clock.advance(minutes=1)
        blocked.poll()
    blocked.ops.errors = [DeliveryError("HTTP 503", is_answered=is_answered, retry_after=100)]
    with pytest.raises(KilledError):
        blocked.notify(store=Dying(blocked.store, "queue", 2, after=True), complete=True)
    blocked.says(phone("BLOCKED"))
    blocked.cycle()
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED"]
    blocked.cycle(3)
    assert blocked.ops.said[1:] == ["resolved BLOCKED>AVAILABLE", "opened AVAILABLE>BLOCKED"]


def test_what_was_refused_is_sent_before_later_news_of_the_same_cause(blocked):
    blocked.notify(complete=True)
    blocked.ops.errors = [DeliveryError("invalid_payload", DeliveryErrorKind.MESSAGE)] * 3
    blocked.says(phone())
    blocked.cycle(4)
    blocked.says(phone("BLOCKED"))
    blocked.poll()
    blocked.notify(complete=True)
    blocked.cycle(3)
    assert blocked.ops.said[1:] == ["resolved BLOCKED>AVAILABLE", "opened AVAILABLE>BLOCKED"]


def test_what_is_due_in_many_pages_is_told_in_the_order_of_its_cause(store, monkeypatch):
    monkeypatch.setattr("wabawatch.application.notify._DUE_AT_ONCE", 3)
    monkeypatch.setattr("wabawatch.application.planner._REVIEW_PAGE", 2)
    stage = Stage(store, fleet=targets(*"abcdefgh"), policy=Policy(digest_over=50))
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.ops.always = DeliveryError("HTTP 503", retry_after=3600)
    end_and_come_back(stage)
    stage.notify(complete=True)
    stage.ops.always = None
    stage.cycle(minutes=90)
    assert last_words(stage.ops) == dict.fromkeys("abcdefgh", "BLOCKED")
    assert [said.split()[0] for said in stage.ops.said].count("resolved") == 8


def test_what_was_perhaps_sent_holds_a_later_incident_of_its_cause_until_its_end_is_told(blocked):
    deliver = blocked.ops.deliver

    def lose(*_):
        raise DeliveryError("no answer", is_answered=False)

    blocked.ops.deliver = lose
    blocked.notify(complete=True)
    end_and_come_back(blocked)
    blocked.ops.deliver = deliver
    blocked.cycle(3)
    assert blocked.ops.said == ["opened AVAILABLE>BLOCKED", "resolved BLOCKED>AVAILABLE", "opened AVAILABLE>BLOCKED"]
