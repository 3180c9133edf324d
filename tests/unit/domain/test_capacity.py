from datetime import timedelta

import pytest

from wabawatch.domain.capacity import USABLE, Workload, explain_overload, explain_slow_pass

MINUTE = timedelta(minutes=1)


def fleet(**more):
    fields = {"numbers": 100_000, "shards": 32, "polls": 5, "interval": 5 * MINUTE, **more}
    return Workload(**fields)


def test_a_fleet_that_does_not_fit_is_told_with_arithmetic_and_with_what_to_raise():
    assert explain_overload(fleet(concurrency=63)) == (
        "100,000 numbers in 32 shards, 5 at a time, take 7 rounds of 50 s = 350 s (if an answer takes 1 s, 63 at "
        "once); the interval is 300 s: raise PollConcurrency to 8 or PollEvery to 10m"
    )


def test_a_measured_time_is_taken_instead_of_an_assumed_one():
    said = explain_overload(fleet(shard_time=timedelta(seconds=61.2)))
    assert said == (
        "100,000 numbers in 32 shards, 5 at a time, take 7 rounds of 62 s = 429 s (as the latest run took); the "
        "interval is 300 s: raise PollConcurrency to 11 or PollEvery to 10m"
    )
    assert explain_overload(fleet(shard_time=timedelta(seconds=40))) == ""


@pytest.mark.parametrize(
    ("load", "advice"),
    [
        pytest.param(
            fleet(interval=MINUTE, concurrency=128),
            "raise PollConcurrency to 32 or PollEvery to 5m",
            id="one round fits",
        ),
        pytest.param(
            fleet(interval=MINUTE), "raise PollEvery to 10m or source.concurrency", id="one round leaves no slack"
        ),
        pytest.param(
            Workload(numbers=5000, shards=3, polls=3, interval=MINUTE, shard_time=MINUTE * 1.5),
            "raise PollEvery to 2m or source.concurrency",
            id="all shards run at once already",
        ),
        pytest.param(
            fleet(interval=60 * MINUTE, shard_time=MINUTE * 9), "raise PollConcurrency to 7", id="the longest interval"
        ),
        pytest.param(
            fleet(requests_per_second=20, shard_time=None),
            "a shard takes 157 s (at 20 requests a second), and a poll has 100 s: raise source.requests_per_second",
            id="a rate that no invocation can keep",
        ),
        pytest.param(
            fleet(concurrency=10),
            "a shard takes 313 s (if an answer takes 1 s, 10 at once), and a poll has 100 s: raise source.concurrency",
            id="a concurrency that no invocation can do with",
        ),
    ],
)
def test_what_to_raise(load, advice):
    assert explain_overload(load).endswith(advice)


def test_following_the_advice_makes_it_fit():
    load = fleet(concurrency=63)
    assert explain_overload(fleet(concurrency=63, polls=8)) == ""
    assert explain_overload(fleet(concurrency=63, interval=10 * MINUTE)) == ""
    assert load.seconds > load.interval.total_seconds()


@pytest.mark.parametrize("numbers", [1, 1000, 2000, 6000])
def test_a_fleet_that_fits_is_not_mentioned(numbers):
    assert explain_overload(Workload(numbers=numbers, interval=5 * MINUTE, shards=-(-numbers // 2000), polls=5)) == ""


def test_one_process_reads_the_whole_fleet():
    load = Workload(numbers=100_000, interval=5 * MINUTE)
    assert explain_slow_pass(load) == (
        "100,000 numbers take 1,563 s (if an answer takes 1 s, 64 at once); at an interval of 300 s each pass begins "
        "late: raise source.concurrency or the interval"
    )
    assert explain_slow_pass(Workload(numbers=100_000, interval=5 * MINUTE, concurrency=512)) == ""
    assert USABLE < 5 * MINUTE
