"""When the next probe may start, in seconds of a clock that the test moves."""

import pytest

from wabawatch.adapters.dialog360.pacing import Pacing
from wabawatch.adapters.dialog360.waiting import Waiting
from wabawatch.application.ports import Target


def starts_until(pacing, end, step):
    """The moments of all starts when somebody looks every `step` seconds and starts whatever may start."""
    found, now = [], 100.0
    while now < 100.0 + end:
        while not pacing.wait(now):
            pacing.started(now)
            found.append(now)
        now += step
    return found


@pytest.mark.parametrize("step", [0.0005, 0.001, 0.004, 0.015])
def test_the_rate_is_kept_however_often_somebody_looks(step):
    starts = starts_until(Pacing(100), 10, step)
    assert 0.9 * 1000 <= len(starts) <= 1003


def test_idle_time_is_not_saved_up():
    pacing = Pacing(100)
    pacing.started(0.0)
    assert len(starts_until(pacing, 0.05, 0.001)) <= 8


def test_without_a_rate_nothing_waits():
    pacing = Pacing(None)
    pacing.started(1.0)
    assert pacing.wait(1.0) == 0


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        pytest.param(30.0, 30.0, id="for-as-long-as-it-asks"),
        pytest.param(0.0, 0.0, id="not-at-all"),
        pytest.param(None, 5.0, id="for-a-moment-where-it-does-not-say"),
        pytest.param(86_400.0, 300.0, id="for-five-minutes-at-most"),
    ],
)
def test_a_host_that_throttles_is_left_alone(asked, waits):
    pacing = Pacing(None)
    assert pacing.throttled("a", 100.0, asked) == waits
    assert pacing.resumes_at("a") == 100.0 + waits
    assert pacing.resumes_at("b") <= 100.0


def test_a_shorter_wait_does_not_end_a_longer_one():
    pacing = Pacing(None)
    pacing.throttled("a", 100.0, 30.0)
    pacing.throttled("a", 101.0, 1.0)
    assert pacing.resumes_at("a") == 130.0


def test_targets_of_a_host_that_waits_come_later_and_others_meanwhile():
    pacing = Pacing(None)
    pacing.throttled("slow.example", 100.0, 10.0)
    targets = [
        Target(name, name, "env:K", base_url=f"https://{name[:-1]}.example")
        for name in ("slow1", "fast1", "slow2", "fast2")
    ]
    waiting = Waiting(targets, "https://x.example", pacing, patience_ends=120.0)

    def taken(now):
        found = []
        while one := waiting.take(now):
            found.append(one[0].id)
        return found

    assert (taken(100.0), waiting.wait(100.0), len(waiting)) == (["fast1", "fast2"], 10.0, 2)
    assert (taken(110.0), waiting.wait(110.0), len(waiting)) == (["slow1", "slow2"], None, 0)


def test_targets_whose_host_waits_longer_than_the_pass_are_left():
    pacing = Pacing(None)
    pacing.throttled("slow.example", 100.0, 30.0)
    waiting = Waiting([Target("a", "a", "env:K")], "https://slow.example", pacing, patience_ends=120.0)
    assert (waiting.take(100.0), waiting.wait(100.0), len(waiting)) == (None, None, 1)
