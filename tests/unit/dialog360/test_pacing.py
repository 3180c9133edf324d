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
        pytest.param(30.0, 30.0, id="for-as-long-as-it-was-asked"),
        pytest.param(0.0, 0.0, id="not-at-all"),
        pytest.param(None, 5.0, id="for-a-moment-where-it-was-not-said"),
        pytest.param(86_400.0, 300.0, id="for-five-minutes-at-most"),
    ],
)
def test_a_key_that_is_throttled_is_left_alone_and_its_host_is_not(asked, waits):
    pacing = Pacing(None)
    assert pacing.throttled("a", "k", 100.0, asked) == waits
    assert pacing.key_resumes_at("a", "k") == 100.0 + waits
    assert max(pacing.key_resumes_at("a", "l"), pacing.key_resumes_at("b", "k")) <= 100.0
    assert pacing.host_resumes_at("a") <= 100.0


def test_a_shorter_wait_does_not_end_a_longer_one():
    pacing = Pacing(None)
    pacing.throttled("a", "k", 100.0, 30.0)
    pacing.throttled("a", "k", 101.0, 1.0)
    assert pacing.key_resumes_at("a", "k") == 130.0


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
    pacing = Pacing(None)
    for event in throttled:
        if event is None:
            pacing.answered("a")
        else:
            pacing.throttled("a", event[0], 100.0 + event[1], 30.0)
    assert pacing.host_resumes_at("a") == (resumes_at or 0.0)
    assert pacing.host_resumes_at("b") == 0.0


def test_a_host_is_left_alone_for_a_minute_at_most():
    pacing = Pacing(None)
    for key in "klm":
        pacing.throttled("a", key, 100.0, 300.0)
    assert pacing.host_resumes_at("a") == 160.0


def parked(*hosts, seconds):
    """Pacing with these hosts left alone from second 100 on."""
    pacing = Pacing(None)
    for host in hosts:
        for key in ("env:X", "env:Y", "env:Z"):
            pacing.throttled(host, key, 100.0, seconds)
    return pacing


def taken(waiting, now):
    found = []
    while one := waiting.take(now):
        found.append(one[0].id)
    return found


def test_targets_of_a_host_that_waits_come_later_and_others_meanwhile():
    pacing = parked("slow.example", seconds=10.0)
    targets = [
        Target(name, name, "env:K", base_url=f"https://{name[:-1]}.example")
        for name in ("slow1", "fast1", "slow2", "fast2")
    ]
    waiting = Waiting(targets, "https://x.example", pacing, patience_ends=120.0)
    assert (taken(waiting, 100.0), waiting.wait(100.0), len(waiting)) == (["fast1", "fast2"], 10.0, 2)
    assert (taken(waiting, 110.0), waiting.wait(110.0), len(waiting)) == (["slow1", "slow2"], None, 0)


def test_a_target_whose_key_waits_comes_later_and_others_of_its_host_meanwhile():
    pacing = Pacing(None)
    pacing.throttled("x.example", "env:K1", 100.0, 10.0)
    pacing.throttled("x.example", "env:K2", 100.0, 200.0)
    targets = [Target(f"n{number}", "", f"env:K{number}") for number in (1, 2, 3, 1)]
    waiting = Waiting(targets, "https://x.example", pacing, patience_ends=120.0)
    assert (taken(waiting, 100.0), waiting.wait(100.0), len(waiting)) == (["n3"], 10.0, 3)
    assert (taken(waiting, 110.0), waiting.wait(110.0), len(waiting)) == (["n1", "n1"], None, 1)


def test_a_host_that_asks_again_while_its_targets_are_parked_is_left_alone_for_longer():
    pacing = parked("x.example", seconds=10.0)
    waiting = Waiting(
        [Target(f"n{number}", "", f"env:K{number}") for number in (1, 2)], "https://x.example", pacing, 150.0
    )
    assert taken(waiting, 100.0) == []
    assert waiting.take(110.0)[0].id == "n1"
    pacing.throttled("x.example", "env:K1", 110.0, 10.0)
    assert (taken(waiting, 110.0), waiting.wait(110.0)) == ([], 10.0)
    assert taken(waiting, 120.0) == ["n2"]


def test_targets_whose_host_waits_longer_than_the_pass_are_left():
    pacing = parked("slow.example", seconds=30.0)
    waiting = Waiting([Target("a", "a", "env:K")], "https://slow.example", pacing, patience_ends=120.0)
    assert (waiting.take(100.0), waiting.wait(100.0), len(waiting)) == (None, None, 1)
