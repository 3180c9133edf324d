from datetime import timedelta

import msgspec
import pytest

from tests.unit.domain.builders import PAYMENT, VERIFICATION, minute, moved
from tests.unit.domain.incidents import folded, involved
from wabawatch.domain.correlation import UNWATCHED, end_flapping, fold, monitor_transition
from wabawatch.domain.health import CALLING, READABLE, Reason
from wabawatch.domain.incident import INLINE_MEMBERS, Key, Member
from wabawatch.domain.policy import Flapping, Policy

POLICY = Policy()


def test_forty_targets_of_one_business_are_one_incident_of_forty():
    incident = folded(*(moved(f"n{n}", 1, "A", "B", reasons=(PAYMENT,)) for n in range(40)))
    assert (incident.status, incident.affected, incident.key) == (
        "BLOCKED",
        40,
        ("BUSINESS", "b", "can_send_message"),
    )
    assert len({one.id for one in [incident, folded(moved("n0", 1, "A", "B"))]}) == 1


def test_late_joiners_and_early_leavers_change_the_same_incident():
    incident = folded(
        moved("a", 1, "A", "B"), moved("b", 1, "A", "B", 5), moved("a", 2, "B", "A", 9), moved("c", 1, "A", "L", 11)
    )
    assert (sorted(involved(incident)), incident.recovered, incident.status) == (["b", "c"], 1, "BLOCKED")
    assert [(one.status, one.affected) for one in incident.changes] == [
        ("BLOCKED", 1), ("BLOCKED", 2), ("BLOCKED", 1), ("BLOCKED", 2),
    ]  # fmt: skip
    assert incident.revision == 4


def test_who_left_and_joins_again_is_affected_and_has_not_left():
    incident = folded(
        moved("a", 1, "A", "B"), moved("b", 1, "A", "B"), moved("a", 2, "B", "A", 1), moved("a", 3, "A", "B", 2)
    )
    assert (sorted(involved(incident)), incident.recovered) == (["a", "b"], 0)


@pytest.mark.parametrize(
    ("transitions", "status"),
    [
        pytest.param([moved("a", 1, "A", "L"), moved("b", 1, "A", "B")], "BLOCKED", id="a worse member joins"),
        pytest.param([moved("a", 1, "A", "B"), moved("b", 1, "A", "L")], "BLOCKED", id="a better member joins"),
        pytest.param(
            [moved("a", 1, "A", "B"), moved("b", 1, "A", "L"), moved("a", 2, "B", "A")],
            "LIMITED",
            id="the worst member leaves",
        ),
        pytest.param(
            [moved("a", 1, "A", "B"), moved("b", 1, "A", "B"), moved("a", 2, "B", "A")],
            "BLOCKED",
            id="one of the worst leaves",
        ),
        pytest.param([moved("a", 1, "A", "B"), moved("a", 2, "B", "L")], "LIMITED", id="the only member eases"),
        pytest.param([moved("a", 1, "A", "L"), moved("a", 2, "L", "B")], "BLOCKED", id="the only member gets worse"),
        pytest.param([moved("a", 1, "A", "B"), moved("a", 2, "B", "A")], "AVAILABLE", id="the only member leaves"),
    ],
)
def test_an_incident_is_as_bad_as_its_worst_member(transitions, status):
    assert folded(*transitions).status == status


@pytest.mark.parametrize(
    ("transition", "resolution"),
    [
        pytest.param(moved("a", 2, "B", "A", 60), "recovered", id="recovered"),
        pytest.param(moved("a", 2, "B", "GONE", 60), "gone", id="no longer reported"),
        pytest.param(moved("a", 2, "B", "GONE", 60, run_id=UNWATCHED), "unwatched", id="no longer watched"),
    ],
)
def test_an_incident_ends_and_says_how(transition, resolution):
    incident = folded(moved("a", 1, "A", "B"), transition)
    assert (incident.resolution, incident.resolved_at, incident.notified_status) == (
        resolution,
        minute(60),
        "AVAILABLE",
    )


def test_it_lasts_from_the_first_observation_to_the_confirmed_recovery():
    incident = folded(moved("a", 1, "A", "B", 10, since=minute(8)), moved("a", 2, "B", "A", 20))
    assert (incident.opened_at, incident.confirmed_at, incident.resolved_at) == (minute(8), minute(10), minute(20))


def test_it_never_ends_before_it_began():
    incident = folded(moved("a", 1, "A", "B", 60), moved("a", 2, "B", "A", 0))
    assert incident.resolved_at == incident.opened_at


@pytest.mark.parametrize(
    ("transition", "opens"),
    [
        pytest.param(moved("a", 1, "A", "B"), True, id="messaging blocked"),
        pytest.param(moved("a", 1, None, "L"), True, id="found limited"),
        pytest.param(moved("a", 1, "A", "P"), True, id="a word nobody knows"),
        pytest.param(moved("a", 1, "A", "UNKNOWN", capability=READABLE), True, id="cannot be read"),
        pytest.param(
            moved("a", 1, "A", "B", capability=CALLING, was_available=True), True, id="calling that worked once"
        ),
        pytest.param(moved("a", 1, None, "B", capability=CALLING), False, id="calling that never worked"),
        pytest.param(moved("a", 1, "A", "B", capability="can_fly"), False, id="a capability that nobody asked for"),
        pytest.param(moved("a", 1, "A", "B", caused_by="WABA w"), False, id="a symptom of something else"),
        pytest.param(moved("a", 1, "B", "A"), False, id="health"),
        pytest.param(moved("a", 1, "A", "A", reasons=(PAYMENT,)), False, id="a reason on what is well"),
        pytest.param(moved("a", 1, "A", "GONE"), False, id="what is gone and was well"),
    ],
)
def test_what_opens_an_incident(transition, opens):
    assert (folded(transition) is not None) is opens


def test_calling_is_loud_where_the_configuration_asks_for_it():
    policy = Policy(capabilities=("can_send_message", CALLING))
    assert folded(moved("a", 1, None, "B", capability=CALLING), policy=policy) is not None


def test_a_symptom_whose_cause_has_gone_becomes_an_incident_of_its_own():
    incident = folded(moved("a", 1, "A", "B", caused_by="WABA w"), moved("a", 2, "B", "B", 30))
    assert (incident.status, incident.opened_at) == ("BLOCKED", minute(30))


def test_other_reasons_are_a_new_revision_and_the_same_reasons_are_none():
    first = folded(moved("a", 1, "A", "B", reasons=(PAYMENT,)))
    reworded = folded(moved("a", 2, "B", "B", 1, reasons=(Reason(141006, "Zahlung fehlt"),)), latest=first)
    other = folded(moved("a", 3, "B", "B", 2, reasons=(PAYMENT, VERIFICATION)), latest=reworded)
    assert (first.revision, reworded.revision, other.revision) == (1, 1, 2)


def test_the_next_problem_is_another_incident_of_the_next_generation():
    first = folded(moved("a", 1, "A", "B"), moved("a", 2, "B", "A", 5))
    second = folded(moved("a", 3, "A", "B", 90), latest=first)
    assert second.id != first.id
    assert (first.generation, second.generation, second.revision, second.notification_log) == (1, 2, 1, {})


def test_the_generation_counts_on_where_the_latest_incident_is_not_stored_any_more():
    assert fold(None, None, moved("a", 9, "A", "B"), POLICY, generation=7).incident.generation == 8


def test_a_later_incident_may_have_begun_earlier():
    first = folded(moved("a", 1, "A", "B", 60), moved("a", 2, "B", "A", 70))
    second = folded(moved("b", 1, "A", "B", 71, since=minute(50)), latest=first)
    assert (second.generation, second.opened_at < first.opened_at, second.is_open) == (2, True, True)


def flapping(times, *, every=2, policy=POLICY):
    transitions = []
    for n in range(times):
        old, new = ("A", "B") if n % 2 == 0 else ("B", "A")
        transitions.append(moved("a", n + 1, old, new, n * every))
    return folded(*transitions, policy=policy)


@pytest.mark.parametrize(
    ("times", "every", "flaps"),
    [
        pytest.param(4, 2, False, id="four changes in an hour"),
        pytest.param(5, 2, True, id="five changes in an hour"),
        pytest.param(9, 20, False, id="many changes, hours apart"),
    ],
)
def test_many_changes_in_a_short_time_are_flapping(times, every, flaps):
    assert (flapping(times, every=every).flapping_since is not None) is flaps


def test_while_it_flaps_it_stays_one_incident_and_keeps_what_was_told():
    incident = flapping(6)
    notified = msgspec.structs.replace(incident, notification_log={"ops": "kept"})
    again = folded(moved("a", 7, "A", "B", 13), latest=notified)
    assert (again.id, again.notification_log, again.is_open, again.resolved_at) == (
        incident.id,
        {"ops": "kept"},
        True,
        None,
    )


def test_flapping_ends_when_few_changes_are_left_not_when_they_fall_below_the_start():
    incident = flapping(6)
    assert end_flapping(incident, minute(10) + timedelta(minutes=55), POLICY.flapping) is incident
    calm = end_flapping(incident, minute(10) + timedelta(minutes=61), POLICY.flapping)
    assert (calm.flapping_since, calm.revision) == (None, incident.revision + 1)


def test_after_it_has_settled_the_next_problem_is_another_incident():
    calm = end_flapping(flapping(6), minute(120), POLICY.flapping)
    assert folded(moved("a", 7, "A", "B", 121), latest=calm).id != calm.id


def test_members_that_come_and_go_are_no_flapping():
    steady = folded(moved("a", 1, "A", "B"), *(moved("b", n, "A", "B" if n % 2 else "A", n) for n in range(1, 20)))
    assert steady.flapping_since is None


def test_flapping_can_be_set_by_the_policy():
    assert flapping(3, policy=Policy(flapping=Flapping(high=3))).flapping_since is not None


KEY = Key("MONITOR", "configuration", "working")
TROUBLE = Reason(description="configuration", detail="line 3")


def test_a_trouble_of_the_monitor_is_said_once_and_ends_once():
    opened = folded(monitor_transition(None, KEY, TROUBLE, minute(0)))
    assert monitor_transition(opened, KEY, TROUBLE, minute(1)) is None
    closed = folded(monitor_transition(opened, KEY, None, minute(2)), latest=opened)
    assert (opened.status, closed.resolution) == ("UNKNOWN", "recovered")
    assert monitor_transition(closed, KEY, None, minute(3)) is None
    assert folded(monitor_transition(closed, KEY, TROUBLE, minute(90)), latest=closed).id != opened.id


def test_a_monitor_that_is_well_says_nothing():
    assert monitor_transition(None, KEY, None, minute(0)) is None


def test_a_large_incident_keeps_a_story_of_bounded_length():
    incident = folded(*(moved(f"n{n}", 1, "A", "B", n) for n in range(200)))
    assert (len(incident.changes), incident.affected, len(incident.named)) == (50, 200, INLINE_MEMBERS)


def test_who_joins_within_a_minute_is_one_point_of_the_story():
    joining = [moved(f"n{n}", 1, "A", "B", n / 600) for n in range(500)]
    incident = folded(*joining)
    assert [(one.status, one.affected) for one in incident.changes] == [("BLOCKED", 500)]


@pytest.mark.parametrize("size", [1, INLINE_MEMBERS, INLINE_MEMBERS + 1, 300])
def test_an_incident_counts_who_joins_and_who_leaves_whatever_its_size(size):
    rows = {}
    incident = folded(*(moved(f"n{n}", 1, "A", "B", n) for n in range(size)), rows=rows)
    assert (incident.affected, incident.recovered, incident.is_open) == (size, 0, True)
    assert incident.has_member_rows is (size > INLINE_MEMBERS)
    over = folded(*(moved(f"n{n}", 2, "B", "A", 400 + n) for n in range(size)), latest=incident, rows=rows)
    assert (over.affected, over.recovered, over.is_open, over.status) == (0, size, False, "AVAILABLE")
    assert len(over.named) == min(size, INLINE_MEMBERS)


def test_who_recovers_twice_is_counted_once():
    incident = folded(moved("a", 1, "A", "B"), moved("b", 1, "A", "B"), moved("a", 2, "B", "A", 1))
    again = folded(moved("a", 3, "A", "GONE", 2), latest=incident)
    assert (again is incident, again.recovered) == (True, 1)


def test_a_member_in_rows_alone_leaves_an_incident_that_does_not_name_it():
    incident = folded(*(moved(f"n{n}", 1, "A", "B", n) for n in range(30)))
    done = fold(incident, Member("BLOCKED", minute(29)), moved("n29", 2, "B", "A", 40), POLICY)
    assert "n29" not in done.incident.named
    assert (done.incident.affected, done.member.is_affected) == (29, False)


def test_an_affected_target_takes_the_place_of_one_that_recovered_among_those_named():
    incident = folded(*(moved(f"n{n}", 1, "A", "B", n) for n in range(INLINE_MEMBERS)), moved("n0", 2, "B", "A", 30))
    grown = folded(moved("late", 1, "A", "B", 31), latest=incident)
    assert "late" in involved(grown)
    assert len(grown.named) == INLINE_MEMBERS
