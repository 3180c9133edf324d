import pytest

from tests.unit.domain.readings import PAYMENT, minute, moved
from wabawatch.domain.correlation import fold
from wabawatch.domain.incidents import Told
from wabawatch.domain.ledger import record_failed, record_sent
from wabawatch.domain.policy import Policy

POLICY = Policy()
BLOCKED = fold(None, moved("a", 1, "A", "B", 0, reasons=(PAYMENT,)), POLICY)


def test_waits_grow_with_every_failure_and_end_with_a_success():
    told, waits = Told(), []
    for _ in range(9):
        told = record_failed(told, "HTTP 503", minute(0), POLICY, None)
        waits.append((told.retry_at - minute(0)).total_seconds())
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert (told.attempts, told.failing_since, told.status) == (9, minute(0), None)
    sent = record_sent(BLOCKED, told, "opened", minute(1), {})
    assert (sent.attempts, sent.failing_since, sent.retry_at, sent.error) == (0, None, None, "")


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        pytest.param(300.0, 300, id="obeyed"),
        pytest.param(1.0, 10, id="not sooner than we would anyway"),
        pytest.param(1e12, 86_400, id="a day at most"),
        pytest.param(float("inf"), 86_400, id="for ever is a day"),
        pytest.param(float("nan"), 10, id="no number"),
        pytest.param(-5.0, 10, id="in the past"),
    ],
)
def test_a_vendor_that_asks_for_a_wait_gets_it(asked, seconds):
    told = record_failed(Told(), "HTTP 429", minute(0), POLICY, asked)
    assert (told.retry_at - minute(0)).total_seconds() == seconds


def test_news_of_another_status_begins_the_reminders_anew_and_news_of_extent_does_not():
    told = record_sent(BLOCKED, Told(reminders=2), "spread", minute(1), {})
    assert told.reminders == 2
    assert record_sent(BLOCKED, told, "reminder", minute(2), {}).reminders == 3
    assert record_sent(BLOCKED, told, "escalated", minute(2), {}).reminders == 0
