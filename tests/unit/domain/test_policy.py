from datetime import timedelta

import pytest

from wabawatch.domain.policy import Retry

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
