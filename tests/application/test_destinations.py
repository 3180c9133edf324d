"""Destinations that fail, are slow, come and go."""

import pytest

from tests.application.fakes import PAYMENT, FakeNotifier, phone, targets
from wabawatch.application.outbox import Outbox
from wabawatch.domain.routing import Route
from wabawatch.domain.silence import Matcher
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError

DOWN = DeliveryError("HTTP 503")


def test_a_failing_destination_delays_nobody_else(stage):
    stage.destinations = {"down": FakeNotifier(always=DOWN), "ops": FakeNotifier()}
    stage.says(phone("BLOCKED"))
    notified = stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]
    assert (notified.sent, notified.failed, notified.pending) == (1, 1, 1)


def test_a_slow_destination_delays_nobody_else(local):
    slow, quick = FakeNotifier(), FakeNotifier()
    local.destinations = {"slow": slow, "ops": quick}
    slow.gate.clear()
    quick.refuses = lambda _: bool(slow.gate.set())  # the slow one goes on only once the quick one was asked
    local.says(phone("BLOCKED"))
    local.cycle()
    assert (len(slow.taken), len(quick.taken)) == (1, 1)


def test_a_destination_that_fails_for_three_rounds_gets_the_message_once(stage):
    stage.ops.errors = [DOWN, DOWN, DOWN]
    stage.says(phone("BLOCKED"))
    stage.cycle(8)
    assert stage.ops.said == ["opened None>BLOCKED"]
    assert len({one.id for one in stage.ops.tried}) == 1
    assert stage.notify().oldest_undelivered.total_seconds() == 0


def test_waits_double_up_to_the_longest_one(local):
    local.ops.always = DOWN
    local.says(phone("BLOCKED"))
    local.poll()
    tries = []
    for second in range(3600):
        before = len(local.ops.tried)
        if second % 10 == 0:
            local.notify(complete=True)
        tries += [second] * (len(local.ops.tried) - before)
        local.clock.advance(seconds=1)
    assert tries == [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]


def test_a_destination_that_asks_for_five_minutes_gets_them_whatever_else_happens(local):
    local.fleet = targets("n1", "n2")
    local.ops.errors = [DeliveryError("HTTP 429", retry_after=300)]
    local.says(phone("BLOCKED"), phone())
    local.cycle()
    local.says(phone("BLOCKED"), phone("BLOCKED"))
    local.cycle(4)
    assert len(local.ops.tried) == 1
    local.cycle()
    assert local.ops.said == ["opened AVAILABLE>BLOCKED", "opened None>BLOCKED"]


def test_after_a_failure_the_rest_of_the_round_waits_too(local):
    local.fleet = targets("n1", "n2", "n3")
    local.ops.always = DOWN
    local.says(phone("BLOCKED"))
    local.cycle()
    assert len(local.ops.tried) == 1


def test_news_that_its_destination_cannot_swallow_keeps_no_other_waiting(local):
    local.fleet = targets("n1", "n2")
    local.says(phone("BLOCKED"), phone())
    local.ops.errors = [DOWN] * 3
    local.cycle(2)
    local.ops.errors = []
    local.ops.refuses = lambda one: one.subject.entity_id == "n1"
    local.says(phone("BLOCKED"), phone("BLOCKED"))
    local.cycle(3)
    assert [one.subject.entity_id for one in local.ops.taken] == ["n2"]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(DeliveryError("HTTP 404", DeliveryErrorKind.DESTINATION), id="a lasting failure"),
        pytest.param(SecretError("env:SLACK is not set"), id="a secret that cannot be read"),
    ],
)
def test_a_dead_destination_is_told_at_once_through_another_and_never_through_itself(stage, error):
    dead = FakeNotifier(always=error)
    stage.destinations = {"dead": dead, "ops": FakeNotifier()}
    stage.says(phone("BLOCKED"))
    stage.cycle()
    (notified,) = [one.subject for one in stage.ops.taken if one.subject.entity_type == "DESTINATION"]
    assert (notified.entity_id, notified.affected_total, notified.reasons[0].reason.detail) == ("dead", 0, str(error))
    stage.cycle(30)
    assert not [one for one in dead.tried if one.subject.entity_type == "DESTINATION"]
    dead.always = None
    stage.cycle(30)
    assert [kind for kind in stage.ops.said if kind.startswith("resolved")] == ["resolved UNKNOWN>AVAILABLE"]


def test_a_dead_destination_is_told_through_another_where_every_route_leads_to_it(stage):
    stage.destinations = {
        "dead": FakeNotifier(always=DeliveryError("HTTP 404", DeliveryErrorKind.DESTINATION)),
        "ops": FakeNotifier(),
    }
    stage.ruled(routes=(Route(("dead",)), Route(("ops",), Matcher(status=("BLOCKED",)))))
    stage.says(phone("LIMITED"))
    stage.cycle(3)
    assert [(one.subject.entity_type, one.subject.entity_id) for one in stage.ops.taken] == [("DESTINATION", "dead")]


def test_a_destination_that_fails_for_a_day_is_told_through_another(local):
    local.destinations = {"down": FakeNotifier(always=DOWN), "ops": FakeNotifier()}
    local.says(phone("BLOCKED"))
    local.cycle(140, minutes=10)
    assert not [one for one in local.ops.taken if one.subject.entity_type == "DESTINATION"]
    local.cycle(6, minutes=10)
    assert [one.subject.entity_id for one in local.ops.taken if one.subject.entity_type == "DESTINATION"] == ["down"]


def test_a_dead_destination_that_leaves_the_configuration_is_no_trouble_any_more(stage):
    stage.destinations = {
        "dead": FakeNotifier(always=DeliveryError("gone", DeliveryErrorKind.DESTINATION)),
        "ops": FakeNotifier(),
    }
    stage.says(phone("BLOCKED"))
    stage.cycle()
    del stage.destinations["dead"]
    stage.ruled()
    stage.cycle()
    assert stage.ops.taken[-1].subject.resolution == "unwatched"


def test_a_destination_added_while_an_incident_is_open_hears_of_it(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    stage.destinations["late"] = FakeNotifier()
    stage.ruled()
    stage.cycle()
    stage.says(phone())
    stage.cycle(3)
    assert stage.destinations["late"].said == ["opened None>BLOCKED", "resolved BLOCKED>AVAILABLE"]


def test_a_destination_added_after_the_end_hears_nothing_of_it_not_even_when_it_happens_again(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    stage.says(phone())
    stage.cycle(3)
    stage.destinations["late"] = FakeNotifier()
    stage.ruled()
    stage.clock.advance(days=2)
    stage.cycle(2)
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    assert stage.destinations["late"].said == ["opened AVAILABLE>BLOCKED"]


def test_a_destination_that_joins_hears_nothing_of_what_is_over_and_still_to_be_sent_to_another(local):
    local.ops.always = DOWN
    local.says(phone("BLOCKED"))
    local.cycle(2)
    local.says(phone())
    local.cycle(3)
    local.destinations["late"] = FakeNotifier()
    local.ruled()
    local.cycle()
    local.ops.always = None
    local.cycle(20)
    assert local.ops.said == ["brief None>BLOCKED"]
    assert local.destinations["late"].said == []


def test_a_destination_that_is_removed_and_comes_back_hears_what_it_missed(stage):
    stage.destinations["other"] = other = FakeNotifier()
    stage.says(phone("BLOCKED"))
    stage.cycle()
    del stage.destinations["other"]
    stage.ruled()
    stage.cycle(2)
    stage.destinations["other"] = other
    stage.ruled()
    stage.cycle(2)
    stage.says(phone("LIMITED"))
    stage.cycle(2)
    assert other.said == ["opened None>BLOCKED", "eased BLOCKED>LIMITED"]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param(1, ["opened None>BLOCKED", "resolved BLOCKED>AVAILABLE"], id="in days"),
        pytest.param(8, ["opened None>BLOCKED"], id="after a week nobody waits for it"),
    ],
)
def test_a_destination_that_was_removed_hears_of_the_end_when_it_comes_back(stage, days, said):
    stage.destinations["other"] = other = FakeNotifier()
    stage.says(phone("BLOCKED"))
    stage.cycle()
    del stage.destinations["other"]
    stage.ruled()
    stage.says(phone())
    stage.cycle(3)
    stage.clock.advance(days=days)
    stage.cycle()
    stage.destinations["other"] = other
    stage.ruled()
    stage.cycle(2)
    assert other.said == said


def test_a_destination_that_was_there_before_the_clock_was_set_back_hears_of_what_was_over_soon(stage):
    stage.cycle()
    stage.clock.advance(minutes=-60)
    stage.ops.always = DOWN
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    stage.says(phone())
    stage.cycle(3)
    stage.ops.always = None
    stage.clock.advance(minutes=120)
    stage.cycle()
    assert stage.ops.said == ["brief AVAILABLE>BLOCKED"]


def test_a_resolve_whose_trigger_was_never_delivered_is_one_brief_message(stage):
    stage.ops.always = DOWN
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    stage.says(phone())
    stage.cycle(3)
    stage.ops.always = None
    stage.cycle(10)
    assert stage.ops.said == ["brief None>BLOCKED"]
    assert stage.ops.taken[0].subject.resolved_at is not None


def test_an_end_is_told_before_the_same_trouble_that_came_back_meanwhile(stage):
    stage.says(phone("LIMITED"))
    stage.cycle()
    stage.ops.always = DOWN
    stage.says(phone())
    stage.cycle(3)
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    stage.ops.always = None
    stage.cycle(10)
    assert stage.ops.said == ["opened None>LIMITED", "resolved LIMITED>AVAILABLE", "opened AVAILABLE>BLOCKED"]


def test_who_heard_of_a_problem_only_when_it_was_repeated_hears_that_it_is_over(stage):
    stage.cycle()
    stage.ops.errors = [DeliveryError("no answer", is_answered=False)]
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    stage.says(phone())
    for _ in range(2):  # it ends before the notification is repeated
        stage.clock.advance(seconds=1)
        stage.poll()
    stage.notify(complete=True)
    assert stage.ops.said == []
    stage.cycle(3)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED", "resolved BLOCKED>AVAILABLE"]


def test_what_was_told_is_due_at_its_first_reminder(stage):
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    (incident,) = stage.incidents()
    assert incident.due_at == stage.clock.now() + stage.policy.reminders["blocked"][0]


@pytest.mark.parametrize("took", [True, False], ids=["it took it", "it did not take it"])
def test_a_destination_that_left_before_its_answer_gets_the_message_again_when_it_is_back(stage, took):
    stage.destinations["away"] = away = FakeNotifier()
    deliver = away.deliver

    def lose_the_answer(*given):
        if took:
            deliver(*given)
        raise DeliveryError("no answer", is_answered=False)

    away.deliver = lose_the_answer
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    del stage.destinations["away"]
    stage.ruled()
    assert stage.cycle().pending == 0
    stage.says(phone())
    stage.cycle(4)
    away.deliver = deliver
    stage.destinations["away"] = away
    stage.ruled()
    stage.cycle(2)
    assert away.said == ["opened AVAILABLE>BLOCKED"] * (1 + took) + ["resolved BLOCKED>AVAILABLE"]
    assert len({one.id for one in away.taken}) == 2


def test_a_destination_that_stays_away_for_longer_than_a_week_is_waited_for_no_more(stage):
    stage.destinations["away"] = FakeNotifier(always=DeliveryError("no answer", is_answered=False))
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    away = stage.destinations.pop("away")
    stage.ruled()
    stage.cycle()
    assert [one.destination for one in stage.store.queued()] == ["away"]
    stage.clock.advance(days=8)
    stage.cycle()
    assert not stage.store.queued()
    away.always = None
    stage.destinations["away"] = away
    stage.ruled()
    stage.cycle()
    assert away.said == ["opened None>BLOCKED"]


def test_a_retry_whose_time_comes_in_the_middle_of_a_round_is_made_in_the_next_one(stage, monkeypatch):
    stage.cycle()
    stage.ops.always = DOWN
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    stage.ops.always = None
    take_failed = Outbox.take_failed

    def take_just_before_the_time(dispatch, now):
        taken = take_failed(dispatch, now)
        stage.clock.advance(seconds=30)
        return taken

    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "take_failed", take_just_before_the_time)
        stage.notify()
    stage.notify()
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED"]


def test_a_retry_that_was_set_before_the_clock_was_set_back_is_made_now(stage):
    stage.cycle()
    stage.clock.advance(days=9)
    stage.ops.always = DOWN
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    stage.clock.advance(days=-9)
    stage.ops.always = None
    stage.cycle(2)
    assert "opened AVAILABLE>BLOCKED" in stage.ops.said


def test_of_two_dead_destinations_a_third_one_hears_though_no_route_leads_to_it(stage):
    gone = DeliveryError("HTTP 404", DeliveryErrorKind.DESTINATION)
    stage.destinations = {"one": FakeNotifier(always=gone), "two": FakeNotifier(always=gone), "third": FakeNotifier()}
    stage.ruled(routes=(Route(("one", "two")),))
    stage.says(phone("BLOCKED"))
    stage.cycle(3)
    assert {one.subject.entity_id for one in stage.destinations["third"].taken} == {"one", "two"}
    stage.destinations["one"].always = stage.destinations["two"].always = None
    stage.cycle(40)
    assert stage.destinations["third"].said[2:] == ["resolved UNKNOWN>AVAILABLE"] * 2
