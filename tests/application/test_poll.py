import gc
from datetime import UTC, datetime, timedelta

import pytest

from tests.application.fakes import PAYMENT, T0, business, failing, phone, targets
from tests.crash.killable_store import Fate, MortalStore
from wabawatch.application import commit_batch
from wabawatch.application.config_reload import FleetChanges
from wabawatch.application.poll import Poll, PollTask
from wabawatch.application.ports import Outcome
from wabawatch.domain.health import MESSAGING, Entity, Reason, Report
from wabawatch.domain.incident import MONITOR
from wabawatch.domain.policy import Policy
from wabawatch.domain.sharding import shard_of
from wabawatch.domain.snapshot import Snapshot
from wabawatch.errors import SchemaError, StoreError
from wabawatch.messages.message import render_title


def notified(stage):
    """The transition log, oldest first: target, sequence number, old and new status."""
    log = sorted(stage.store.history(limit=1000), key=lambda one: (one.target, one.seq))
    return [(one.target, one.seq, one.old, one.new) for one in log]


def passes(stage, times=1, **fields):
    """Passes, each a minute after the one before; the latest one's record."""
    for _ in range(times):
        stage.clock.advance(minutes=1)
        run = stage.poll(**fields).run
    return run


def coverage(stage):
    (row,) = stage.store.coverages()
    return row


class Wrapped:
    """A store of which some methods are replaced."""

    def __init__(self, store, **methods):
        self._store = store
        self.__dict__.update(methods)

    def __getattr__(self, name):
        return getattr(self._store, name)


def refusing(store, *names):
    """A store that refuses the state of these targets."""

    def commit(changes):
        kept = [one for one in changes if one.snapshot.target not in names]
        outcomes = iter(store.commit(kept))
        return [Outcome.REFUSED if one.snapshot.target in names else next(outcomes) for one in changes]

    return Wrapped(store, commit=commit)


def own_troubles(stage):
    """What the monitor said of itself: the entity, its new status, and the detail."""
    log = sorted(stage.store.history(limit=1000), key=lambda one: (one.target, one.seq))
    return [
        (one.entity_id, one.new, one.reasons[0].detail if one.reasons else "")
        for one in log
        if one.entity_type == MONITOR
    ]


def test_a_run_counts_what_it_did(stage):
    stage.fleet = targets(*"abcd")
    stage.says(phone(), phone("BLOCKED"), failing("timeout"), phone())
    stage.source.unreached = {"d"}
    run = stage.poll().run
    assert (run.expected, run.answered, run.unknown, run.skipped) == (4, 2, 1, 1)
    assert (run.causes, run.statuses) == ({"timeout": 1}, {"AVAILABLE": 1, "BLOCKED": 1, "UNKNOWN": 1})
    assert (run.transitions, run.writes, run.mass_failure) == (1, 3, False)
    assert (run.interval, run.refused) == (timedelta(minutes=5), 0)
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


def test_a_target_that_the_monitor_had_no_means_to_ask_is_skipped_with_its_cause(stage):
    stage.fleet = targets(*"abc")
    stage.source.readings = {"b": failing("key_not_fetched"), "c": failing("no_descriptors")}
    run = passes(stage, 5)
    assert (run.answered, run.unknown, run.skipped, run.resume_at, run.mass_failure) == (1, 0, 2, "b", False)
    assert run.causes == {"key_not_fetched": 1, "no_descriptors": 1}
    assert notified(stage) == []
    assert sorted(coverage(stage).skipped) == ["b", "c"]


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
    assert notified(stage) == [(one, 1, "AVAILABLE", "BLOCKED") for one in "abcdef"]


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
    assert notified(stage) == [("n1", 1, "AVAILABLE", "LIMITED")]


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
    assert notified(stage) == [("n1", 1, "AVAILABLE", "LIMITED"), ("n1", 2, "LIMITED", "BLOCKED")]


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
    assert [seq for _, seq, _, _ in notified(stage)] == [1, 2, 3]


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
    FleetChanges(local.store, local.clock, local.policy).close_all_but([])
    assert notified(local)[-2:] == [("n1", 2, "BLOCKED", "LIMITED"), ("n1", 3, "LIMITED", "GONE")]
    assert local.store.snapshots(["n1"])["n1"].states == ()


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
    FleetChanges(stage.store, stage.clock, stage.policy).close_all_but([*"abc"], shards=1)
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
    assert [seq for _, seq, _, _ in notified(stage)] == [1]


def test_nothing_changed_means_no_snapshot_is_written(local):
    local.fleet = targets(*"abcdef")
    local.says(phone(), phone("BLOCKED"), phone("LIMITED", PAYMENT), phone(), phone(), phone())
    local.cycle(2)
    fate = Fate()
    local.store = MortalStore(local.store, fate)
    for _ in range(5):
        local.clock.advance(minutes=1)
        local.poll()
    assert set(fate.names) == {"save_run", "save_coverage"}


def test_every_observation_that_changed_something_is_in_the_log(stage):
    stage.cycle(2)
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    assert [one.observed_at - T0 for one in stage.store.observations("n1")] == [
        timedelta(minutes=3),
        timedelta(minutes=1),
    ]


@pytest.fixture
def small_slices(monkeypatch):
    """Also few changes in one commit: moto's transactions are not thread-safe, and many share several."""
    monkeypatch.setattr(commit_batch, "_SLICE", 10)
    monkeypatch.setattr("wabawatch.application.commit_batch._FLUSH_AT", 8)


@pytest.mark.usefixtures("small_slices")
def test_of_a_large_fleet_only_a_few_snapshots_are_held_at_once(stage):
    stage.fleet = targets(*(f"n{place:03}" for place in range(200)))
    passes(stage)
    before = snapshots_held()
    held = []

    def heard(observation):
        if observation.target.endswith("9"):
            held.append(snapshots_held())

    Poll(stage.store, stage.source, stage.clock, stage.policy).run(PollTask("r", stage.fleet), on_observation=heard)
    assert len(held) == 20
    assert max(held) - before <= 40


def snapshots_held():
    return sum(isinstance(one, Snapshot) for one in gc.get_objects())


@pytest.mark.usefixtures("small_slices")
def test_a_snapshot_is_loaded_before_its_target_is_asked(stage):
    stage.fleet = targets(*(f"n{place:03}" for place in range(45)))
    loaded = set()
    asked_too_early = []

    def snapshots(wanted):
        loaded.update(wanted)
        return stage.store.snapshots(wanted)

    ask = stage.source.observe

    def observe(*given, **options):
        for observation in ask(*given, **options):
            asked_too_early.extend({observation.target} - loaded)
            yield observation

    stage.source.observe = observe
    run = stage.poll(store=Wrapped(stage.store, snapshots=snapshots)).run
    assert (run.answered, asked_too_early) == (45, [])


@pytest.mark.usefixtures("small_slices")
def test_answers_that_come_long_after_the_others_count_like_them(stage):
    stage.fleet = targets(*(f"n{place:03}" for place in range(100)))
    passes(stage)
    stage.says(phone("BLOCKED"))
    ask = stage.source.observe

    def late(*given, **options):
        answers = list(ask(*given, **options))
        return answers[25:] + answers[:25]

    stage.source.observe = late
    run = passes(stage)
    assert (run.transitions, run.refused, run.conflicts) == (100, 0, 0)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("reading", [phone("BLOCKED"), failing("disabled")], ids=["a report", "a failure"])
def test_an_answer_that_comes_late_does_not_undo_what_another_pass_saw_meanwhile(stage, reading):
    stage.fleet = targets(*(f"n{place:03}" for place in range(60)))
    passes(stage)
    stage.says(reading, *[phone()] * 59)
    ask = stage.source.observe

    def late(*given, **options):
        first, *others = ask(*given, **options)
        yield from others
        stage.source.observe = ask
        stage.clock.advance(seconds=5)
        stage.says(phone("LIMITED"), *[phone()] * 59)
        stage.poll()
        stage.clock.advance(seconds=5)
        yield first

    stage.source.observe = late
    passes(stage)
    assert notified(stage) == [("n000", 1, "AVAILABLE", "LIMITED")]


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize(("failed", "is_mass_failure"), [(40, False), (60, True)])
def test_whether_most_of_a_pass_failed_is_judged_over_all_slices(stage, failed, is_mass_failure):
    stage.fleet = targets(*(f"n{place:03}" for place in range(100)))
    stage.says(*[failing("timeout")] * failed, *[phone()] * (100 - failed))
    run = passes(stage, 3)
    assert run.mass_failure is is_mass_failure
    said = [entity for entity, *_ in own_troubles(stage)]
    assert said == (["readability"] if is_mass_failure else [])
    assert len(notified(stage)) == (1 if is_mass_failure else failed)


def test_what_the_store_refuses_is_left_out_and_the_rest_is_stored(stage):
    stage.fleet = targets(*"abc")
    passes(stage)
    stage.says(phone("BLOCKED"))
    run = passes(Stubborn(stage, "b"))
    assert (run.refused, run.transitions, run.expected, run.answered) == (1, 2, 3, 3)
    assert [target for target, *_ in notified(stage)] == ["a", "c"]
    assert (coverage(stage).unread, coverage(stage).skipped) == ({"b": T0 + timedelta(minutes=1)}, {})


def test_what_is_refused_in_every_pass_is_told_with_names_and_ends_once_it_is_stored(stage):
    stage.fleet = targets(*"abcdefgh")
    passes(stage)
    for status in ("BLOCKED", "LIMITED", "BLOCKED"):
        stage.says(phone(status))
        passes(Stubborn(stage, *"abcdefg"))
    told_once = ("state", "UNKNOWN", "the state of 7 targets (a, b, c, d, e and 2 more) could not be stored")
    assert own_troubles(stage) == [told_once]
    passes(stage)
    assert own_troubles(stage) == [told_once, ("state", "AVAILABLE", "")]


class Stubborn:
    """A stage whose store refuses the state of some targets."""

    def __init__(self, stage, *names):
        self.clock = stage.clock
        self._stage = stage
        self._names = names

    def poll(self, **fields):
        return self._stage.poll(store=refusing(self._stage.store, *self._names), **fields)


def test_where_the_store_fails_for_a_moment_the_rest_of_the_pass_is_kept_and_the_error_is_raised(stage, monkeypatch):
    monkeypatch.setattr("wabawatch.application.commit_batch._FLUSH_AT", 2)
    stage.fleet = targets(*"abcdef")
    passes(stage)
    stage.says(phone("BLOCKED"))
    calls = []

    def commit(changes):
        calls.append(changes)
        if len(calls) == 2:
            raise StoreError("throttled")
        return stage.store.commit(changes)

    stage.clock.advance(minutes=1)
    with pytest.raises(StoreError, match="throttled"):
        stage.poll(store=Wrapped(stage.store, commit=commit))
    assert [target for target, *_ in notified(stage)] == [*"abef"]
    assert sorted(coverage(stage).unread) == sorted(coverage(stage).skipped) == [*"cd"]
    (run,) = stage.store.runs(1)
    assert (run.refused, run.answered, run.transitions) == (2, 6, 4)
    passes(stage)
    assert [target for target, *_ in notified(stage)] == [*"abcdef"]


def test_a_change_that_lost_and_cannot_be_made_again_counts_as_not_stored(stage):
    stage.fleet = targets(*"ab")
    passes(stage)
    stage.says(phone("BLOCKED"))
    calls = []

    def snapshots(wanted):
        calls.append(wanted)
        if len(calls) > 2:
            raise StoreError("throttled")
        return stage.store.snapshots(wanted)

    def commit(changes):
        return [Outcome.CONFLICT] * len(changes)

    stage.clock.advance(minutes=1)
    with pytest.raises(StoreError, match="throttled"):
        stage.poll(store=Wrapped(stage.store, snapshots=snapshots, commit=commit))
    assert [*coverage(stage).unread] == [*"ab"]


def test_a_store_that_is_down_is_not_asked_for_every_target_and_nothing_more_is_probed(stage, monkeypatch):
    monkeypatch.setattr("wabawatch.application.commit_batch._FLUSH_AT", 1)
    stage.fleet = targets(*(f"n{place:03}" for place in range(50)))
    calls = []

    def commit(changes):
        calls.append(changes)
        raise StoreError("down")

    stage.clock.advance(minutes=1)
    with pytest.raises(StoreError, match="down"):
        stage.poll(store=Wrapped(stage.store, commit=commit))
    assert (len(calls), len(stage.source.asked)) == (3, 3)
    (run,) = stage.store.runs(1)
    assert (run.skipped, run.refused) == (47, 4)


def test_state_of_a_later_version_ends_the_pass_at_once(stage):
    def snapshots(_):
        raise SchemaError("written by a later version; upgrade")

    with pytest.raises(SchemaError, match="upgrade"):
        stage.poll(store=Wrapped(stage.store, snapshots=snapshots))
    assert stage.source.asked == []


def test_one_reading_that_cannot_be_worked_on_does_not_end_the_pass(stage, caplog):
    stage.fleet = targets(*"abc")
    stage.says(phone(), lambda _: Report((Entity("PHONE_NUMBER", "b", {MESSAGING: 7}, (None,)),)), phone())
    run = passes(stage)
    assert (run.answered, run.refused) == (3, 1)
    assert sorted(stage.store.snapshots([*"abc"])) == [*"ac"]
    assert "the reading of b cannot be used: " in caplog.text
    assert [*coverage(stage).unread] == ["b"]


def test_one_reading_that_cannot_be_folded_does_not_end_the_pass(local, monkeypatch):
    detect = commit_batch.detect

    def detect_with_a_bug(snapshot, *given):
        if snapshot.target == "b":
            raise ZeroDivisionError
        return detect(snapshot, *given)

    monkeypatch.setattr(commit_batch, "detect", detect_with_a_bug)
    local.fleet = targets(*"abc")
    assert passes(local).refused == 1
    assert sorted(local.store.snapshots([*"abc"])) == [*"ac"]
    assert [*coverage(local).unread] == ["b"]


def test_one_change_that_the_store_stumbles_over_does_not_end_the_pass(stage):
    stage.fleet = targets(*"abc")

    def commit(changes):
        if any(one.snapshot.target == "b" for one in changes):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return stage.store.commit(changes)

    stage.clock.advance(minutes=1)
    run = stage.poll(store=Wrapped(stage.store, commit=commit)).run
    assert run.refused == 1
    assert sorted(stage.store.snapshots([*"abc"])) == [*"ac"]


def reset(stage, *names):
    """A store in which the snapshots of these targets cannot be decoded."""

    def snapshots(wanted):
        found = stage.store.snapshots(wanted)
        damaged = {
            name: Snapshot(name, one.version, one.seq, is_reset=True) for name, one in found.items() if name in names
        }
        return found | damaged

    return Wrapped(stage.store, snapshots=snapshots)


def test_after_a_snapshot_was_lost_the_next_reading_tells_health_too(stage):
    stage.fleet = targets(*"ab")
    stage.says(phone("BLOCKED"))
    passes(stage)
    stage.says(phone())
    stage.clock.advance(minutes=1)
    stage.poll(store=reset(stage, "a"))
    assert ("a", 2, None, "AVAILABLE") in notified(stage)
    assert [seq for target, seq, *_ in notified(stage) if target == "b"] == [1]
    passes(stage, 3)
    assert [new for target, _, _, new in notified(stage) if target == "a"] == ["BLOCKED", "AVAILABLE", "AVAILABLE"]


def test_after_a_snapshot_was_lost_a_target_that_can_be_read_says_so_whatever_came_before(stage):
    stage.fleet = targets(*"ab")
    stage.says(failing("timeout"), phone())
    passes(stage, 3)
    assert notified(stage) == [("a", 1, "AVAILABLE", "UNKNOWN")]
    stage.clock.advance(minutes=1)
    stage.poll(store=reset(stage, "a"))
    stage.says(phone())
    passes(stage)
    told_of_a = [(one.capability, one.new) for one in stage.store.history("a")]
    assert ("health_status", "AVAILABLE") in told_of_a


@pytest.mark.parametrize("seconds", [-30, 0, 30], ids="the clock by {} s".format)
def test_a_removed_target_has_one_instant_for_its_row_and_its_transitions(stage, seconds):
    stage.fleet = targets(*"ab")
    stage.says(phone("BLOCKED"))
    passes(stage)
    stage.fleet = targets("b")
    stage.clock.advance(seconds=seconds)
    stage.forget()
    (gone,) = [one for one in stage.store.history("a") if one.new == "GONE"]
    rows = [one.observed_at for one in stage.store.observations("a")]
    assert rows[0] == gone.at
    assert len(set(rows)) == 2


def test_of_two_shards_that_end_at_the_same_time_one_completes_the_run(stage, monkeypatch):
    of_shards = [[one for one in targets(*"abcd") if shard_of(one.id, 2) == shard] for shard in (0, 1)]
    save = stage.store.save_coverage
    completed = []

    def poll(shard):
        done = Poll(stage.store, stage.source, stage.clock, stage.policy).run(
            PollTask("run", of_shards[shard], shard, 2)
        )
        completed.append(done.completes)

    def save_after_the_other_shard(row):
        monkeypatch.setattr(stage.store, "save_coverage", save)
        poll(1)
        save(row)

    monkeypatch.setattr(stage.store, "save_coverage", save_after_the_other_shard, raising=False)
    poll(0)
    assert completed == [False, True]


def test_a_target_that_left_and_came_back_is_read_though_the_clock_was_set_back_meanwhile(stage):
    fleet = stage.fleet = targets("a", "b")
    stage.cycle()
    stage.clock.advance(minutes=-90)
    stage.fleet = fleet[:1]
    stage.forget()
    stage.fleet = fleet
    stage.says(phone(), phone("BLOCKED"))
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_each_shard_tells_of_the_monitor_under_its_number_and_the_count(stage):
    stage.fleet = targets(*"abc")
    stage.says(failing("timeout"))
    passes(stage, 3, shard=1, of=2)
    assert [one.target for one in stage.store.history() if one.entity_type == MONITOR] == ["~shard-1-2"]


def test_a_shard_that_lost_all_its_targets_is_blind_no_more(stage):
    stage.fleet = targets(*"abc")
    stage.says(failing("timeout"))
    passes(stage, 3, shard=1, of=2)
    stage.fleet = []
    passes(stage, 3, shard=1, of=2)
    assert [one.new for one in stage.store.history() if one.entity_type == MONITOR] == ["AVAILABLE", "UNKNOWN"]


def test_what_another_division_of_the_fleet_said_of_the_monitor_is_closed(stage):
    stage.fleet = targets(*"abc")
    stage.says(failing("timeout"))
    for shard in (0, 1):
        passes(stage, 3, shard=shard, of=2)
    passes(stage, 3)
    FleetChanges(stage.store, stage.clock, stage.policy).close_all_but([*"abc"], shards=1)
    closed = sorted(one.target for one in stage.store.history() if one.new == "GONE")
    assert closed == ["~shard-0-2", "~shard-1-2"]


def test_a_pass_says_which_targets_it_did_not_read_and_since_when(stage):
    stage.fleet = targets(*"abcd")
    passes(stage)
    stage.says(phone(), failing("timeout"), phone(), phone())
    stage.source.unreached = {"c"}
    run = passes(stage)
    found = coverage(stage)
    first = T0 + timedelta(minutes=1)
    assert (found.run_id, found.started_at, found.expected) == (run.id, stage.clock.now(), 4)
    assert found.unread == {"b": first, "c": first}
    assert found.skipped == {"c": first}
    assert found.interval == timedelta(minutes=5)
    stage.fleet = targets(*"abcde")
    stage.source.unreached = {"c", "e"}
    passes(stage)
    assert coverage(stage).unread == {"b": first, "c": first, "e": None}
    assert coverage(stage).today.monitored == timedelta(minutes=2)
    assert coverage(stage).today.unread == {"e": timedelta(minutes=2)}


def test_while_most_of_the_fleet_cannot_be_read_it_is_known_since_when(stage):
    stage.fleet = targets(*"abcd")
    passes(stage)
    stage.says(failing("timeout"))
    assert passes(stage, 4).mass_failure
    assert coverage(stage).unread == dict.fromkeys("abcd", T0 + timedelta(minutes=1))


@pytest.mark.parametrize("method", ["save_day", "save_coverage"])
def test_a_day_is_stored_when_it_is_over_though_the_process_dies_in_between(stage, method):
    stage.clock.at = datetime(2026, 3, 2, 23, 56, tzinfo=UTC)
    passes(stage)
    stage.clock.advance(minutes=4)

    def dies(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.poll(store=Wrapped(stage.store, **{method: dies}))
    stage.clock.advance(minutes=1)
    stage.poll()
    day = datetime(2026, 3, 2, tzinfo=UTC).date()
    rows = stage.store.days(day, day + timedelta(days=2))
    assert [(one.day, one.monitored) for one in rows] == [(day, timedelta(minutes=3))]
    assert coverage(stage).today.monitored == timedelta(minutes=2)


def test_the_coverage_of_another_division_goes_once_every_shard_was_read_in_the_new_one(stage):
    stage.fleet = targets(*"abc")
    passes(stage)
    passes(stage, shard=0, of=2)
    assert [(one.shard, one.of) for one in stage.store.coverages()] == [(0, 1), (0, 2)]
    passes(stage, shard=1, of=2)
    assert [(one.shard, one.of) for one in stage.store.coverages()] == [(0, 2), (1, 2)]


def template_blocked(target):
    statuses = {MESSAGING: "AVAILABLE", "can_send_template": "BLOCKED"}
    return Report((Entity("PHONE_NUMBER", target, statuses, (PAYMENT,)),))


def restate(stage, *capabilities):
    stage.clock.advance(minutes=1)
    stage.policy = Policy(capabilities=capabilities)
    FleetChanges(stage.store, stage.clock, stage.policy).apply_capabilities("run-r")


def test_a_capability_that_is_added_while_it_is_blocked_is_told_once(stage):
    stage.fleet = targets(*"ab")
    stage.says(template_blocked, phone())
    restate(stage, MESSAGING)
    passes(stage)
    before = notified(stage)
    restate(stage, MESSAGING, "can_send_template")
    assert notified(stage) == [*before, ("a", 2, "BLOCKED", "BLOCKED")]
    (again, first) = stage.store.history("a")
    assert (again.capability, again.since, again.reasons) == ("can_send_template", first.since, (PAYMENT,))
    assert again.at == stage.store.observations("a")[0].observed_at
    restate(stage, MESSAGING, "can_send_template")
    assert len(notified(stage)) == 2
    passes(stage, 3)
    assert len(notified(stage)) == 2


def test_what_was_told_anew_reads_back_as_the_target_stands(stage):
    stage.says(template_blocked)
    restate(stage, MESSAGING)
    passes(stage)
    restate(stage, MESSAGING, "can_send_template")
    assert stage.store.observations("n1")[0].outcome == template_blocked("n1")


def test_a_capability_is_told_though_the_process_died_before_all_was_done(stage):
    stage.says(template_blocked)
    restate(stage, MESSAGING)
    passes(stage)

    def dies(*_):
        raise KeyboardInterrupt

    policy = Policy(capabilities=(MESSAGING, "can_send_template"))
    with pytest.raises(KeyboardInterrupt):
        FleetChanges(Wrapped(stage.store, commit=dies), stage.clock, policy).apply_capabilities("r")
    restate(stage, MESSAGING, "can_send_template")
    assert [new for _, _, _, new in notified(stage)] == ["BLOCKED", "BLOCKED"]


def explained_by_its_business(target):
    blocked = {"can_send_template": "BLOCKED"}
    return Report((Entity("PHONE_NUMBER", target, blocked), Entity("BUSINESS", "b", blocked, (PAYMENT,))))


def template_well(target):
    return Report((Entity("PHONE_NUMBER", target, {MESSAGING: "BLOCKED", "can_send_template": "AVAILABLE"}),))


def test_of_an_added_capability_only_causes_are_told_anew_and_no_health(stage):
    stage.fleet = targets(*"ab")
    stage.says(explained_by_its_business, template_well)
    restate(stage, MESSAGING)
    passes(stage)
    before = notified(stage)
    restate(stage, MESSAGING, "can_send_template")
    assert len(notified(stage)) == len(before) + 1
    assert stage.store.history("a")[0].entity_type == "BUSINESS"


def test_a_capability_that_is_taken_out_tells_nothing(stage):
    restate(stage, MESSAGING, "can_send_template")
    stage.says(template_blocked)
    passes(stage)
    before = notified(stage)
    restate(stage, MESSAGING)
    assert notified(stage) == before


def headlines(stage):
    return [render_title(one) for one in stage.ops.taken]


def test_a_capability_that_is_added_while_it_is_blocked_opens_an_incident(stage):
    stage.says(template_blocked)
    restate(stage, MESSAGING)
    stage.cycle(3)
    assert stage.ops.said == []
    restate(stage, MESSAGING, "can_send_template")
    stage.ruled(policy=stage.policy)
    stage.cycle(3)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED"]
    stage.says(phone())
    stage.cycle(3)
    assert stage.ops.said[-1].startswith("resolved")


def test_what_cannot_be_stored_is_told_to_people_until_it_can_be(stage):
    stage.fleet = targets(*"abc")
    stage.cycle()
    for _ in range(3):
        stage.clock.advance(minutes=1)
        stage.says(phone(), phone("BLOCKED"), phone())
        Stubborn(stage, "b").poll()
        stage.notify(complete=True)
    assert headlines(stage) == ["The state of some numbers cannot be stored"]
    assert stage.ops.taken[0].subject.reasons[0].reason.detail == "the state of 1 target (b) could not be stored"
    stage.says(phone())
    stage.cycle()
    assert headlines(stage)[1:] == ["The state of all numbers can be stored again, after 3 min"]


def test_an_incident_ends_though_the_snapshot_of_its_only_target_was_lost(stage):
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    stage.says(phone())
    stage.clock.advance(minutes=1)
    stage.poll(store=reset(stage, "n1"))
    stage.notify(complete=True)
    assert stage.ops.said == ["opened None>BLOCKED", "resolved BLOCKED>AVAILABLE"]
