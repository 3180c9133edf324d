"""What was read and what was not: the coverage of shards and days, and whether the whole fleet is read."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from wabawatch.domain.coverage import (
    DayCoverage,
    LastReadings,
    PassReading,
    ShardCoverage,
    assess_completeness,
    incomplete_reason,
    oldest_first,
    update_coverage,
)
from wabawatch.domain.sharding import shard_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)


LONG = "shards 1, 2, 3, 4, 5 and 1 more of 8 (9 numbers) have not been read for 14 min"


def minutes(count):
    return timedelta(minutes=count)


def reading(at, shard=0, of=1, expected=10, took=1, **more):
    """A pass that began so many minutes after noon."""
    started = NOON + minutes(at)
    return PassReading(
        shard=shard, of=of, run_id=f"r{at}", started_at=started, finished_at=started + minutes(took), interval=FIVE,
        expected=expected, **more,
    )  # fmt: skip


def after(*readings):
    """The coverage after these passes over one shard."""
    rows = []
    for one in readings:
        row = update_coverage(one, rows).coverage
        rows = [row]
    return row


def row(shard=0, of=1, at=0, took=1, **more):
    started = NOON + minutes(at)
    return ShardCoverage(shard, of, f"r{at}", started, started + minutes(took), FIVE, 10, **more)


def judged(rows, at, shards=1, targets=10):
    return assess_completeness(rows, shards=shards, targets=targets, interval=FIVE, now=NOON + minutes(at))


class TestUnread:
    def test_a_target_that_fails_keeps_the_start_of_the_last_pass_that_read_it(self):
        found = after(reading(0), reading(5, unread=["a"]), reading(10, unread=["a", "b"]), reading(15, unread=["a"]))
        assert found.unread == {"a": NOON}

    def test_a_target_that_was_never_read_has_no_such_instant(self):
        found = after(reading(0, unread=["a"], new=["a"]), reading(5, unread=["a"], new=["a"]))
        assert found.unread == {"a": None}

    def test_a_new_target_was_not_read_by_the_passes_before_it(self):
        assert after(reading(0), reading(5, unread=["a"], new=["a"])).unread == {"a": None}

    def test_the_latest_readings_of_another_division_of_the_fleet_are_not_forgotten(self):
        before = [row(0, 2, at=0), row(1, 2, at=1)]
        target = next(name for name in map(str, range(100)) if shard_of(name, 2) == 1)
        found = update_coverage(reading(5, unread=[target]), before).coverage
        assert found.unread == {target: NOON + minutes(1)}

    def test_the_latest_pass_over_a_targets_shard_says_when_it_was_read(self):
        target = next(name for name in map(str, range(100)) if shard_of(name, 2) == 1)
        readings = LastReadings([row(at=0), row(0, 2, at=9), row(1, 2, at=7, unread={"x": None})])
        assert readings.last_read_at(target) == NOON + minutes(7)
        assert LastReadings([]).last_read_at(target) is None

    def test_a_pass_that_overlaps_a_later_one_does_not_replace_it(self):
        assert update_coverage(reading(0, took=10), [row(at=5)]).coverage is None

    def test_a_clock_that_was_set_back_does_not_stop_the_counting(self):
        assert update_coverage(reading(0), [row(at=60)]).coverage.started_at == NOON


class TestDays:
    def test_a_pass_stands_until_the_next_one(self):
        assert after(reading(0), reading(5), reading(11)).today == DayCoverage(NOON.date(), 0, 1, minutes(11))

    def test_a_pass_stands_for_two_intervals_at_most(self):
        assert after(reading(0), reading(60)).today.monitored == minutes(10)

    def test_one_missed_reading_is_no_gap_and_the_third_one_is(self):
        missed = [reading(at, unread=["a"]) for at in (5, 10, 15)]
        assert after(reading(0), missed[0], reading(10)).today.unread == {}
        assert after(reading(0), *missed, reading(20)).today.unread == {"a": minutes(10)}

    def test_the_day_of_a_new_target_begins_with_its_first_reading(self):
        found = after(reading(0), reading(5), reading(10, new=["a"]), reading(15))
        assert found.today.unread == {"a": minutes(10)}

    def test_a_target_that_was_never_read_was_not_monitored(self):
        found = after(reading(0), *(reading(at, unread=["a"], new=["a"]) for at in (5, 10)), reading(15))
        assert found.today.unread == {"a": found.today.monitored}

    def test_in_a_fleets_first_pass_no_target_is_late(self):
        assert after(reading(0, new=["a", "b"]), reading(5)).today.unread == {}

    def test_a_day_that_is_over_is_stored_with_what_belongs_to_it(self):
        late = 12 * 60 - 2
        before = after(reading(late, unread=["a"], new=["a"]))
        update = update_coverage(reading(late + 5), [before])
        gaps = {"a": minutes(2)}
        assert update.days == (DayCoverage(NOON.date(), 0, 1, minutes(2), gaps),)
        assert update.coverage.today == DayCoverage(date(2026, 3, 2), 0, 1, minutes(3), {"a": minutes(3)})

    def test_after_days_without_a_monitor_only_monitored_days_are_stored(self):
        update = update_coverage(reading(3 * 24 * 60), [after(reading(0))])
        assert [one.day for one in update.days] == [NOON.date()]
        assert update.coverage.today == DayCoverage(date(2026, 3, 4), 0, 1)

    def test_a_clock_that_is_set_back_over_midnight_loses_no_day(self):
        before = after(reading(13 * 60), reading(13 * 60 + 5))
        update = update_coverage(reading(0), [before])
        assert update.days == ()
        assert update.coverage.today == before.today


class TestDivisions:
    def test_rows_of_another_division_stay_until_every_shard_has_its_own(self):
        old = row(at=0, today=DayCoverage(NOON.date(), 0, 1, minutes(30)))
        first = update_coverage(reading(5, 0, 2), [old])
        assert first.obsolete == ()
        second = update_coverage(reading(6, 1, 2), [old, first.coverage])
        assert second.obsolete == (old,)
        assert second.days == (old.today,)

    def test_a_day_goes_on_where_a_division_comes_back(self):
        stored = DayCoverage(NOON.date(), 0, 1, minutes(30))
        assert update_coverage(reading(5), [row(0, 2)], resumed=stored).coverage.today.monitored == minutes(30)


class TestCompleteness:
    def test_a_fleet_is_complete_up_to_the_start_of_its_oldest_pass(self):
        found = judged([row(0, 2, at=0), row(1, 2, at=3)], at=6, shards=2)
        assert (found.complete_since, found.late) == (NOON, ())
        assert found.age(NOON + minutes(6)) == minutes(6)

    def test_a_shard_without_a_pass_for_more_than_two_intervals_is_late(self):
        rows = [row(0, 2, at=20), row(1, 2, at=0)]
        assert judged(rows, at=11, shards=2).late == ()
        found = judged(rows, at=12, shards=2)
        assert (found.late, found.numbers, found.late_since) == ((1,), 10, NOON)

    def test_a_shard_that_never_ran_is_late_though_the_others_go_on(self):
        rows = [row(0, 2, at=60, since=NOON)]
        found = judged(rows, at=61, shards=2, targets=20)
        assert (found.complete_since, found.late, found.numbers) == (None, (1,), 10)
        assert found.age(NOON + minutes(61)) == minutes(61)

    def test_a_division_of_which_no_shard_ever_ran_is_waited_for_since_the_old_one_ended(self):
        old = [row(0, 1, at=0)]
        assert judged(old, at=11, shards=2).late == ()
        assert judged(old, at=12, shards=2).late == (0, 1)

    def test_where_nothing_was_ever_read_nothing_is_known(self):
        found = judged([], at=60)
        assert (found.complete_since, found.late, found.age(NOON)) == (None, (), None)

    def test_targets_that_are_skipped_in_turn_are_no_trouble(self):
        found = after(reading(0), reading(5, unread=["a"], skipped=["a"]), reading(10, unread=["b"], skipped=["b"]))
        assert judged([found], at=11).late == ()
        assert judged([found], at=11).complete_since == NOON + minutes(5)

    def test_targets_that_are_skipped_in_every_pass_are_not_read(self):
        passes = (reading(at, unread=["a", "b"], skipped=["a", "b"]) for at in (5, 10, 15))
        found = judged([after(reading(0), *passes)], at=16)
        assert (found.late, found.numbers, found.late_since) == ((0,), 2, NOON)

    def test_targets_that_are_asked_and_fail_leave_the_fleet_complete(self):
        found = judged([after(reading(0), *(reading(at, unread=["a"]) for at in (5, 10, 15)))], at=16)
        assert (found.late, found.complete_since) == ((), NOON + minutes(15))

    @pytest.mark.parametrize(
        ("shards", "late", "numbers", "said"),
        [
            (32, (3, 7), 6250, "shards 3 and 7 of 32 (6,250 numbers) have not been read for 14 min"),
            (32, (3,), 3125, "shard 3 of 32 (3,125 numbers) has not been read for 14 min"),
            (8, (1, 2, 3, 4, 5, 6), 9, LONG),
            (1, (0,), 12, "12 numbers have not been read for 14 min"),
            (1, (0,), 1, "1 number has not been read for 14 min"),
        ],
    )  # fmt: skip
    def test_the_reason_says_which_part_of_the_fleet_is_not_read(self, shards, late, numbers, said):
        found = msgspec.structs.replace(judged([], at=0), shards=shards, late=late, numbers=numbers, late_since=NOON)
        reason = incomplete_reason(found, NOON + minutes(14))
        assert (reason.description, reason.detail) == ("incomplete", said)

    def test_where_nothing_is_late_there_is_no_reason(self):
        assert incomplete_reason(judged([row()], at=1), NOON) is None


def test_the_shard_that_was_read_longest_ago_goes_first():
    assert oldest_first([row(0, 3, at=5), row(2, 3, at=1), row(1, 2, at=0)], 3) == [1, 2, 0]


def test_where_every_run_reads_only_a_part_of_the_shards_no_shard_is_left_out():
    rows, reads = {}, Counter()
    for run in range(32):
        for place, shard in enumerate(oldest_first(list(rows.values()), 32)[:24]):
            rows[shard] = row(shard, 32, at=5 * run + place / 10)
            reads[shard] += 1
    assert set(reads.values()) == {24}
