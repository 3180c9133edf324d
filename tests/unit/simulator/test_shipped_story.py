"""The story that comes with the package shows a watcher every kind of change."""

from datetime import timedelta
from itertools import pairwise

import pytest

from wabawatch.simulator import Simulation, load_scenario


def at(simulation, moment):
    simulation.advance(timedelta(seconds=moment))
    return {number["id"]: number for number in simulation.numbers()}


def waba(number):
    return next(entity for entity in number["entities"] if entity["kind"] == "waba")


@pytest.fixture
def shipped():
    return Simulation(load_scenario())


def moments(simulation):
    return [at(simulation, moment) for moment in range(0, 181, 5)]


def test_the_shipped_story_takes_three_minutes_and_tells_what_happens():
    scenario = load_scenario()
    assert scenario.length == timedelta(minutes=3)
    assert not scenario.repeat
    assert sum(bool(step.caption) for step in scenario.steps) > 15


def test_the_shipped_story_starts_with_one_limited_number_among_healthy_ones(shipped):
    unhealthy = {
        number["id"]: number["status"] for number in at(shipped, 5).values() if number["status"] != "AVAILABLE"
    }
    assert unhealthy == {"deliveries-pl": "LIMITED"}


def test_the_shipped_story_ends_with_everything_healthy(shipped):
    end = at(shipped, 180).values()
    assert {(number["status"], number["failure"], tuple(number["quirks"])) for number in end} == {
        ("AVAILABLE", None, ())
    }
    assert {code for number in end for entity in number["entities"] for code in entity["codes"]} == {138024, 138025}


def test_the_shipped_story_shows_every_kind_of_change(shipped):
    course = moments(shipped)
    codes = {
        code for now in course for number in now.values() for entity in number["entities"] for code in entity["codes"]
    }
    failures = {number["failure"] for now in course for number in now.values()}
    assert {141000, 141002, 141006, 141010, 141014, 138024} <= codes
    assert {"unauthorized", "bad_gateway", "rate_limit", "reset_reused"} <= failures
    assert [now["support-de"]["status"] for now in course[3:10]] == ["AVAILABLE"] + ["BLOCKED"] * 5 + ["AVAILABLE"]


def test_the_shipped_story_blocks_one_business_over_four_numbers_and_frees_them_in_two_parts(shipped):
    def blocked(moment):
        return sum(number["status"] == "BLOCKED" for name, number in at(shipped, moment).items() if name in nordwind)

    nordwind = ("bookings-no", "bookings-se", "bookings-fi", "reminders-dk")
    assert [blocked(moment) for moment in (49, 50, 75, 90)] == [0, 4, 2, 0]


def test_the_shipped_story_has_a_number_that_comes_and_goes(shipped):
    seen = [now["sales-br"]["status"] for now in moments(shipped)]
    assert sum(before != after for before, after in pairwise(seen)) == 6


def test_the_shipped_story_changes_the_reasons_of_a_ban_and_then_eases_it(shipped):
    def account(moment):
        number = at(shipped, moment)["offers-mx"]
        return number["status"], waba(number)["codes"]

    assert [account(moment) for moment in (70, 90, 140)] == [
        ("BLOCKED", [141014]),
        ("BLOCKED", [141014, 141006]),
        ("LIMITED", [141006]),
    ]


def test_the_shipped_story_blocks_calls_while_messages_go_out(shipped):
    number = at(shipped, 100)["appointments-it"]
    assert (number["status"], number["overall"]) == ("AVAILABLE", "BLOCKED")
