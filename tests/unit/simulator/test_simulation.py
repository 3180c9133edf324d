"""Timed steps: applied, repeated, paused, and set to a time."""

import time
from datetime import timedelta
from http.client import HTTPConnection

import msgspec
import pytest

from wabawatch.simulator import Simulation, parse_scenario, running
from wabawatch.simulator.control import ScenarioClock

SCENARIO = """
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
    return Simulation(parse_scenario(SCENARIO))


def at(simulation, moment):
    simulation.advance(seconds(moment))
    return {number["id"]: number for number in simulation.numbers()}


def waba(number):
    return next(entity for entity in number["entities"] if entity["kind"] == "waba")


def test_a_step_is_not_applied_before_its_time(simulation):
    assert at(simulation, 9.9)["support-de"]["status"] == "AVAILABLE"


def test_a_status_comes_with_its_reasons(simulation):
    assert waba(at(simulation, 10)["orders-es"])["codes"] == [141006]


def test_reasons_change_while_the_status_stays(simulation):
    number = at(simulation, 12)["orders-es"]
    assert (number["status"], waba(number)["codes"]) == ("BLOCKED", [141006, 141014])


def test_additional_info_changes_nothing_else(simulation):
    entity = waba(at(simulation, 14)["orders-es"])
    assert (entity["codes"], entity["info"]) == ([141006, 141014], ["The bill is 30 days old"])


def test_a_new_status_without_reasons_has_none(simulation):
    entity = waba(at(simulation, 16)["orders-es"])
    assert (entity["capabilities"]["can_send_message"], entity["codes"], entity["info"]) == ("LIMITED", [], [])


def test_a_partial_recovery_shows_to_some_and_then_to_all(simulation):
    assert [number["status"] for number in at(simulation, 20).values()] == ["AVAILABLE", "LIMITED"]
    assert [number["status"] for number in at(simulation, 22).values()] == ["AVAILABLE", "AVAILABLE"]


def test_a_failure_and_a_quirk_start_and_end(simulation):
    number = at(simulation, 24)["orders-es"]
    assert (number["failure"], number["quirks"]) == ("unauthorized", ["no_id"])
    number = at(simulation, 26)["orders-es"]
    assert (number["failure"], number["quirks"]) == (None, [])


def test_calling_is_blocked_while_messaging_is_available_for_several_numbers_at_once(simulation):
    for number in at(simulation, 28).values():
        assert (number["status"], number["overall"]) == ("AVAILABLE", "BLOCKED")


def test_a_template_blocks_only_the_numbers_that_use_it(simulation):
    assert [number["status"] for number in at(simulation, 30).values()] == ["AVAILABLE", "BLOCKED"]


def test_healing_restores_the_state_before_the_first_step(simulation):
    before = at(simulation, 0)
    assert at(simulation, 32) == before
    assert before["support-de"]["entities"][0]["capabilities"]["can_receive_call_sip"] == "AVAILABLE"


def test_each_step_is_returned_once_with_its_caption(simulation):
    assert [step.caption for step in simulation.advance(seconds(11))] == ["The card is declined"]
    assert simulation.advance(seconds(11.5)) == []


def test_a_repeated_scenario_starts_again_healthy(simulation):
    assert at(simulation, 15)["support-de"]["status"] == "BLOCKED"
    assert at(simulation, 41)["support-de"]["status"] == "AVAILABLE"
    assert at(simulation, 51)["support-de"]["status"] == "BLOCKED"


def test_a_scenario_that_is_not_repeated_stays_at_its_end():
    not_repeated = msgspec.structs.replace(parse_scenario(SCENARIO), repeat=False)
    assert at(Simulation(not_repeated), 51)["support-de"]["status"] == "AVAILABLE"


def test_an_earlier_time_starts_the_scenario_again(simulation):
    at(simulation, 30)
    assert at(simulation, 11)["support-de"]["status"] == "BLOCKED"
    assert at(simulation, 5)["support-de"]["status"] == "AVAILABLE"


def test_a_manual_change_lasts_until_a_step_changes_it(simulation):
    simulation.apply(simulation.change("number", "support-de", {"status": "LIMITED"}))
    assert at(simulation, 5)["support-de"]["status"] == "LIMITED"
    assert at(simulation, 35)["support-de"]["status"] == "AVAILABLE"


def test_the_clock_pauses_resumes_and_is_set():
    now = [100.0]
    clock = ScenarioClock(lambda: now[0])
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


def test_a_paused_server_applies_steps_only_on_request():
    captions = []
    with running(parse_scenario(SCENARIO), paused=True, on_step=lambda step: captions.append(step.caption)) as server:
        server.go_to(seconds(10))
        assert captions == ["The card is declined"]
        assert server.numbers()[0]["status"] == "BLOCKED"


def test_a_running_scenario_applies_steps_without_requests():
    quick = parse_scenario(SCENARIO.replace("at: 10s", "at: 10ms"))
    with running(quick) as server:
        deadline = time.monotonic() + 10
        while server.numbers()[0]["status"] != "BLOCKED" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.numbers()[0]["status"] == "BLOCKED"
        server.pause()
        server.resume()


def test_the_clock_is_controlled_over_http():
    def post(action, body=None):
        connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("POST", f"/simulator/{action}", body, {"Content-Type": "application/json"})
        document = msgspec.json.decode(connection.getresponse().read())
        connection.close()
        return document

    with running(parse_scenario(SCENARIO), paused=True) as server:
        assert post("skip", '{"to": "11s"}')["elapsed"] == 11
        assert server.numbers()[0]["status"] == "BLOCKED"
        assert post("skip", '{"by": "6s"}')["elapsed"] == 17
        assert server.numbers()[0]["status"] == "LIMITED"
        assert post("resume")["paused"] is False
        assert post("pause")["paused"] is True
        assert post("pause")["steps"][0]["caption"] == "The card is declined"
        assert "write by" in post("skip", '{"bye": "6s"}')["error"]
        assert "by: missing" in post("skip", "{}")["error"]
