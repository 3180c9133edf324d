"""The health response as documented by the provider, and with the quirks seen in production."""

import json

import pytest

from wabawatch.simulator import CATALOGUE, QUIRKS, Simulation, parse_scenario


@pytest.fixture
def simulation(scenario):
    return Simulation(scenario)


def set_health(simulation, kind, name, **fields):
    simulation.apply(simulation.change(kind, name, fields))


def read(simulation, number_id="support-de"):
    key = next(number["key"] for number in simulation.numbers() if number["id"] == number_id)
    return json.loads(simulation.answer(key).body)


def entity(document, kind):
    health = document.get("health_status", document)
    return next(found for found in health["entities"] if found.get("entity_type") == kind)


def test_a_healthy_number_answers_exactly_as_documented(simulation):
    number, waba, business, app = (found["id"] for found in simulation.numbers()[0]["entities"])
    assert read(simulation) == {
        "health_status": {
            "can_send_message": "AVAILABLE",
            "entities": [
                {"entity_type": "PHONE_NUMBER", "id": number, "can_send_message": "AVAILABLE"},
                {"entity_type": "WABA", "id": waba, "can_send_message": "AVAILABLE"},
                {"entity_type": "BUSINESS", "id": business, "can_send_message": "AVAILABLE"},
                {"entity_type": "APP", "id": app, "can_send_message": "AVAILABLE"},
            ],
        },
        "id": number,
    }
    assert all(found.isdecimal() and len(found) == 15 for found in (number, waba, business, app))


def test_a_name_of_digits_is_the_id_in_the_response():
    simulation = Simulation(parse_scenario('fleet: {numbers: [{id: "4915550100", waba: "102290129340398"}]}'))
    assert [found["id"] for found in simulation.numbers()[0]["entities"]][:2] == ["4915550100", "102290129340398"]


def test_a_blocked_entity_carries_its_errors_and_blocks_the_overall_status(simulation):
    set_health(simulation, "waba", "acme-eu", status="BLOCKED", reasons=[141006])
    document = read(simulation)
    waba = entity(document, "WABA")
    assert document["health_status"]["can_send_message"] == "BLOCKED"
    assert waba["can_send_message"] == "BLOCKED"
    assert waba["errors"] == [
        {
            "error_code": 141006,
            "error_description": CATALOGUE[141006].description,
            "possible_solution": CATALOGUE[141006].possible_solution,
        }
    ]
    assert entity(document, "PHONE_NUMBER")["can_send_message"] == "AVAILABLE"


def test_a_limited_entity_limits_the_overall_status_and_carries_additional_info(simulation):
    set_health(simulation, "number", "support-de", status="LIMITED", info=["The display name waits for approval"])
    document = read(simulation)
    assert document["health_status"]["can_send_message"] == "LIMITED"
    assert entity(document, "PHONE_NUMBER")["additional_info"] == ["The display name waits for approval"]
    assert "errors" not in entity(document, "PHONE_NUMBER")


def test_blocked_beats_limited_in_the_overall_status(simulation):
    set_health(simulation, "waba", "acme-eu", status="LIMITED")
    set_health(simulation, "app", "desk", status="BLOCKED")
    assert read(simulation)["health_status"]["can_send_message"] == "BLOCKED"


def test_a_number_without_sip_is_blocked_overall_while_every_entity_can_send(simulation):
    document = read(simulation, "bookings-no")
    assert document["health_status"]["can_send_message"] == "BLOCKED"
    assert {found["can_send_message"] for found in document["health_status"]["entities"]} == {"AVAILABLE"}
    assert entity(document, "PHONE_NUMBER")["can_receive_call_sip"] == "BLOCKED"
    assert [error["error_code"] for error in entity(document, "PHONE_NUMBER")["errors"]] == [138024]
    assert [error["error_code"] for error in entity(document, "APP")["errors"]] == [138025]


def test_a_messaging_change_keeps_the_reasons_of_calling_in_the_shared_list(simulation):
    set_health(simulation, "number", "bookings-no", status="BLOCKED", reasons=[141000])
    number = entity(read(simulation, "bookings-no"), "PHONE_NUMBER")
    assert [error["error_code"] for error in number["errors"]] == [141000, 138024]


def test_a_template_is_listed_only_where_it_is_used(simulation):
    set_health(simulation, "template", "shipped", status="BLOCKED", reasons=[141002])
    assert entity(read(simulation, "orders-es"), "MESSAGE_TEMPLATE")["can_send_message"] == "BLOCKED"
    assert len(read(simulation, "support-de")["health_status"]["entities"]) == 4


def test_a_blocked_business_shows_in_all_its_numbers_and_in_no_other(simulation):
    set_health(simulation, "business", "acme", status="BLOCKED", reasons=[141010])
    assert {number["id"]: number["status"] for number in simulation.numbers()} == {
        "support-de": "BLOCKED",
        "orders-es": "BLOCKED",
        "sales-br": "BLOCKED",
        "bookings-no": "AVAILABLE",
    }


def test_a_change_seen_by_some_numbers_does_not_show_in_the_others(simulation):
    set_health(simulation, "business", "acme", status="BLOCKED")
    set_health(simulation, "business", "acme", heal=True, seen_by=["orders-es"])
    assert entity(read(simulation, "orders-es"), "BUSINESS")["can_send_message"] == "AVAILABLE"
    assert entity(read(simulation, "support-de"), "BUSINESS")["can_send_message"] == "BLOCKED"


def test_every_code_of_the_catalogue_has_its_own_texts():
    assert set(CATALOGUE) == {141000, 141002, 141006, 141010, 141011, 141014, 138024, 138025}
    assert len({reason.description for reason in CATALOGUE.values()}) == 8
    assert all(reason.possible_solution for reason in CATALOGUE.values())


def test_a_code_outside_the_catalogue_and_one_in_full_are_sent_as_given(simulation):
    written = {"code": "X-1", "description": "Held <!channel>"}
    set_health(simulation, "waba", "acme-eu", status="BLOCKED", reasons=[149999, written])
    unknown, full = entity(read(simulation), "WABA")["errors"]
    assert unknown["error_code"] == 149999
    assert full == {"error_code": "X-1", "error_description": "Held <!channel>"}


def entities(document):
    return document["health_status"]["entities"]


QUIRK_SHOWS = {
    "errors_on_available": lambda d: [e["error_code"] for e in entities(d)[0]["errors"]] == [138024, 138025],
    "repeated_reasons": lambda d: [e["error_code"] for e in entities(d)[1]["errors"]] == [141006, 141014] * 2,
    "jitter": lambda d: entities(d)[0]["entity_type"] == "APP",
    "string_codes": lambda d: entities(d)[1]["errors"][0]["error_code"] == "141006",
    "sparse_reasons": lambda d: (
        "possible_solution" not in entities(d)[1]["errors"][0]
        and entities(d)[1]["errors"][1]["possible_solution"] is None
    ),
    "null_lists": lambda d: entities(d)[0]["errors"] is None and entities(d)[0]["additional_info"] is None,
    "unknown_capability": lambda d: entities(d)[0]["can_use_passkeys"] == "AVAILABLE",
    "unknown_status": lambda d: entities(d)[0]["can_send_message"] == "PAUSED",
    "unknown_type": lambda d: entities(d)[-1]["entity_type"] == "LOYALTY_PROGRAM",
    "null_status": lambda d: entities(d)[0]["can_send_message"] is None,
    "entity_without_id": lambda d: "id" not in entities(d)[1],
    "entity_without_type": lambda d: "entity_type" not in entities(d)[2],
    "entity_without_status": lambda d: "can_send_message" not in entities(d)[3],
    "lone_objects": lambda d: entities(d)["errors"]["error_code"] == 141006,
    "php_lists": lambda d: entities(d)["2"]["errors"]["1"]["error_code"] == 141006,
    "contradictory_overall": lambda d: d["health_status"]["can_send_message"] == "AVAILABLE",
    "overall_calling": lambda d: d["health_status"]["can_receive_call_sip"] == "BLOCKED",
    "no_overall": lambda d: "can_send_message" not in d["health_status"],
    "null_entities": lambda d: entities(d) is None,
    "empty_entities": lambda d: entities(d) == [],
    "no_entities": lambda d: "entities" not in d["health_status"],
    "wrong_id": lambda d: d["id"] == "100000000000000",
    "no_id": lambda d: "id" not in d,
    "no_wrapper": lambda d: "health_status" not in d and len(d["entities"]) == 4 and "id" in d,
    "status_in_two_places": lambda d: d["can_send_message"] == "AVAILABLE" and len(d["entities"]) == 1,
    "misspelt_capability": lambda d: (
        d["health_status"]["can_send_messages"] == "BLOCKED" and '"can_send_message"' not in json.dumps(d)
    ),
    "repeated_keys": lambda d: entities(d)[1]["can_send_message"] == "AVAILABLE",
}


def test_repeated_keys_give_the_true_status_first(simulation):
    set_health(simulation, "waba", "acme-eu", status="BLOCKED", reasons=[141006])
    set_health(simulation, "number", "support-de", quirks=["repeated_keys"])
    key = simulation.numbers()[0]["key"]
    pairs = json.loads(simulation.answer(key).body, object_pairs_hook=list)
    waba = dict(pairs)["health_status"][1][1][1]
    assert [value for name, value in waba if name == "can_send_message"] == ["BLOCKED", "AVAILABLE"]
    assert [name for name, _ in waba].count("errors") == 2


@pytest.mark.parametrize("quirk", QUIRKS)
def test_each_quirk_shows_in_the_answer_and_ends_with_healing(simulation, quirk):
    set_health(simulation, "waba", "acme-eu", status="BLOCKED", reasons=[141006, 141014])
    assert not _shows(simulation, quirk)
    set_health(simulation, "number", "support-de", quirks=[quirk])
    assert _shows(simulation, quirk)
    set_health(simulation, "number", "support-de", heal=True)
    assert not _shows(simulation, quirk)


def _shows(simulation, quirk):
    """Check two responses, because jitter alternates."""
    try:
        return any(QUIRK_SHOWS[quirk](read(simulation)) for _ in range(2))
    except (KeyError, TypeError):
        return False


def test_quirks_can_be_combined(simulation):
    set_health(simulation, "number", "support-de", quirks=list(QUIRKS))
    assert read(simulation) == {
        "can_receive_call_sip": "BLOCKED",
        "can_send_messages": "AVAILABLE",
        "entities": [{"entity_type": "PHONE_NUMBER", "id": "100000000000001", "can_send_messages": "AVAILABLE"}],
    }


def test_jitter_changes_texts_and_order_but_neither_statuses_nor_codes(simulation):
    set_health(simulation, "waba", "acme-eu", status="BLOCKED", reasons=[141006, 141014])
    set_health(simulation, "number", "support-de", quirks=["jitter"])
    readings = [read(simulation) for _ in range(6)]
    wabas = [entity(document, "WABA") for document in readings]
    assert len({json.dumps(document) for document in readings}) > 3
    assert {frozenset(error["error_code"] for error in waba["errors"]) for waba in wabas} == {
        frozenset((141006, 141014))
    }
    assert {waba["can_send_message"] for waba in wabas} == {"BLOCKED"}
