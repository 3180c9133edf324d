"""What goes wrong in alerting systems again and again. Each scenario is named after the failure that it rules out."""

import contextlib
from datetime import UTC, datetime, time, timedelta

import pytest

from tests.application.fakes import (
    PAYMENT,
    T0,
    Dying,
    FakeNotifier,
    KilledError,
    business,
    failing,
    phone,
    targets,
)
from wabawatch.adapters.notifiers.sns_payload import MAX_MESSAGE, build_bodies
from wabawatch.domain.health import Reason
from wabawatch.domain.heartbeat import HeartbeatRules, LastHeartbeatPing, next_heartbeat_ping
from wabawatch.domain.policy import Policy, Thresholds, Weekly
from wabawatch.domain.routing import Rules, Window
from wabawatch.domain.silence import Matcher, Silence
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError

DOWN = DeliveryError("HTTP 503")
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def blocked_between(stage, first, last, minutes=25):
    for minute in range(1, minutes):
        stage.says(phone("BLOCKED", PAYMENT) if first <= minute < last else phone())
        stage.cycle()


def the_state_is_stored_and_the_message_is_lost(stage):
    stage.ops.errors = [DOWN] * 3
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle(8)
    assert stage.ops.said == ["opened None>BLOCKED"]


def one_cause_is_hundreds_of_messages(stage):
    stage.fleet = targets(*(f"n{number}" for number in range(24)))
    stage.says(business())
    stage.cycle()
    stage.says(business("BLOCKED", PAYMENT))
    stage.cycle(3)
    assert [(one.kind, one.subject.affected_total) for one in stage.ops.taken] == [("opened", 24)]


def a_silence_eats_the_recovery(stage):
    stage.store.save_silence(Silence("s", Matcher(), "ana", "", T0 + timedelta(minutes=10), T0 + timedelta(minutes=20)))
    blocked_between(stage, 5, 12)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED", "resolved BLOCKED>AVAILABLE"]


def a_silence_eats_the_problem_that_outlives_it(stage):
    stage.store.save_silence(Silence("s", Matcher(), "ana", "", T0 + timedelta(minutes=10), T0 + timedelta(minutes=20)))
    blocked_between(stage, 12, 99)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED"]


def a_window_eats_the_recovery(stage):
    stage.ruled(windows=(Window("nightly", Weekly(EVERY_DAY, time(10, 10), time(10, 20), "UTC")),))
    blocked_between(stage, 5, 12)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED", "resolved BLOCKED>AVAILABLE"]


def a_window_eats_the_problem_that_outlives_it(stage):
    stage.ruled(windows=(Window("nightly", Weekly(EVERY_DAY, time(10, 10), time(10, 20), "UTC")),))
    blocked_between(stage, 12, 99)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED"]


def flap_muting_eats(stage, last):
    stage.policy = Policy(thresholds=Thresholds(available=1))
    stage.rules = Rules(stage.policy, version="2")
    for minute in range(12):
        stage.says(phone("BLOCKED", PAYMENT) if minute % 2 else phone())
        stage.cycle()
    stage.says(last)
    stage.cycle(12, minutes=10)
    kinds = [one.kind for one in stage.ops.taken]
    assert kinds.count("flapping") == kinds.count("flapping_ended") == 1
    return stage.ops.taken[-1].subject


def flap_muting_eats_the_recovery(stage):
    assert flap_muting_eats(stage, phone()).resolved_at is not None


def flap_muting_eats_the_problem_that_outlives_it(stage):
    assert flap_muting_eats(stage, phone("BLOCKED", PAYMENT)).new == "BLOCKED"


def a_restart_repeats_what_was_told(stage):
    stage.says(phone("BLOCKED", PAYMENT))
    stage.poll()
    with contextlib.suppress(KilledError):
        stage.notify(store=Dying(stage.store, "save_incidents", 2), complete=True, owner="killed")
    assert len(stage.ops.taken) == 1
    stage.clock.advance(minutes=3)
    stage.notify(complete=True)
    stage.cycle(5)
    assert len({one.id for one in stage.ops.taken}) == 1  # whoever counts ids counts one


def an_overlap_tells_twice(stage):
    stage.says(phone("BLOCKED", PAYMENT))
    stage.source.meanwhile = lambda: (setattr(stage.source, "meanwhile", lambda: None), stage.poll())
    stage.poll()
    stage.ops.refuses = lambda _: stage.notify(owner="another", complete=True).worked
    stage.notify(complete=True)
    assert stage.ops.said == ["opened None>BLOCKED"]


def one_failing_destination_stops_the_others(stage):
    stage.destinations = {"a": FakeNotifier(always=DOWN), "ops": FakeNotifier(), "z": FakeNotifier(always=DOWN)}
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED"]


def told_through_another(stage, error):
    dead = FakeNotifier(always=error)
    stage.destinations = {"dead": dead, "ops": FakeNotifier()}
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle(3)
    (trouble,) = [one.subject for one in stage.ops.taken if one.subject.entity_type == "DESTINATION"]
    assert trouble.entity_id == "dead"
    return dead


def the_failure_of_a_destination_is_told_through_itself(stage):
    dead = told_through_another(stage, DeliveryError("HTTP 404", DeliveryErrorKind.DESTINATION))
    assert not [one for one in dead.tried if one.subject.entity_type == "DESTINATION"]


def the_biggest_message_breaks_a_limit(stage):
    stage.fleet = targets(*(f"n{number}" + "x" * 50 for number in range(24)))
    stage.says(phone("BLOCKED", *(Reason(code, "العربية 🚨 " * 200, "do " * 900) for code in range(141000, 141030))))
    stage.cycle()
    (digest,) = stage.ops.taken
    assert digest.total == 24
    assert 0 < len(build_bodies(digest).encode()) <= MAX_MESSAGE


def a_recovery_is_announced_that_nobody_was_told_of(stage):
    stage.ops.always = DOWN
    blocked_between(stage, 2, 5, minutes=10)
    stage.ops.always = None
    stage.cycle(4, minutes=5)
    assert stage.ops.said == ["brief AVAILABLE>BLOCKED"]


def the_monitor_is_dead_and_nobody_is_told(stage):
    def heartbeat():
        found = next_heartbeat_ping(stage.store.coverages(), 1, LastHeartbeatPing(), timedelta(0), HeartbeatRules())
        return found and (found[0].run_id, found[0].kind)

    assert heartbeat() is None
    stage.cycle()
    assert heartbeat() == ("run1", "success")
    stage.source.unreached = {"n1"}
    stage.cycle()
    assert heartbeat() == ("run2", "fail")
    stage.source.unreached = set()
    stage.says(failing("timeout"))
    stage.cycle()
    assert heartbeat() == ("run3", "fail")


def a_secret_that_cannot_be_read_turns_a_destination_off_in_silence(stage):
    dead = told_through_another(stage, SecretError("env:SLACK is not set"))
    dead.always = None
    stage.cycle(6, minutes=10)
    assert [one.kind for one in dead.taken] == ["opened"]


def a_window_ignores_daylight_saving(stage, blocked_at, ends_at):
    stage.clock.at = blocked_at
    stage.ruled(windows=(Window("nightly", Weekly(EVERY_DAY, time(1, 30), time(3, 30), "Europe/Berlin")),))
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle(45)
    assert [one.at for one in stage.ops.taken] == [ends_at]


def a_window_ignores_the_change_to_summer(stage):
    night = datetime(2026, 3, 29, tzinfo=UTC)
    a_window_ignores_daylight_saving(stage, night + timedelta(minutes=50), night + timedelta(minutes=90))


def a_window_ignores_the_change_to_winter(stage):
    night = datetime(2026, 10, 25, tzinfo=UTC)
    a_window_ignores_daylight_saving(stage, night + timedelta(minutes=110), night + timedelta(minutes=150))


@pytest.mark.parametrize(
    "scenario",
    [
        the_state_is_stored_and_the_message_is_lost,
        one_cause_is_hundreds_of_messages,
        a_silence_eats_the_recovery,
        a_silence_eats_the_problem_that_outlives_it,
        a_window_eats_the_recovery,
        a_window_eats_the_problem_that_outlives_it,
        flap_muting_eats_the_recovery,
        flap_muting_eats_the_problem_that_outlives_it,
        a_restart_repeats_what_was_told,
        an_overlap_tells_twice,
        one_failing_destination_stops_the_others,
        the_failure_of_a_destination_is_told_through_itself,
        the_biggest_message_breaks_a_limit,
        a_recovery_is_announced_that_nobody_was_told_of,
        the_monitor_is_dead_and_nobody_is_told,
        a_secret_that_cannot_be_read_turns_a_destination_off_in_silence,
        a_window_ignores_the_change_to_summer,
        a_window_ignores_the_change_to_winter,
    ],
    ids=lambda one: one.__name__.replace("_", " "),
)
def test_what_goes_wrong_elsewhere_does_not_here(stage, scenario):
    scenario(stage)
