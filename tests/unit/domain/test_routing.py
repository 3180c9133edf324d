from datetime import time, timedelta

import pytest

from tests.unit.domain.builders import T0, VERIFICATION, minute, moved
from tests.unit.domain.incidents import BOTH, FLEET, RESOLVED, bad, folded, involved
from wabawatch.domain.health import Reason
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.policy import WEEKDAYS, Weekly
from wabawatch.domain.routing import OperatorActions, Route, Rules, SeverityRule, Window
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence

RULES = Rules()


def facts_about(incident, rules):
    return rules.build_facts(incident, involved(incident), FLEET)


def test_the_first_severity_rule_that_matches_decides():
    rules = Rules(
        severities=(
            SeverityRule("info", Matcher(reason_code=(141010,))),
            SeverityRule("error", Matcher(affected_at_least=2)),
            SeverityRule("warning"),
        )
    )
    assert facts_about(BOTH, rules).severity == "error"
    assert facts_about(bad("a", reasons=(VERIFICATION,)), rules).severity == "info"
    assert facts_about(bad("a"), rules).severity == "warning"


def test_a_severity_rule_matches_the_usual_severity():
    rules = Rules(severities=(SeverityRule("error", Matcher(severity=("critical",))),))
    assert facts_about(bad("a"), rules).severity == "error"
    assert facts_about(bad("a", status="L"), rules).severity == "warning"


ROUTES = Rules(
    routes=(
        Route(("billing",), Matcher(reason_code=(141006,)), stop=True),
        Route(("support",), Matcher(labels={"team": "support"})),
        Route(("all", "support")),
    )
)
MASS_FAILURE = bad("~shard-0", entity_type="MONITOR", status="UNKNOWN", reasons=(Reason(description="mass_failure"),))


@pytest.mark.parametrize(
    ("rules", "incident", "reached"),
    [
        pytest.param(Rules(), BOTH, {"billing", "support", "all"}, id="no route at all: everybody"),
        pytest.param(ROUTES, BOTH, {"billing"}, id="a route that stops the search"),
        pytest.param(ROUTES, bad("b", reasons=()), {"all", "support"}, id="the last route"),
        pytest.param(Rules(routes=ROUTES.routes[:2]), bad("b", reasons=()), set(), id="no route that matches: nobody"),
        pytest.param(
            Rules(routes=ROUTES.routes[:2]),
            MASS_FAILURE,
            {"billing", "support", "all"},
            id="no route for the monitor's own trouble: everybody",
        ),
        pytest.param(ROUTES, MASS_FAILURE, {"all", "support"}, id="a route for the monitor's own trouble"),
    ],
)
def test_where_an_incident_goes(rules, incident, reached):
    facts = facts_about(incident, rules)
    assert {name for name in ("billing", "support", "all") if rules.find_route(facts, name)[0]} == reached


def case(
    rules,
    incident,
    *,
    now=minute(5),  # noqa: B008 - immutable, as the next ones
    destination="ops",
    notified=NotificationState(),  # noqa: B008
    steering=OperatorActions(),  # noqa: B008
    **options,
):
    return rules.case(incident, destination, notified, steering, now, facts=facts_about(incident, rules), **options)


def silence(name="s", start=0, end=60, **matcher):
    return Silence(name, Matcher(**matcher), "ana", "work", minute(start), minute(end))


@pytest.mark.parametrize(
    ("silences", "muted_until"),
    [
        pytest.param([silence()], 60, id="one that holds"),
        pytest.param([silence(start=6)], None, id="one that has not begun"),
        pytest.param([silence(end=5)], None, id="one that has just ended"),
        pytest.param([silence(start=5)], 60, id="one that begins now"),
        pytest.param([silence("s"), silence("l", end=90)], 90, id="the longest of two"),
        pytest.param([silence(target=("a",))], None, id="one of only some of the targets"),
        pytest.param([silence(target=("a", "b"))], 60, id="one of all targets"),
        pytest.param([silence(target=("a",)), silence(target=("b",))], None, id="two of which none is of all targets"),
    ],
)
def test_silences(silences, muted_until):
    mute = case(RULES, BOTH, steering=OperatorActions(tuple(silences))).situation.mute
    assert (mute and mute.ends_at) == (None if muted_until is None else minute(muted_until))


def test_a_mute_says_whose_it_is():
    assert case(RULES, BOTH, steering=OperatorActions((silence("s1"),))).situation.mute.why == "silence s1 by ana: work"
    window = Window("nightly", Weekly(WEEKDAYS, time(9), time(12), "UTC"))
    assert case(Rules(windows=(window,)), BOTH).situation.mute.why == "maintenance window nightly"


def test_a_window_holds_in_its_own_zone_and_for_what_it_is_about():
    berlin = Weekly(WEEKDAYS, time(11), time(12), "Europe/Berlin")
    assert case(Rules(windows=(Window("w", berlin),)), BOTH).situation.mute.ends_at == T0 + timedelta(hours=1)
    assert case(Rules(windows=(Window("w", berlin, Matcher(target=("a",))),)), BOTH).situation.mute is None


DAILY = Weekly(WEEKDAYS, time(9), time(12), "UTC")  # T0 is at 10:00
NIGHTLY = Weekly(WEEKDAYS, time(23), time(5), "UTC")
ALL_DAY = Weekly(WEEKDAYS, time(8), time(8), "Europe/Berlin")


def over(start, end):
    """An incident that was confirmed at a minute and ended at another."""
    return folded(moved("a", 1, "A", "B", start), moved("a", 2, "B", "A", end))


@pytest.mark.parametrize(
    ("mutes", "incident", "throughout"),
    [
        pytest.param([silence()], over(0, 10), True, id="one silence around it"),
        pytest.param([silence("s", 0, 11)], over(0, 10), True, id="one that begins with it and ends after it"),
        pytest.param([silence("s", 0, 10)], over(0, 10), False, id="one that ends with it"),
        pytest.param([silence("s", 1, 60)], over(0, 10), False, id="one that begins later"),
        pytest.param([silence("s", 0, 5), silence("t", 5, 60)], over(0, 10), True, id="two without a gap"),
        pytest.param(
            [silence("t", 4, 60), silence("s", -9, 7)], over(0, 10), True, id="two that overlap, in any order"
        ),
        pytest.param([silence("s", 0, 5), silence("t", 6, 60)], over(0, 10), False, id="two with a gap"),
        pytest.param([silence("s", 0, 5), silence("t", 9, 60)], over(3, 9), False, id="one at each end"),
        pytest.param(
            [silence("s", 0, 5), silence("t", 4, 60, target=("b",))], over(0, 10), False, id="one of another target"
        ),
        pytest.param([], over(0, 10), False, id="none"),
        pytest.param([DAILY], over(0, 110), True, id="a window"),
        pytest.param([DAILY], over(0, 24 * 60), False, id="the windows of two days"),
        pytest.param([DAILY, silence("s", 110, 24 * 60)], over(0, 23 * 60 + 30), True, id="a window and a silence"),
        pytest.param([NIGHTLY], over(14 * 60, 18 * 60), True, id="a window across midnight"),
        pytest.param([ALL_DAY], over(0, 50 * 24 * 60), True, id="a window of all days, across the change to summer"),
        pytest.param([ALL_DAY], over(0, 400 * 24 * 60), False, id="after hundreds of windows nobody goes on counting"),
    ],
)
def test_a_resolved_incident_was_muted_throughout_only_without_a_gap(mutes, incident, throughout):
    windows = tuple(Window("w", one) for one in mutes if isinstance(one, Weekly))
    steering = OperatorActions(tuple(one for one in mutes if isinstance(one, Silence)))
    now = incident.resolved_at + timedelta(days=1)
    assert case(Rules(windows=windows), incident, now=now, steering=steering).situation.muted_throughout == throughout


def test_only_what_is_over_was_muted_throughout():
    assert not case(RULES, BOTH, steering=OperatorActions((silence(),))).situation.muted_throughout


LIMITED = bad("a", status="L")
LATER = Weekly(WEEKDAYS, time(13), time(17), "UTC")
NOW = Weekly(WEEKDAYS, time(9), time(17), "UTC")


@pytest.mark.parametrize(
    ("routes", "incident", "opens_at"),
    [
        pytest.param(
            [Route(("ops",), hours=LATER)], LIMITED, T0 + timedelta(hours=3), id="limited waits for working hours"
        ),
        pytest.param([Route(("ops",), hours=LATER)], bad("a"), None, id="a block does not"),
        pytest.param([Route(("ops",), hours=NOW)], LIMITED, None, id="working hours are now"),
        pytest.param(
            [Route(("ops",), hours=LATER), Route(("ops",), hours=NOW)], LIMITED, None, id="one of two routes is open"
        ),
        pytest.param(
            [Route(("ops",), hours=LATER), Route(("ops",))], LIMITED, None, id="one of two routes has no hours"
        ),
        pytest.param(
            [Route(("ops",), hours=LATER), Route(("other",))],
            LIMITED,
            T0 + timedelta(hours=3),
            id="another's route is no matter",
        ),
    ],
)
def test_working_hours(routes, incident, opens_at):
    assert case(Rules(routes=tuple(routes)), incident).situation.opens_at == opens_at


def test_a_block_that_is_made_a_warning_does_not_wait_for_working_hours():
    rules = Rules(routes=(Route(("ops",), hours=LATER),), severities=(SeverityRule("warning"),))
    assert case(rules, bad("a")).situation.opens_at is None
    assert case(rules, LIMITED).situation.opens_at is not None


def test_what_is_made_critical_does_not_wait_for_working_hours():
    rules = Rules(routes=(Route(("ops",), hours=LATER),), severities=(SeverityRule("critical"),))
    assert case(rules, LIMITED).situation.opens_at is None


EASED = folded(moved("a", 1, "A", "L"), moved("a", 2, "L", "B", 10), moved("a", 3, "B", "L", 20))
WORSE = folded(moved("a", 1, "A", "L"), moved("a", 2, "L", "B", 10))


@pytest.mark.parametrize(
    ("incident", "acknowledged", "holds"),
    [
        pytest.param(LIMITED, {"status": "LIMITED"}, True, id="as it was"),
        pytest.param(LIMITED, {"status": "LIMITED", "until": minute(60)}, True, id="its time is not over"),
        pytest.param(LIMITED, {"status": "LIMITED", "until": minute(30)}, False, id="its time is over"),
        pytest.param(WORSE, {"status": "LIMITED"}, False, id="it got worse"),
        pytest.param(EASED, {"status": "LIMITED"}, False, id="it got worse and better again"),
        pytest.param(EASED, {"status": "BLOCKED", "at": minute(15)}, True, id="it got better"),
        pytest.param(EASED, {"status": "LIMITED", "at": minute(25)}, True, id="it was worse before that"),
        pytest.param(RESOLVED, {"status": "BLOCKED"}, False, id="it is over"),
    ],
)
def test_an_acknowledgement(incident, acknowledged, holds):
    given = Acknowledgement(**{"incident": incident.id, "author": "ana", "at": minute(1)} | acknowledged)
    found = case(RULES, incident, now=minute(30), steering=OperatorActions(acknowledgements={incident.id: given}))
    assert (found.situation.acknowledged, found.acknowledged_by) == (holds, "ana" if holds else "")


DEAD = bad("ops", entity_type="DESTINATION", entity_id="ops", status="UNKNOWN", capability="delivery")
TO_PAGER = Route(("pager",), Matcher(status=("BLOCKED",)))


@pytest.mark.parametrize(
    ("routes", "reached"),
    [
        pytest.param([], {"pager", "mail"}, id="no route at all: all others"),
        pytest.param([Route(("ops",)), TO_PAGER], {"pager", "mail"}, id="the only route that matches leads to itself"),
        pytest.param([Route(("ops",), stop=True), Route(("pager",))], {"pager"}, id="a stop that leads to itself"),
        pytest.param([Route(("ops", "mail")), TO_PAGER], {"mail"}, id="a route that leads to another one too"),
        pytest.param([Route(("ops", "mail"), stop=True), Route(("pager",))], {"mail"}, id="a stop that leads on"),
        pytest.param([TO_PAGER], {"pager", "mail"}, id="no route that matches: all others"),
    ],
)
def test_a_dead_destination_is_told_through_others_and_never_through_itself(routes, reached):
    rules = Rules(routes=tuple(routes))
    cases = {name: case(rules, DEAD, destination=name).situation for name in ("ops", "pager", "mail")}
    assert {name for name, situation in cases.items() if situation.routed} == reached
    assert [name for name, situation in cases.items() if situation.about_itself] == ["ops"]


def test_the_death_of_another_destination_waits_for_the_hours_of_the_routes_that_are_left():
    rules = Rules(routes=(Route(("ops",)), Route(("pager",), hours=LATER)))
    assert case(rules, DEAD, destination="pager").situation.opens_at == T0 + timedelta(hours=3)


def test_the_digest_and_the_first_sight_of_a_destination_are_handed_on():
    digest = Weekly(("mon",), time(9), time(9), "UTC")
    situation = case(Rules(digest=digest), LIMITED, known_since=T0).situation
    assert (situation.digest, situation.known_since) == (digest, T0)


@pytest.mark.parametrize(
    ("rules", "steering"),
    [
        pytest.param(Rules(version="2"), OperatorActions(), id="another configuration"),
        pytest.param(Rules(), OperatorActions((silence(),)), id="a silence"),
        pytest.param(
            Rules(),
            OperatorActions(acknowledgements={"x": Acknowledgement("x", "ana", T0, "BLOCKED")}),
            id="an acknowledgement",
        ),
    ],
)
def test_what_people_change_changes_the_fingerprint(rules, steering):
    assert rules.fingerprint(steering) != RULES.fingerprint(OperatorActions())
    assert rules.fingerprint(steering) == rules.fingerprint(steering)
