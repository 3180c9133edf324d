"""The story: steps taken in time, repeated, paused and set."""

import time
from datetime import timedelta
from http.client import HTTPConnection

import msgspec
import pytest

from wabawatch.simulator import Simulation, parse_scenario, running
from wabawatch.simulator.storyclock import StoryClock

STORY = """
repeat: true
length: 40s
fleet:
  numbers:
    - {id: support-de, waba: acme, calling: used}
    - {id: orders-es, waba: acme, templates: [shipped]}
steps:
  - {at: 10s, waba: acme, status: BLOCKED, reasons: [141006], caption: The card is declined}
  - {at: 12s, waba: acme, reasons: [141006, 141014]}
  - {at: 14s, waba: acme, info: [The bill is 30 days old]}
  - {at: 16s, waba: acme, status: LIMITED}
  - {at: 20s, waba: acme, heal: true, seen_by: [support-de]}
  - {at: 22s, waba: acme, heal: true}
  - {at: 24s, number: orders-es, failure: {kind: unauthorized, times: 9}, quirks: [no_id]}
  - {at: 26s, number: orders-es, heal: true}
  - {at: 28s, number: [support-de, orders-es], can_receive_call_sip: BLOCKED, reasons: [138024]}
  - {at: 30s, template: shipped, status: BLOCKED, reasons: [141002]}
  - {at: 32s, number: '*', heal: true}
"""


def seconds(amount):
    return timedelta(seconds=amount)


@pytest.fixture
def simulation():
    return Simulation(parse_scenario(STORY))


def at(simulation, moment):
    simulation.advance(seconds(moment))
    return {number["id"]: number for number in simulation.numbers()}


def waba(number):
    return next(entity for entity in number["entities"] if entity["kind"] == "waba")


def test_before_its_moment_a_step_is_not_taken(simulation):
    assert at(simulation, 9.9)["support-de"]["status"] == "AVAILABLE"


def test_a_status_comes_with_its_reasons(simulation):
    assert waba(at(simulation, 10)["orders-es"])["codes"] == [141006]


def test_reasons_change_while_the_status_stays(simulation):
    number = at(simulation, 12)["orders-es"]
    assert (number["status"], waba(number)["codes"]) == ("BLOCKED", [141006, 141014])


def test_additional_info_comes_without_touching_the_rest(simulation):
    entity = waba(at(simulation, 14)["orders-es"])
    assert (entity["codes"], entity["info"]) == ([141006, 141014], ["The bill is 30 days old"])


def test_a_new_status_without_reasons_has_none(simulation):
    entity = waba(at(simulation, 16)["orders-es"])
    assert (entity["capabilities"]["can_send_message"], entity["codes"], entity["info"]) == ("LIMITED", [], [])


def test_a_partial_recovery_shows_to_some_and_then_to_all(simulation):
    assert [number["status"] for number in at(simulation, 20).values()] == ["AVAILABLE", "LIMITED"]
    assert [number["status"] for number in at(simulation, 22).values()] == ["AVAILABLE", "AVAILABLE"]


def test_a_failure_and_a_quirk_begin_and_end(simulation):
    number = at(simulation, 24)["orders-es"]
    assert (number["failure"], number["quirks"]) == ("unauthorized", ["no_id"])
    number = at(simulation, 26)["orders-es"]
    assert (number["failure"], number["quirks"]) == (None, [])


def test_calling_is_blocked_beside_messaging_and_for_several_at_once(simulation):
    for number in at(simulation, 28).values():
        assert (number["status"], number["overall"]) == ("AVAILABLE", "BLOCKED")


def test_a_template_blocks_only_those_who_use_it(simulation):
    assert [number["status"] for number in at(simulation, 30).values()] == ["AVAILABLE", "BLOCKED"]


def test_healing_returns_to_what_was_before_the_story(simulation):
    before = at(simulation, 0)
    assert at(simulation, 32) == before
    assert before["support-de"]["entities"][0]["capabilities"]["can_receive_call_sip"] == "AVAILABLE"


def test_steps_are_handed_out_once_with_their_captions(simulation):
    assert [step.caption for step in simulation.advance(seconds(11))] == ["The card is declined"]
    assert simulation.advance(seconds(11.5)) == []


def test_a_repeated_story_begins_again_healed(simulation):
    assert at(simulation, 15)["support-de"]["status"] == "BLOCKED"
    assert at(simulation, 41)["support-de"]["status"] == "AVAILABLE"
    assert at(simulation, 51)["support-de"]["status"] == "BLOCKED"


def test_a_story_that_is_not_repeated_stays_at_its_end():
    once = msgspec.structs.replace(parse_scenario(STORY), repeat=False)
    assert at(Simulation(once), 51)["support-de"]["status"] == "AVAILABLE"


def test_going_back_starts_the_story_anew(simulation):
    at(simulation, 30)
    assert at(simulation, 11)["support-de"]["status"] == "BLOCKED"
    assert at(simulation, 5)["support-de"]["status"] == "AVAILABLE"


def test_a_change_by_hand_lasts_until_the_story_touches_it(simulation):
    simulation.apply(simulation.change("number", "support-de", {"status": "LIMITED"}))
    assert at(simulation, 5)["support-de"]["status"] == "LIMITED"
    assert at(simulation, 35)["support-de"]["status"] == "AVAILABLE"


def test_the_clock_pauses_resumes_and_is_set():
    now = [100.0]
    clock = StoryClock(lambda: now[0])
    now[0] = 105.0
    assert clock.elapsed() == seconds(5)
    clock.pause()
    now[0] = 200.0
    clock.pause()
    assert (clock.elapsed(), clock.paused) == (seconds(5), True)
    clock.resume()
    clock.resume()
    now[0] = 203.0
    assert (clock.elapsed(), clock.paused) == (seconds(8), False)
    clock.go_to(seconds(60))
    now[0] = 204.0
    assert clock.elapsed() == seconds(61)


def test_a_paused_server_moves_only_when_told():
    heard = []
    with running(parse_scenario(STORY), paused=True, on_step=lambda step: heard.append(step.caption)) as server:
        server.go_to(seconds(10))
        assert heard == ["The card is declined"]
        assert server.numbers()[0]["status"] == "BLOCKED"


def test_a_running_story_moves_by_itself():
    quick = parse_scenario(STORY.replace("at: 10s", "at: 10ms"))
    with running(quick) as server:
        deadline = time.monotonic() + 10
        while server.numbers()[0]["status"] != "BLOCKED" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.numbers()[0]["status"] == "BLOCKED"
        server.pause()
        server.resume()


def test_the_story_is_steered_over_http():
    def post(action, body=None):
        connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("POST", f"/simulator/{action}", body, {"Content-Type": "application/json"})
        answer = msgspec.json.decode(connection.getresponse().read())
        connection.close()
        return answer

    with running(parse_scenario(STORY), paused=True) as server:
        assert post("skip", '{"to": "11s"}')["elapsed"] == 11
        assert server.numbers()[0]["status"] == "BLOCKED"
        assert post("skip", '{"by": "6s"}')["elapsed"] == 17
        assert server.numbers()[0]["status"] == "LIMITED"
        assert post("resume")["paused"] is False
        assert post("pause")["paused"] is True
        assert post("pause")["steps"][0]["caption"] == "The card is declined"
        assert "write by" in post("skip", '{"bye": "6s"}')["error"]
        assert "by: missing" in post("skip", "{}")["error"]
