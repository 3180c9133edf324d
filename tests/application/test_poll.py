from datetime import timedelta

import pytest

from tests.application.fakes import PAYMENT, T0, business, failing, phone, targets
from wabawatch.application.poll import Poll
from wabawatch.domain.health import Reason
from wabawatch.domain.incidents import MONITOR


def told(stage):
    """The transition log, oldest first: target, sequence number, old and new status."""
    log = sorted(stage.store.history(limit=1000), key=lambda one: (one.target, one.seq))
    return [(one.target, one.seq, one.old, one.new) for one in log]


def test_a_run_counts_what_it_did(stage):
    stage.fleet = targets(*"abcd")
    stage.says(phone(), phone("BLOCKED"), failing("timeout"), phone())
    stage.source.unreached = {"d"}
    run = stage.poll().run
    assert (run.expected, run.answered, run.unknown, run.skipped) == (4, 2, 1, 1)
    assert (run.causes, run.statuses) == ({"timeout": 1}, {"AVAILABLE": 1, "BLOCKED": 1, "UNKNOWN": 1})
    assert (run.transitions, run.writes, run.blind) == (1, 3, False)
    assert stage.store.runs(5) == [run]


def test_a_run_counts_the_numbers_that_gave_each_code(stage):
    stage.fleet = targets(*"abc")
    stage.says(phone("BLOCKED", PAYMENT, PAYMENT), phone("LIMITED", PAYMENT, Reason(141999)), phone())
    assert stage.poll().run.codes == {141006: 2, 141999: 1}
    assert stage.store.runs(1)[0].codes == {141006: 2, 141999: 1}


def test_skipped_targets_are_polled_first_next_time(stage):
    stage.fleet = targets(*"abcde")
    stage.source.unreached = {"c", "d", "e"}
    assert stage.poll().run.resume_at == "c"
    stage.source.unreached = set()
    stage.source.asked.clear()
    assert stage.poll().run.resume_at is None
    assert stage.source.asked == [*"cdeab"]
    stage.source.asked.clear()
    stage.poll()
    assert stage.source.asked == [*"abcde"]


def test_a_fleet_that_is_never_polled_whole_is_polled_in_turn(stage):
    stage.fleet = targets(*"abcde")
    for _ in range(5):
        asked = len(stage.source.asked)
        stage.poll_until(asked + 2)
    assert stage.source.asked == [*"abcdeabcde"]


def test_a_pass_that_stops_at_once_says_nothing_of_the_sight(stage):
    stage.source.unreached = {"n1"}
    run = stage.poll().run
    assert (run.skipped, run.writes) == (1, 0)


def test_two_polls_of_one_fleet_at_once_tell_no_transition_twice_and_lose_none(stage):
    stage.fleet = targets(*"abcdef")
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))

    def overlap():
        stage.source.meanwhile = lambda: None
        stage.poll()

    stage.source.meanwhile = overlap
    run = stage.poll().run
    assert run.conflicts == 6
    assert told(stage) == [(one, 1, "AVAILABLE", "BLOCKED") for one in "abcdef"]


def test_of_two_polls_the_older_observation_does_not_undo_the_newer_one(stage):
    stage.cycle()
    stage.says(phone("BLOCKED"))

    def overlap():
        stage.source.meanwhile = lambda: None
        stage.clock.advance(seconds=5)
        stage.says(phone("LIMITED"))
        stage.poll()

    stage.source.meanwhile = overlap
    stage.poll()
    assert told(stage) == [("n1", 1, "AVAILABLE", "LIMITED")]


def test_of_two_polls_the_newer_observation_is_not_lost_to_the_older_one(stage):
    stage.cycle()
    stage.says(phone("BLOCKED"))
    stage.clock.advance(minutes=1)

    def overlap():
        stage.source.meanwhile = lambda: None
        stage.clock.advance(seconds=-5)
        stage.says(phone("LIMITED"))
        stage.poll()

    stage.source.meanwhile = overlap
    stage.poll()
    assert told(stage) == [("n1", 1, "AVAILABLE", "LIMITED"), ("n1", 2, "LIMITED", "BLOCKED")]


@pytest.mark.parametrize("length", [timedelta(seconds=1), timedelta(hours=1), timedelta(days=400)], ids=str)
def test_after_the_clock_was_set_back_changes_are_seen_and_told_at_once(stage, length):
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.clock.at -= length
    stage.says(phone())
    stage.cycle(2)
    stage.says(phone("LIMITED"))
    stage.cycle(2)
    changes = [one for one in stage.ops.said if not one.startswith("reminder")]
    assert changes == ["opened None>BLOCKED", "resolved BLOCKED>AVAILABLE", "opened AVAILABLE>LIMITED"]
    assert len(stage.ops.said) <= len(changes) + 1
    assert [seq for _, seq, _, _ in told(stage)] == [1, 2, 3]


@pytest.mark.parametrize("length", [timedelta(hours=1), timedelta(days=400)], ids=str)
def test_what_waits_when_the_clock_is_set_back_does_not_wait_for_it_to_catch_up(stage, length):
    stage.says(phone("BLOCKED"))
    stage.poll()
    stage.notify()
    stage.clock.at -= length
    stage.notify()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_a_clock_that_jumps_forward_hides_nothing(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.clock.advance(days=400)
    stage.says(phone())
    stage.cycle(2)
    assert stage.ops.said[-1] == "resolved BLOCKED>AVAILABLE"


def test_a_removed_target_is_closed_though_another_poll_writes_at_the_same_time(local):
    local.says(phone("BLOCKED"))
    local.cycle()
    commit = local.store.commit

    def overtaken(changes):
        local.store.commit = commit
        local.clock.advance(seconds=1)
        local.says(phone("LIMITED"))
        local.poll()
        return commit(changes)

    local.store.commit = overtaken
    local.clock.advance(seconds=1)
    Poll(local.store, local.source, local.clock, local.policy).forget_all_but([])
    assert told(local)[-2:] == [("n1", 2, "BLOCKED", "LIMITED"), ("n1", 3, "LIMITED", "GONE")]
    assert local.store.snapshots(["n1"])["n1"].tracks == ()


def test_the_sight_of_shards_that_are_no_more_is_closed(stage):
    stage.fleet = targets(*"abc")
    stage.says(failing("timeout"))
    for shard in (0, 1):
        for _ in range(3):
            stage.clock.advance(minutes=1)
            stage.poll(shard=shard, of=2)
    stage.notify(complete=True)
    stage.says(phone())
    stage.clock.advance(minutes=1)
    stage.poll()
    Poll(stage.store, stage.source, stage.clock, stage.policy).forget_all_but([*"abc"], shards=1)
    stage.notify(complete=True)
    assert stage.ops.said == ["opened AVAILABLE>UNKNOWN", "resolved UNKNOWN>AVAILABLE"]
    assert stage.incidents()[0].entity_type == MONITOR


def test_a_removed_target_of_many_leaves_the_incident_of_the_others(stage):
    stage.fleet = targets(*"abc")
    stage.says(business("BLOCKED", PAYMENT))
    stage.cycle()
    stage.fleet = targets(*"ab")
    stage.says(business("BLOCKED", PAYMENT))
    stage.forget()
    stage.cycle(7)
    assert stage.ops.said == ["opened None>BLOCKED", "receded BLOCKED>BLOCKED"]
    assert stage.ops.taken[1].subject.affected_total == 2


def test_a_renamed_target_keeps_its_history(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.fleet = targets("n1")
    stage.forget()
    stage.cycle()
    assert [seq for _, seq, _, _ in told(stage)] == [1]


def test_nothing_changed_means_no_snapshot_is_written(local):
    local.fleet = targets(*"abcdef")
    local.says(phone(), phone("BLOCKED"), phone("LIMITED", PAYMENT), phone(), phone(), phone())
    local.cycle(2)
    local.store.writes.clear()
    for _ in range(5):
        local.clock.advance(minutes=1)
        local.poll()
    assert local.store.writes == []


def test_every_observation_that_changed_something_is_in_the_log(stage):
    stage.cycle(2)
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    assert [one.observed_at - T0 for one in stage.store.observations("n1")] == [
        timedelta(minutes=3),
        timedelta(minutes=1),
    ]
