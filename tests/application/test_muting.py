"""Suppression never eats anything: silences, windows, hours and acknowledgements in the way of what happens."""

from datetime import UTC, datetime, time, timedelta

import msgspec
import pytest

from tests.application.fakes import PAYMENT, T0, FakeNotifier, business, phone, targets
from wabawatch.domain.policy import Policy, Thresholds, Weekly
from wabawatch.domain.routing import Route, Window
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence
from wabawatch.errors import DeliveryError


@pytest.fixture
def stage(local):
    """On one store: mutes are decided from what is stored, and how that is stored is the contract suite's matter."""
    return local


EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def silence(stage, start, end, **matcher):
    """From minute to minute after T0."""
    given = (T0 + timedelta(minutes=start), T0 + timedelta(minutes=end))
    stage.store.save_silence(Silence(f"s{start}", Matcher(**matcher), "ana", "planned work", *given))


def story(stage, bad, well, end=40):
    """A block from minute `bad` until it recovers in minute `well` (when it is seen; confirmed one later)."""
    for minute in range(1, end):
        stage.says(phone("BLOCKED", PAYMENT) if bad <= minute < well else phone())
        stage.cycle()


@pytest.mark.parametrize(
    ("mute", "block", "said"),
    [
        pytest.param(
            (10, 20), (5, 12), [(5, "opened"), (20, "resolved")], id="a recovery in a silence is told after it"
        ),
        pytest.param(
            (10, 20),
            (12, 30),
            [(20, "opened"), (31, "resolved")],
            id="a problem that outlives a silence is told after it",
        ),
        pytest.param((10, 20), (12, 15), [], id="a problem that comes and goes within a silence is never told"),
        pytest.param(
            (10, 20), (5, 30), [(5, "opened"), (31, "resolved")], id="a silence within a problem changes nothing"
        ),
        pytest.param((10, 20), (12, 19), [(20, "brief")], id="a problem that ends with the silence came and went"),
    ],
)
def test_a_silence(stage, mute, block, said):
    silence(stage, *mute)
    story(stage, *block)
    assert [(int((one.at - T0).total_seconds() / 60), one.kind) for one in stage.ops.taken] == said


def test_what_was_muted_throughout_can_be_explained_and_is_never_told_later(stage):
    silence(stage, 10, 20)
    story(stage, 12, 15)
    (muted,) = stage.incidents()
    assert [one.decision.why for one in stage.explain(muted)] == ["muted_throughout"]
    stage.store.save_silence(Silence("s10", Matcher(), "ana", "", T0, T0))  # forgotten with the years
    stage.ruled()
    stage.clock.advance(days=400)
    stage.says(phone("BLOCKED"))
    stage.cycle(2)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED"]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        pytest.param((10, 20), (15, 30), [(30, "opened")], id="one after the other"),
        pytest.param((10, 30), (15, 20), [(30, "opened")], id="one within the other"),
        pytest.param((10, 20), (20, 30), [(30, "opened")], id="without a gap"),
        pytest.param((10, 20), (22, 30), [(20, "opened")], id="with a gap"),
    ],
)
def test_overlapping_silences_hold_until_the_last_one_ends(stage, first, second, said):
    silence(stage, *first)
    silence(stage, *second)
    story(stage, 12, 100)
    assert [(int((one.at - T0).total_seconds() / 60), one.kind) for one in stage.ops.taken] == said


def two_nights(stage, status, hours=None):
    """A problem from one night's maintenance window to the next night's, and what is told of it in the days after."""
    night = Window("nightly import", Weekly(EVERY_DAY, time(2), time(3), "UTC"))
    stage.clock.at = datetime(2026, 3, 7, 2, 0, tzinfo=UTC)  # a Saturday
    stage.ruled(windows=(night,), routes=(Route(("ops",), hours=hours),))
    stage.cycle()
    stage.says(phone(status, PAYMENT))
    stage.cycle(48, minutes=30)
    stage.says(phone())
    stage.cycle(2)
    stage.ops.always = None
    stage.cycle(80, minutes=60)
    return [(one.kind, one.subject.duration(one.at)) for one in stage.ops.taken]


def test_what_began_and_ended_in_windows_with_a_day_between_them_is_told_when_working_hours_begin(stage):
    office = Weekly(("mon", "tue", "wed", "thu", "fri"), time(9), time(17), "UTC")
    ((kind, length),) = two_nights(stage, "LIMITED", office)
    assert (kind, length > timedelta(hours=23)) == ("brief", True)


def test_what_began_and_ended_in_windows_is_told_to_a_destination_that_was_down_in_between(stage):
    stage.ops.always = DeliveryError("HTTP 503")
    ((kind, length),) = two_nights(stage, "BLOCKED")
    assert (kind, length > timedelta(hours=23)) == ("brief", True)


def test_a_silence_that_is_ended_early_is_over_at_once(stage):
    silence(stage, 1, 500)
    stage.says(phone("BLOCKED"))
    stage.cycle(5)
    assert stage.ops.said == []
    stage.store.save_silence(Silence("s1", Matcher(), "ana", "done", T0, stage.clock.now()))
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_a_silence_of_one_number_never_mutes_the_business_it_shares(stage):
    stage.fleet = targets(*"abc")
    silence(stage, 0, 100, target=("a",))
    stage.says(business("BLOCKED", PAYMENT))
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_a_silence_of_limited_ends_when_it_gets_worse(stage):
    silence(stage, 0, 100, status=("LIMITED",))
    stage.says(phone("LIMITED"))
    stage.cycle(3)
    assert stage.ops.said == []
    stage.says(phone("BLOCKED"))
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_a_problem_that_could_not_be_delivered_and_ends_in_a_silence_is_told_after_it(stage):
    stage.ops.always = DeliveryError("HTTP 503")
    silence(stage, 10, 20)
    for minute in range(1, 40):
        stage.says(phone("BLOCKED") if 5 <= minute < 12 else phone())
        stage.ops.always = stage.ops.always if minute < 15 else None
        stage.cycle()
    assert [(int((one.at - T0).total_seconds() / 60), one.kind) for one in stage.ops.taken] == [(20, "brief")]


def test_a_maintenance_window_holds_the_news_and_lets_it_go(stage):
    window = Window("nightly", Weekly(EVERY_DAY, time(10, 5), time(10, 15), "UTC"))
    stage.ruled(windows=(window,))
    story(stage, 7, 100, end=20)
    assert [(one.at - T0, one.kind) for one in stage.ops.taken] == [(timedelta(minutes=15), "opened")]


def test_what_can_wait_waits_for_working_hours_and_a_block_does_not(stage):
    office = Weekly(EVERY_DAY, time(10, 30), time(17, 0), "UTC")
    stage.fleet = targets("a", "b")
    stage.ruled(routes=(Route(("ops",), hours=office),))
    stage.says(phone("LIMITED"), phone("BLOCKED"))
    stage.cycle(35)
    assert [(one.at - T0, one.subject.new) for one in stage.ops.taken] == [
        (timedelta(minutes=1), "BLOCKED"),
        (timedelta(minutes=30), "LIMITED"),
    ]


def test_what_came_and_went_outside_working_hours_is_told_when_they_begin(stage):
    office = Weekly(EVERY_DAY, time(10, 30), time(17, 0), "UTC")
    stage.ruled(routes=(Route(("ops",), hours=office),))
    stage.says(phone("LIMITED"))
    stage.cycle(3)
    stage.says(phone())
    stage.cycle(40)
    assert [(one.at - T0, one.kind) for one in stage.ops.taken] == [(timedelta(minutes=30), "brief")]


def acknowledge(stage, **fields):
    (incident,) = [one for one in stage.incidents() if one.is_open]
    given = Acknowledgement(incident.id, "ana", stage.clock.now(), incident.status)
    stage.store.save_acknowledgement(msgspec.structs.replace(given, **fields))


def test_reminders_grow_rarer(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle(60, minutes=60)
    assert [one.at - stage.ops.taken[0].at for one in stage.ops.taken] == [
        timedelta(hours=hours) for hours in (0, 1, 5, 29, 53)
    ]


def test_an_acknowledgement_stops_reminders_until_its_time_is_over(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle()
    acknowledge(stage, until=stage.clock.now() + timedelta(hours=10))
    stage.cycle(12, minutes=60)
    assert [(one.kind, one.at - stage.ops.taken[0].at) for one in stage.ops.taken[1:]] == [
        ("reminder", timedelta(hours=10))
    ]


def test_an_acknowledgement_ends_when_it_gets_worse_and_does_not_come_back_with_the_easing(stage):
    stage.says(phone("LIMITED"))
    stage.cycle()
    acknowledge(stage)
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.says(phone("LIMITED"))
    stage.cycle()
    assert stage.ops.said == ["opened None>LIMITED", "escalated LIMITED>BLOCKED", "eased BLOCKED>LIMITED"]
    stage.cycle(8, minutes=24 * 60)
    assert stage.ops.said[3:] == ["reminder LIMITED>LIMITED"]


def test_an_acknowledgement_ends_with_its_incident(stage):
    stage.says(phone("BLOCKED"))
    stage.cycle()
    acknowledge(stage)
    stage.says(phone())
    stage.cycle(3)
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.cycle(2, minutes=60)
    assert stage.ops.said[-1] == "reminder BLOCKED>BLOCKED"


def test_a_route_that_is_taken_away_still_hears_the_end_of_what_it_was_told(stage):
    stage.destinations["other"] = FakeNotifier()
    stage.says(phone("BLOCKED"))
    stage.cycle()
    stage.ruled(routes=(Route(("other",)),))
    stage.fleet = targets("n1", "n2")
    stage.says(phone("BLOCKED"), phone("BLOCKED"))
    stage.cycle(70)
    stage.says(phone())
    stage.cycle(3)
    assert stage.ops.said == ["opened None>BLOCKED", "resolved BLOCKED>AVAILABLE"]
    assert [one.subject.entity_id for one in stage.ops.taken] == ["n1", "n1"]


def test_one_of_many_that_comes_and_goes_in_every_pass_is_no_storm(local):
    local.policy = Policy(thresholds=Thresholds(available=1))
    local.fleet, bad = targets(*(f"n{number}" for number in range(200))), business("BLOCKED", PAYMENT)
    local.ruled(policy=local.policy)
    for number in range(24 * 12):
        local.says(*[bad] * 199, business() if number % 2 else bad)
        local.cycle(minutes=5)
    assert [one.kind for one in local.ops.taken] == ["opened", "reminder", "reminder"]
    local.says(business())
    local.cycle(2)
    assert local.ops.taken[-1].kind == "resolved"


def test_one_of_three_that_comes_and_goes_is_told_some_times_and_then_with_the_reminders(stage):
    stage.policy = Policy(thresholds=Thresholds(available=1))
    stage.fleet = targets("n1", "n2", "n3")
    stage.ruled(policy=stage.policy)
    bad = business("LIMITED", PAYMENT)
    for number in range(60):
        stage.says(bad, bad, business() if number % 2 else bad)
        stage.cycle(minutes=5)
    stage.says(bad, bad, business())
    before = len(stage.ops.taken)
    assert before <= 6
    stage.cycle(14, minutes=5)
    assert len(stage.ops.taken) <= before + 1
    assert stage.ops.taken[-1].subject.affected_total == 2


def test_an_outage_that_grows_is_told_promptly_and_with_its_size(stage):
    stage.fleet = targets(*(f"n{number}" for number in range(40)))
    bad, sizes = business("BLOCKED", PAYMENT), [1, 2, 3, 10, 11, 12, 20, 40]
    for size in sizes:
        stage.says(*[bad] * size, *[business()] * (40 - size))
        stage.cycle(minutes=6)
    assert [one.subject.affected_total for one in stage.ops.taken] == [1, 2, 3, 10, 20, 40]
    assert {one.kind for one in stage.ops.taken[1:]} == {"spread"}


def flap(stage, times):
    for _ in range(times):
        stage.says(phone("BLOCKED"))
        stage.cycle(2)
        stage.says(phone())
        stage.cycle(2)


def test_flapping_is_told_once_when_it_starts_and_once_when_it_ends(stage):
    flap(stage, 12)
    stage.cycle(90)
    assert stage.ops.said[:4] == [
        "opened None>BLOCKED",
        "resolved BLOCKED>AVAILABLE",
        "opened AVAILABLE>BLOCKED",
        "resolved BLOCKED>AVAILABLE",
    ]
    assert [one.split()[0] for one in stage.ops.said[4:]] == ["flapping", "flapping_ended"]
    assert stage.ops.taken[-1].subject.new == "AVAILABLE"


def test_what_settles_bad_after_flapping_is_told_as_it_is(stage):
    flap(stage, 6)
    stage.says(phone("BLOCKED"))
    stage.cycle(90)
    assert stage.ops.taken[-1].kind in {"flapping_ended", "reminder"}
    assert stage.ops.taken[-1].subject.new == "BLOCKED"
    ended = [one for one in stage.ops.taken if one.kind == "flapping_ended"]
    assert [one.subject.new for one in ended] == ["BLOCKED"]
