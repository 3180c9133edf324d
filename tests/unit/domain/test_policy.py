from datetime import timedelta

import pytest

from wabawatch.domain.policy import Retry, exponential_delay

RETRY = Retry()


def test_waits_double_with_every_failure_up_to_a_limit():
    waits = [RETRY.wait(attempts).total_seconds() for attempts in range(1, 10)]
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert RETRY.wait(10_000) == timedelta(minutes=10)


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
    assert RETRY.wait(1, asked).total_seconds() == seconds


def test_a_wait_in_seconds_or_as_a_timedelta_doubles_up_to_its_limit():
    assert [exponential_delay(attempts, 0.5, 3.0) for attempts in (1, 2, 3, 4, 5000)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert exponential_delay(2, timedelta(seconds=5), timedelta(minutes=1)) == timedelta(seconds=10)
