"""When the next probe may start, in seconds of a clock that the test moves."""

import pytest

from wabawatch.adapters.dialog360.probe_queue import ProbeQueue, RateLimiter
from wabawatch.application.ports import Target


def starts_until(limiter, end, step):
    """The moments of all starts when somebody looks every `step` seconds and starts whatever may start."""
    found, now = [], 100.0
    while now < 100.0 + end:
        while not limiter.wait(now):
            limiter.record_start(now)
            found.append(now)
        now += step
    return found


@pytest.mark.parametrize("step", [0.0005, 0.001, 0.004, 0.015])
def test_the_rate_is_kept_however_often_somebody_looks(step):
    starts = starts_until(RateLimiter(100), 10, step)
    assert 0.9 * 1000 <= len(starts) <= 1003


def test_idle_time_is_not_saved_up():
    limiter = RateLimiter(100)
    limiter.record_start(0.0)
    assert len(starts_until(limiter, 0.05, 0.001)) <= 8


def test_without_a_rate_nothing_waits():
    limiter = RateLimiter(None)
    limiter.record_start(1.0)
    assert limiter.wait(1.0) == 0


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        pytest.param(30.0, 30.0, id="for-as-long-as-it-was-asked"),
        pytest.param(0.0, 0.0, id="not-at-all"),
        pytest.param(None, 5.0, id="for-a-moment-where-it-was-not-said"),
        pytest.param(86_400.0, 300.0, id="for-five-minutes-at-most"),
    ],
)
def test_a_key_that_is_throttled_is_left_alone_and_its_host_is_not(asked, waits):
    limiter = RateLimiter(None)
    assert limiter.record_throttled("a", "k", 100.0, asked) == waits
    assert limiter.key_resumes_at("a", "k") == 100.0 + waits
    assert max(limiter.key_resumes_at("a", "l"), limiter.key_resumes_at("b", "k")) <= 100.0
    assert limiter.host_resumes_at("a") <= 100.0


def test_a_shorter_wait_does_not_end_a_longer_one():
    limiter = RateLimiter(None)
    limiter.record_throttled("a", "k", 100.0, 30.0)
    limiter.record_throttled("a", "k", 101.0, 1.0)
    assert limiter.key_resumes_at("a", "k") == 130.0


@pytest.mark.parametrize(
    ("throttled", "resumes_at"),
    [
        pytest.param([("k", 0), ("l", 1)], None, id="two-keys-are-two-keys"),
        pytest.param([("k", 0), ("k", 1), ("k", 2), ("l", 3)], None, id="one-key-again-and-again-is-one-key"),
        pytest.param([("k", 0), ("l", 1), ("m", 2)], 132.0, id="three-keys-are-the-host"),
        pytest.param([("k", 0), ("l", 1), ("m", 40)], None, id="three-keys-within-a-longer-time-are-three-keys"),
        pytest.param([("k", 0), ("l", 1), None, ("m", 2)], None, id="three-keys-with-an-answer-in-between-are-three"),
        pytest.param([("k", 0), ("l", 1), ("m", 2), None], None, id="an-answer-ends-the-wait"),
        pytest.param([("k", 0), ("l", 1), ("m", 2), ("n", 3)], 133.0, id="a-fourth-key-makes-it-longer"),
    ],
)
def test_a_host_is_left_alone_once_several_keys_were_throttled(throttled, resumes_at):
    limiter = RateLimiter(None)
    for event in throttled:
        if event is None:
            limiter.record_success("a")
        else:
            limiter.record_throttled("a", event[0], 100.0 + event[1], 30.0)
    assert limiter.host_resumes_at("a") == (resumes_at or 0.0)
    assert limiter.host_resumes_at("b") == 0.0


def test_a_host_is_left_alone_for_a_minute_at_most():
    limiter = RateLimiter(None)
    for key in "klm":
        limiter.record_throttled("a", key, 100.0, 300.0)
    assert limiter.host_resumes_at("a") == 160.0


def parked(*hosts, seconds):
    """Pacing with these hosts left alone from second 100 on."""
    limiter = RateLimiter(None)
    for host in hosts:
        for key in ("env:X", "env:Y", "env:Z"):
            limiter.record_throttled(host, key, 100.0, seconds)
    return limiter


def taken(queue, now):
    found = []
    while one := queue.take(now):
        found.append(one[0].id)
    return found


def test_targets_of_a_host_that_waits_come_later_and_others_meanwhile():
    limiter = parked("slow.example", seconds=10.0)
    targets = [
        Target(name, name, "env:K", base_url=f"https://{name[:-1]}.example")
        for name in ("slow1", "fast1", "slow2", "fast2")
    ]
    queue = ProbeQueue(targets, "https://x.example", limiter, patience_ends=120.0)
    assert (taken(queue, 100.0), queue.wait(100.0), len(queue)) == (["fast1", "fast2"], 10.0, 2)
    assert (taken(queue, 110.0), queue.wait(110.0), len(queue)) == (["slow1", "slow2"], None, 0)


def test_a_target_whose_key_waits_comes_later_and_others_of_its_host_meanwhile():
    limiter = RateLimiter(None)
    limiter.record_throttled("x.example", "env:K1", 100.0, 10.0)
    limiter.record_throttled("x.example", "env:K2", 100.0, 200.0)
    targets = [Target(f"n{number}", "", f"env:K{number}") for number in (1, 2, 3, 1)]
    queue = ProbeQueue(targets, "https://x.example", limiter, patience_ends=120.0)
    assert (taken(queue, 100.0), queue.wait(100.0), len(queue)) == (["n3"], 10.0, 3)
    assert (taken(queue, 110.0), queue.wait(110.0), len(queue)) == (["n1", "n1"], None, 1)


def test_a_host_that_asks_again_while_its_targets_are_parked_is_left_alone_for_longer():
    limiter = parked("x.example", seconds=10.0)
    queue = ProbeQueue(
        [Target(f"n{number}", "", f"env:K{number}") for number in (1, 2)], "https://x.example", limiter, 150.0
    )
    assert taken(queue, 100.0) == []
    assert queue.take(110.0)[0].id == "n1"
    limiter.record_throttled("x.example", "env:K1", 110.0, 10.0)
    assert (taken(queue, 110.0), queue.wait(110.0)) == ([], 10.0)
    assert taken(queue, 120.0) == ["n2"]


def test_targets_whose_host_waits_longer_than_the_pass_are_left():
    limiter = parked("slow.example", seconds=30.0)
    queue = ProbeQueue([Target("a", "a", "env:K")], "https://slow.example", limiter, patience_ends=120.0)
    assert (queue.take(100.0), queue.wait(100.0), len(queue)) == (None, None, 1)
