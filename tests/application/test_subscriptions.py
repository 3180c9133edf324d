"""Topics that take everything and reach nobody."""

import pytest

from tests.application.fakes import FakeNotifier, phone
from wabawatch.application.ports import SubscriptionCounts
from wabawatch.errors import DeliveryError, DeliveryErrorKind

NOBODY, SOMEBODY = SubscriptionCounts(0), SubscriptionCounts(1)
DENIED = DeliveryError("SNS says AuthorizationError", DeliveryErrorKind.DESTINATION)


class FakeTopic(FakeNotifier):
    """Has the subscriptions in `counts`, or raises what is there."""

    def __init__(self, counts=SOMEBODY, *, name="alerts", may_be_empty=False):
        super().__init__()
        self.topic_arn = f"arn:aws:sns:eu-central-1:123456789012:{name}"
        self.may_be_empty = may_be_empty
        self.counts = counts
        self.asked = 0

    def count_subscriptions(self):
        self.asked += 1
        if isinstance(self.counts, Exception):
            raise self.counts
        return self.counts


@pytest.fixture
def topic(local):
    """The destination `alerts`; the first round is over."""
    local.destinations = {"alerts": FakeTopic(), "ops": FakeNotifier()}
    local.cycle()
    return local.destinations["alerts"]


def later(stage, hours=1):
    return stage.cycle(minutes=60 * hours + 1)


def said(stage):
    return [(one.subject.entity_id, one.kind) for one in stage.ops.taken if one.kind != "reminder"]


def test_a_topic_without_a_subscriber_is_told_through_the_others_until_somebody_subscribes(stage):
    alerts = FakeTopic(SubscriptionCounts(0, 1))
    stage.destinations = {"alerts": alerts, "ops": FakeNotifier()}
    stage.cycle()
    assert later(stage).unheard == 1
    assert stage.cycle().unheard == 1
    (notified,) = [one.subject for one in stage.ops.taken]
    assert (notified.entity_type, notified.entity_id) == ("DESTINATION", "alerts")
    assert notified.reasons[0].reason.detail == "topic alerts has no subscriber, 1 not confirmed"
    assert alerts.taken == []
    alerts.counts = SOMEBODY
    assert later(stage).unheard == 0
    assert said(stage) == [("alerts", "opened"), ("alerts", "resolved")]


def test_subscribers_are_counted_an_hour_after_the_first_round_and_then_once_a_day(local, topic):
    local.cycle(minutes=58)
    assert topic.asked == 0
    later(local)
    assert topic.asked == 1
    later(local, hours=23)
    assert topic.asked == 1
    later(local)
    assert topic.asked == 2
    assert local.ops.taken == []


def test_a_topic_that_may_be_empty_is_a_fault_only_once_somebody_had_subscribed(local, topic):
    topic.may_be_empty, topic.counts = True, NOBODY
    later(local)
    assert said(local) == []
    topic.counts = SubscriptionCounts(0, deleted=1)
    later(local, hours=24)
    topic.counts = NOBODY
    later(local)
    assert topic.asked == 3
    assert said(local) == [("alerts", "opened")]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(DENIED, id="sns-refuses"),
        pytest.param(DeliveryError("SNS was not reached"), id="sns-is-away"),
        pytest.param(ValueError("odd"), id="a-surprise"),
    ],
)
def test_what_cannot_be_counted_stays_as_it_was_and_stops_nothing(local, topic, error):
    topic.counts = NOBODY
    later(local)
    topic.counts = error
    local.says(phone("BLOCKED"))
    assert later(local).unheard == 1
    assert topic.asked == 2
    assert said(local) == [("alerts", "opened"), ("n1", "opened")]
    assert [one.subject.entity_id for one in topic.taken] == ["n1"]


def test_where_sns_is_away_no_other_topic_is_asked_and_all_are_within_the_hour(local, topic):
    other = local.destinations["other"] = FakeTopic(name="other")
    topic.counts = DeliveryError("SNS was not reached")
    later(local)
    assert (topic.asked, other.asked) == (1, 0)
    topic.counts = SOMEBODY
    later(local)
    assert (topic.asked, other.asked) == (2, 1)


def test_one_that_cannot_be_counted_keeps_no_other_from_being_counted(local, topic):
    local.destinations["other"] = FakeTopic(NOBODY, name="other")
    topic.counts = DENIED
    assert later(local).unheard == 1


def test_a_slow_check_is_cut_short_because_alerts_wait_for_it(local, topic):
    def slow():
        local.clock.advance(seconds=11)
        return SOMEBODY

    topic.count_subscriptions = slow
    other = local.destinations["other"] = FakeTopic(name="other")
    later(local)
    assert other.asked == 0


def test_the_topics_of_the_monitors_own_alarms_are_counted_too(local):
    local.alarm_topics = [FakeTopic(name="pager"), FakeTopic(NOBODY, name="monitor")]
    local.cycle()
    assert later(local).unheard == 1
    (notified,) = [one.subject for one in local.ops.taken]
    assert (notified.entity_type, notified.entity_id) == ("MONITOR", "alarms")
    assert notified.reasons[0].reason.detail == "topic monitor has no subscriber"


@pytest.mark.parametrize("left", [{}, {"alerts": FakeNotifier()}], ids=["removed", "of-another-kind"])
def test_a_topic_that_is_no_destination_any_more_is_no_trouble_any_more(local, topic, left):
    topic.counts = NOBODY
    later(local)
    local.destinations = {"ops": local.ops, **left}
    local.ruled()
    assert local.cycle().unheard == 0
    assert later(local).unheard == 0
    assert said(local) == [("alerts", "opened"), ("alerts", "resolved")]


def test_where_no_destination_is_a_topic_nothing_is_written(local):
    local.cycle(2)
    assert local.store.document("subscriptions") is None
