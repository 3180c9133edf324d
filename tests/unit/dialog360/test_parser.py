"""From the JSON of an answer to a report: what is there is taken, whatever is missing beside it."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from wabawatch.domain.correlation import makes_incident
from wabawatch.domain.detection import detect
from wabawatch.domain.health import CALLING, MESSAGING, Entity, Failure, Observation, Reason, Report, rank, status_of
from wabawatch.domain.policy import Policy, Thresholds
from wabawatch.domain.snapshot import Snapshot
from wabawatch.simulator import Scenario, Simulation, generated_fleet

NUMBER = {"entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE"}
WABA = {"entity_type": "WABA", "id": "2", "can_send_message": "AVAILABLE"}
LIMITED = NUMBER | {"can_send_message": "LIMITED"}
DECLINED = {"error_code": 141006, "error_description": "Payment failed", "possible_solution": "Add a card"}


def test_a_documented_answer_is_read_whole(report):
    health = {
        "can_send_message": "BLOCKED",
        "entities": [
            NUMBER | {"can_receive_call_sip": "BLOCKED", "additional_info": ["Not subscribed"]},
            WABA | {"can_send_message": "BLOCKED", "errors": [DECLINED]},
        ],
    }
    assert report(health) == Report(
        (
            Entity(
                "PHONE_NUMBER",
                "1",
                {MESSAGING: "AVAILABLE", CALLING: "BLOCKED"},
                (Reason(description="Not subscribed"),),
            ),
            Entity("WABA", "2", {MESSAGING: "BLOCKED"}, (Reason(141006, "Payment failed", "Add a card"),)),
        ),
        {MESSAGING: "BLOCKED"},
    )


@pytest.mark.parametrize(
    ("document", "messaging"),
    [
        pytest.param({"can_send_message": "AVAILABLE", "entities": [LIMITED]}, "LIMITED", id="no-wrapper-is-read"),
        pytest.param({"entities": [NUMBER]}, "AVAILABLE", id="no-wrapper-and-no-overall-is-read"),
        pytest.param({"health_status": {"entities": [NUMBER]}}, "AVAILABLE", id="no-overall-is-read"),
        pytest.param({"health_status": {"can_send_message": "LIMITED"}}, "LIMITED", id="no-entities-leaves-overall"),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED", "entities": []}},
            "LIMITED",
            id="empty-list-leaves-overall",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED", "entities": None}},
            "LIMITED",
            id="null-list-leaves-overall",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED", "entities": {"a": 1}}},
            "LIMITED",
            id="entities-that-are-no-list-leave-overall",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED", "entities": [None, 1, "x", [], {}, True]}},
            "LIMITED",
            id="entries-that-are-no-entity-leave-overall",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "AVAILABLE", "entities": [None, LIMITED]}},
            "LIMITED",
            id="an-entity-beside-other-entries-is-read",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "AVAILABLE"}, "entities": [LIMITED]},
            "LIMITED",
            id="entities-beside-the-wrapper-are-read",
        ),
        pytest.param(
            {"health_status": None, "can_send_message": "BLOCKED"}, "BLOCKED", id="a-null-wrapper-leaves-the-top-level"
        ),
        pytest.param(
            {"health_status": {"can_receive_call_sip": "AVAILABLE"}, "can_send_message": "BLOCKED"},
            "BLOCKED",
            id="a-status-beside-the-wrapper-is-read",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED"}, "can_send_message": "BLOCKED"},
            "BLOCKED",
            id="the-worse-counts-of-a-status-inside-and-beside-the-wrapper",
        ),
        pytest.param(
            {"health_status": {"entities": [NUMBER]}, "entities": [WABA | {"can_send_message": "BLOCKED"}]},
            "BLOCKED",
            id="entities-inside-and-beside-the-wrapper-are-read",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "BLOCKED", "entities": [NUMBER]}},
            "BLOCKED",
            id="overall-worse-than-every-entity-counts",
        ),
        pytest.param(
            {
                "health_status": {
                    "can_send_message": "BLOCKED",
                    "entities": [NUMBER | {"can_receive_call_sip": "BLOCKED"}],
                }
            },
            "AVAILABLE",
            id="overall-that-calling-explains-does-not-count",
        ),
        pytest.param({"entities": {"0": NUMBER, "2": LIMITED}}, "LIMITED", id="entities-as-an-object-with-indices"),
        pytest.param({"entities": LIMITED}, "LIMITED", id="an-entity-without-a-list"),
        pytest.param(
            {
                "health_status": {
                    "can_send_message": "AVAILABLE",
                    "entities": [NUMBER | {"can_send_message": "BLOCKED"}],
                }
            },
            "BLOCKED",
            id="a-blocked-entity-outweighs-overall",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED", "entities": [{"entity_type": "APP", "id": "4"}]}},
            "LIMITED",
            id="an-entity-without-status-leaves-overall",
        ),
        pytest.param(
            {"health_status": {"can_send_message": "LIMITED", "entities": [NUMBER | {"can_send_message": None}]}},
            "LIMITED",
            id="a-null-status-leaves-overall",
        ),
    ],
)
def test_the_status_is_the_worst_of_the_entities_and_of_an_overall_one_that_says_more(read, document, messaging):
    assert status_of(read(document)) == messaging


@pytest.mark.parametrize(
    ("written", "status"),
    [
        pytest.param("AVAILABLE", "AVAILABLE", id="as-documented"),
        pytest.param(" available\n", "AVAILABLE", id="in-small-letters-with-space"),
        pytest.param("Blocked", "BLOCKED", id="with-one-capital"),
        pytest.param("PAUSED", "PAUSED", id="a-new-word-is-kept"),
        pytest.param("not yet", "NOT YET", id="a-new-word-with-a-space-is-kept"),
        pytest.param("ava\u0131lable", "ava\u0131lable", id="a-dotless-i-makes-no-available"),
        pytest.param("AVAIL\u200bABLE", "AVAIL\\U200BABLE", id="a-hidden-letter-makes-no-available"),
        pytest.param("GONE", "REPORTED_GONE", id="our-word-for-absence-is-not-the-api-s"),
        pytest.param("", None, id="empty-is-no-status"),
        pytest.param(" \t", None, id="blank-is-no-status"),
        pytest.param("\ufffd\ufffd", None, id="undecoded-is-no-status"),
        pytest.param(None, None, id="null-is-no-status"),
        pytest.param(1, None, id="a-number-is-no-status"),
        pytest.param(True, None, id="true-is-no-status"),
        pytest.param(["AVAILABLE"], None, id="a-list-is-no-status"),
        pytest.param({"status": "AVAILABLE"}, None, id="an-object-is-no-status"),
    ],
)
def test_a_status_is_a_word_in_capitals(entity, written, status):
    assert entity(can_send_message=written, can_other="LIMITED").capabilities.get(MESSAGING) == status


@pytest.mark.parametrize("word", ["PAUSED", "GONE", "OK", "ava\u0131lable", "UNKNOWN"])
def test_a_new_word_never_counts_as_health(entity, word):
    assert rank(entity(can_send_message=word).capabilities[MESSAGING]) > 0


def test_every_capability_is_read_on_entities_and_overall(report):
    found = report(
        {
            "can_send_message": "AVAILABLE",
            "can_use_passkeys": "LIMITED",
            "can": "BLOCKED",
            "entities": [NUMBER | {"can_use_passkeys": "BLOCKED", "cannot_be_read": "BLOCKED"}],
        }
    )
    assert found.overall == {MESSAGING: "AVAILABLE", "can_use_passkeys": "LIMITED"}
    assert found.entities[0].capabilities == {MESSAGING: "AVAILABLE", "can_use_passkeys": "BLOCKED"}


@pytest.mark.parametrize(
    ("fields", "kind", "entity_id"),
    [
        pytest.param({"entity_type": "FLOW"}, "FLOW", "1", id="a-new-type-is-kept"),
        pytest.param({"entity_type": " waba "}, "WABA", "1", id="a-type-is-in-capitals"),
        pytest.param({"entity_type": None}, "UNKNOWN_TYPE", "1", id="a-null-type-is-unknown"),
        pytest.param({"entity_type": ""}, "UNKNOWN_TYPE", "1", id="an-empty-type-is-unknown"),
        pytest.param({"entity_type": ["WABA"]}, "UNKNOWN_TYPE", "1", id="a-type-that-is-no-text-is-unknown"),
        pytest.param({"id": 4915550100}, "PHONE_NUMBER", "4915550100", id="a-number-is-an-id"),
        pytest.param({"id": " 7 "}, "PHONE_NUMBER", "7", id="an-id-has-no-space-around"),
        pytest.param({"id": None}, "PHONE_NUMBER", "@n1", id="a-null-id-is-the-target-s"),
        pytest.param({"id": ""}, "PHONE_NUMBER", "@n1", id="an-empty-id-is-the-target-s"),
        pytest.param({"id": True}, "PHONE_NUMBER", "@n1", id="true-is-no-id"),
    ],
)
def test_type_and_id_are_taken_or_made_up(entity, fields, kind, entity_id):
    found = entity(**fields)
    assert (found.entity_type, found.id) == (kind, entity_id)


def test_nameless_entities_of_two_targets_are_two(read):
    document = {"entities": [{"entity_type": "WABA", "can_send_message": "BLOCKED"}]}
    assert read(document, target="a").entities[0].id != read(document, target="b").entities[0].id


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        pytest.param({"errors": [DECLINED]}, [Reason(141006, "Payment failed", "Add a card")], id="an-error-whole"),
        pytest.param({"errors": [{"error_code": 141010}]}, [Reason(141010)], id="a-code-alone"),
        pytest.param({"errors": [{"error_code": "141010"}]}, [Reason(141010)], id="a-code-as-text"),
        pytest.param({"errors": [{"error_code": " 141010 "}]}, [Reason(141010)], id="a-code-as-text-with-space"),
        pytest.param({"errors": [{"error_code": 141010.0}]}, [Reason(141010)], id="a-code-as-a-fraction"),
        pytest.param({"errors": [{"error_code": "E7"}]}, [Reason(None, "E7")], id="a-code-that-is-no-number"),
        pytest.param(
            {"errors": [{"error_code": "E7", "error_description": "why"}]},
            [Reason(None, "E7 why")],
            id="a-code-that-is-no-number-beside-its-text",
        ),
        pytest.param({"errors": [{"error_code": 10**40}]}, [Reason(None, str(10**40))], id="a-huge-code-is-text"),
        pytest.param({"errors": [{"error_code": -1}]}, [Reason(None, "-1")], id="a-negative-code-is-text"),
        pytest.param({"errors": [{"error_code": True, "error_description": "x"}]}, [Reason(None, "x")], id="true"),
        pytest.param({"errors": [{"error_code": 5, "error_description": None}]}, [Reason(5)], id="a-null-text"),
        pytest.param(
            {"errors": [{"error_code": 5, "error_description": ["x"]}]}, [Reason(5)], id="a-text-that-is-none"
        ),
        pytest.param({"errors": [{"possible_solution": "Wait"}]}, [Reason(None, "", "Wait")], id="a-solution-alone"),
        pytest.param({"errors": [{}]}, [], id="an-empty-error"),
        pytest.param({"errors": [{"error_code": None, "error_description": ""}]}, [], id="an-error-of-nothing"),
        pytest.param({"errors": [None, 3, [], "Text"]}, [Reason(description="Text")], id="entries-that-are-no-error"),
        pytest.param({"errors": DECLINED}, [Reason(141006, "Payment failed", "Add a card")], id="one-without-a-list"),
        pytest.param(
            {"errors": {"0": DECLINED, "3": {"error_code": 5}}},
            [Reason(141006, "Payment failed", "Add a card"), Reason(5)],
            id="errors-as-an-object-with-indices",
        ),
        pytest.param(
            {"additional_info": {"0": "a", "1": "b"}},
            [Reason(description="a"), Reason(description="b")],
            id="info-as-an-object-with-indices",
        ),
        pytest.param({"errors": {}, "additional_info": {}}, [], id="empty-objects"),
        pytest.param({"errors": None, "additional_info": None}, [], id="null-lists"),
        pytest.param({"errors": [], "additional_info": []}, [], id="empty-lists"),
        pytest.param({"errors": "Text"}, [Reason(description="Text")], id="a-text-in-place-of-a-list"),
        pytest.param(
            {"additional_info": ["a", "", " b\n c "]},
            [Reason(description="a"), Reason(description="b c")],
            id="lines-of-info",
        ),
        pytest.param({"additional_info": "a"}, [Reason(description="a")], id="info-without-a-list"),
        pytest.param(
            {"additional_info": [DECLINED]}, [Reason(141006, "Payment failed", "Add a card")], id="error-in-info"
        ),
        pytest.param({"errors": [DECLINED, DECLINED]}, [Reason(141006, "Payment failed", "Add a card")], id="repeated"),
        pytest.param(
            {"errors": [{"error_code": 5, "error_description": "a"}, {"error_code": 5, "error_description": "b"}]},
            [Reason(5, "a"), Reason(5, "b")],
            id="one-code-with-two-texts",
        ),
    ],
)
@pytest.mark.parametrize("status", ["AVAILABLE", "LIMITED", "BLOCKED", "PAUSED"])
def test_reasons_are_read_on_any_status(entity, status, fields, reasons):
    assert list(entity(can_send_message=status, **fields).reasons) == reasons


@pytest.mark.parametrize(
    ("code", "capability"),
    [
        (137999, MESSAGING),
        (138000, CALLING),
        (138024, CALLING),
        (138999, CALLING),
        (139000, MESSAGING),
        (141006, MESSAGING),
    ],
)
def test_calling_s_codes_belong_to_calling(entity, code, capability):
    assert entity(errors=[{"error_code": code}]).reasons[0].capability == capability


@pytest.mark.parametrize(
    ("overall", "entities", "contradictions"),
    [
        pytest.param("AVAILABLE", [NUMBER], 0, id="agreement-is-none"),
        pytest.param(
            "BLOCKED", [NUMBER | {"can_receive_call_sip": "BLOCKED"}], 1, id="overall-worse-than-every-entity"
        ),
        pytest.param("AVAILABLE", [NUMBER | {"can_send_message": "BLOCKED"}], 1, id="overall-better-than-an-entity"),
        pytest.param("LIMITED", [NUMBER | {"can_send_message": "BLOCKED"}], 1, id="limited-beside-blocked"),
        pytest.param("PAUSED", [NUMBER | {"can_send_message": "FROZEN"}], 1, id="two-new-words"),
        pytest.param("PAUSED", [NUMBER | {"can_send_message": "PAUSED"}], 0, id="the-same-new-word-is-none"),
        pytest.param(
            "PAUSED",
            [NUMBER | {"can_send_message": "FROZEN"}, WABA | {"can_send_message": "PAUSED"}],
            0,
            id="one-of-two-new-words-is-none",
        ),
        pytest.param(None, [NUMBER], 0, id="no-overall-is-none"),
        pytest.param("BLOCKED", [], 0, id="no-entities-is-none"),
        pytest.param("AVAILABLE", [NUMBER | {"errors": [DECLINED]}], 0, id="errors-on-available-are-none"),
        pytest.param("AVAILABLE", [NUMBER | {"can_receive_call_sip": "BLOCKED"}], 0, id="calling-blocked-is-none"),
        pytest.param(
            "BLOCKED", [NUMBER, NUMBER | {"can_send_message": "BLOCKED"}], 1, id="one-entity-twice-that-differs"
        ),
        pytest.param("AVAILABLE", [NUMBER, NUMBER], 0, id="one-entity-twice-that-agrees-is-none"),
    ],
)
def test_contradictions_are_told(report, overall, entities, contradictions):
    found = report({"can_send_message": overall, "entities": entities}).contradictions
    assert len(found) == contradictions
    assert all(MESSAGING in sentence for sentence in found)


def test_contradictions_read_the_same_in_whatever_order_the_entities_come(report):
    entities = [
        NUMBER | {"can_send_message": "B"},
        WABA | {"can_send_message": "A"},
        NUMBER | {"can_send_message": "C"},
    ]
    one, other = (
        report({"can_send_message": "AVAILABLE", "entities": order}).contradictions
        for order in (entities, entities[::-1])
    )
    assert one == other
    assert one[0] == "can_send_message is AVAILABLE overall, but the worst of the entities is A"


def test_one_entity_listed_twice_is_one_with_its_worst_status_and_all_reasons(report):
    twice = [
        NUMBER | {"additional_info": ["a", "b"]},
        NUMBER | {"can_send_message": "LIMITED", "additional_info": ["b", "c"]},
    ]
    (found,) = report({"entities": twice}).entities
    assert found.capabilities == {MESSAGING: "LIMITED"}
    assert [reason.description for reason in found.reasons] == ["a", "b", "c"]


def test_a_top_level_id_that_is_not_ours_does_not_matter(report):
    assert report({"can_send_message": "AVAILABLE"}, id="someone-else").overall


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            b'{"health_status":{"can_send_message":"BLOCKED","n":' + b"9" * 10_000 + b"}}", id="a-huge-integer"
        ),
        pytest.param(b'{"health_status":{"can_send_message":"BLOCKED","n":1e999}}', id="an-infinite-number"),
        pytest.param(b'{"health_status":{"can_send_message":"BLOCKED","n":NaN}}', id="not-a-number"),
        pytest.param(b'{"health_status":{"can_send_message":"BLOCKED","n":"\\ud800"}}', id="a-lone-surrogate"),
        pytest.param(b'{"health_status":{"can_send_message":"BLOCKED","n":"\xff\xfe"}}', id="bytes-that-are-not-utf-8"),
        pytest.param(
            b'{"health_status":{"can_send_message":"AVAILABLE","can_send_message":"BLOCKED"}}', id="a-key-given-twice"
        ),
        pytest.param(b'\xef\xbb\xbf{"health_status":{"can_send_message":"BLOCKED"}}', id="a-byte-order-mark"),
        pytest.param('{"health_status":{"can_send_message":"BLOCKED"}}'.encode("utf-16"), id="utf-16"),
        pytest.param(b' \n{"health_status":{"can_send_message":"BLOCKED"}}\r\n ', id="white-space-around"),
    ],
)
def test_json_at_its_worst_is_read(read, body):
    assert read(body).overall == {MESSAGING: "BLOCKED"}


def test_nesting_without_end_is_unreadable(read):
    assert read("[" * 100_000).cause == "unreadable"
    assert read('{"health_status":' * 50_000 + "1" + "}" * 50_000).cause == "unreadable"


@pytest.mark.parametrize("status", [201, 203, 206])
def test_a_report_with_another_status_of_success_is_read(read, status):
    assert isinstance(read({"health_status": {"can_send_message": "AVAILABLE"}}, status), Report)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 302])
def test_a_report_with_a_status_of_failure_is_a_failure(read, status):
    assert isinstance(read({"health_status": {"can_send_message": "AVAILABLE"}}, status), Failure)


def test_texts_can_be_stored_and_shown(entity):
    found = entity(
        id="1\x00\ud800",
        entity_type="PHONE\x1b[2J",
        errors=[
            {"error_description": "red \x1b[31m\u202ealert\ud83d\n\tnow", "possible_solution": "👩\u200d🔧 fixes it"}
        ],
    )
    json.dumps([found.id, found.entity_type]).encode()
    assert found.id == "1\\x00\\ud800"
    assert found.entity_type == "PHONE\\X1B[2J"
    assert found.reasons[0].description == "red \\x1b[31m\\u202ealert\\ud83d now"
    assert found.reasons[0].possible_solution == "👩\u200d🔧 fixes it"


SEVERAL_PLACES = [
    pytest.param(
        {"health_status": {"can_send_message": "AVAILABLE"}, "can_send_message": "BLOCKED"},
        ["can_send_message is AVAILABLE and BLOCKED overall, inside and beside health_status"],
        id="a-status-that-differs",
    ),
    pytest.param(
        {"health_status": {"can_send_message": "BLOCKED"}, "can_send_message": "BLOCKED"}, [], id="a-status-that-agrees"
    ),
    pytest.param(
        {"health_status": {"entities": [NUMBER]}, "entities": [LIMITED]},
        [
            "PHONE_NUMBER 1 is listed more than once, with can_send_message AVAILABLE and LIMITED",
            "entities are listed inside and beside health_status",
        ],
        id="entities",
    ),
]


@pytest.mark.parametrize(("document", "contradictions"), SEVERAL_PLACES)
def test_what_stands_in_several_places_is_told(read, document, contradictions):
    assert list(read(document).contradictions) == contradictions


@pytest.mark.parametrize(
    ("text", "messaging", "contradictions"),
    [
        pytest.param(
            '{"can_send_message": "BLOCKED", "can_send_message": "AVAILABLE"}',
            "BLOCKED",
            ["overall has can_send_message more than once, as AVAILABLE and BLOCKED"],
            id="a-status",
        ),
        pytest.param(
            '{"can_send_message": "BLOCKED", "can_send_message": "BLOCKED"}', "BLOCKED", [], id="a-status-that-agrees"
        ),
        pytest.param(
            '{"can_send_message": "BLOCKED", "can_send_message ": "AVAILABLE"}',
            "BLOCKED",
            ["overall has can_send_message more than once, as AVAILABLE and BLOCKED"],
            id="a-status-with-a-space-behind-its-name",
        ),
        pytest.param(
            '{"can_send_message": "LIMITED", "can_send_message": null, "can_send_message": 5}',
            "LIMITED",
            [],
            id="a-status-beside-what-is-none",
        ),
        pytest.param(
            '{"entities": [{"id": "1", "can_send_message": "LIMITED", "can_send_message": "AVAILABLE"}]}',
            "LIMITED",
            ["UNKNOWN_TYPE 1 has can_send_message more than once, as AVAILABLE and LIMITED"],
            id="a-status-of-an-entity",
        ),
        pytest.param(
            '{"health_status": {"can_send_message": "BLOCKED"}, "health_status": {"can_send_message": "AVAILABLE"}}',
            "BLOCKED",
            [
                "can_send_message is AVAILABLE and BLOCKED overall, inside and beside health_status",
                "health_status is given more than once in one object",
            ],
            id="the-wrapper",
        ),
        pytest.param(
            '{"entities": [{"id": "1", "can_send_message": "BLOCKED"}], "entities": []}',
            "BLOCKED",
            ["entities is given more than once in one object"],
            id="the-entities",
        ),
        pytest.param(
            '{"entities": {"0": {"id": "1", "can_send_message": "BLOCKED"}, "0": {"can_send_message": "AVAILABLE"}}}',
            "BLOCKED",
            [],
            id="an-index",
        ),
        pytest.param(
            '{"entities": [{"id": "1", "id": "2", "can_send_message": "BLOCKED"}]}',
            "BLOCKED",
            ["id is given more than once in one object"],
            id="an-id",
        ),
    ],
)
def test_of_a_key_that_stands_twice_the_worst_value_counts_and_it_is_told(read, text, messaging, contradictions):
    found = read(text)
    assert status_of(found) == messaging
    assert list(found.contradictions) == contradictions


def test_reasons_of_a_key_that_stands_twice_are_all_read(read):
    found = read('{"entities": [{"can_send_message": "BLOCKED", "errors": ["a"], "errors": [{"error_code": 5}, "b"]}]}')
    assert [(reason.code, reason.description) for reason in found.entities[0].reasons] == [
        (None, "a"),
        (5, ""),
        (None, "b"),
    ]


@pytest.mark.parametrize(
    ("health", "named"),
    [
        pytest.param({"can_send_messages": "AVAILABLE"}, "can_send_messages", id="misspelt-overall"),
        pytest.param(
            {"entities": [{"id": "1", "can_send_messages": "AVAILABLE"}]},
            "can_send_messages",
            id="misspelt-in-an-entity",
        ),
        pytest.param(
            {"can_send_message": None, "can_use_passkeys": "AVAILABLE"}, "can_use_passkeys", id="without-a-value"
        ),
        pytest.param(
            {"can_receive_call_sip": "AVAILABLE", "entities": [{"id": "1", "can_x": "LIMITED"}]},
            "can_receive_call_sip, can_x",
            id="calling-alone",
        ),
    ],
)
def test_an_answer_that_does_not_speak_of_messaging_is_unreadable_and_says_of_what_it_speaks(report, health, named):
    assert report(health) == Failure("unreadable", f"the answer holds no can_send_message, but {named}")


def test_an_answer_that_speaks_of_messaging_somewhere_may_speak_of_more(report):
    found = report({"can_send_message": "AVAILABLE", "can_x": "A", "entities": [{"id": "1", "can_send_messages": "B"}]})
    assert status_of(found) == "AVAILABLE"


@pytest.mark.parametrize("kind", ["TARGET", "monitor", " Destination"])
def test_the_monitor_s_own_kinds_of_entities_are_not_the_api_s(entity, kind):
    assert entity(entity_type=kind).entity_type == f"REPORTED_{kind.strip().upper()}"


def test_an_answer_can_put_only_so_many_entities_into_the_state(report):
    entities = [{"entity_type": "MESSAGE_TEMPLATE", "id": str(n), "can_send_message": "AVAILABLE"} for n in range(3000)]
    entities[2900]["can_send_message"] = "BLOCKED"
    entities[2901] |= {"can_send_message": "LIMITED", "additional_info": [f"{n} {'x' * 5000}" for n in range(500)]}
    found = report({"can_send_message": "BLOCKED", "entities": entities})
    assert [len(found.entities), found.entities[0].id, found.entities[1].id] == [24, "2900", "2901"]
    assert len(found.entities[1].reasons) == 20
    assert max(len(reason.description) for reason in found.entities[1].reasons) == 1000
    assert found.implausible
    assert found.contradictions == (
        "implausible answer: MESSAGE_TEMPLATE 2901 gives more than 20 reasons; the first are kept",
        "implausible answer: more than 24 entities are listed; only the worst are kept",
    )


def test_as_many_entities_as_allowed_are_plausible(report):
    entities = [{"id": str(n), "can_send_message": "AVAILABLE"} for n in range(25)]
    found = report({"entities": entities})
    assert (len(found.entities), found.implausible, found.contradictions) == (25, False, ())


@pytest.mark.parametrize("several", [False, True], ids=["in one entry", "in several entries"])
def test_an_entity_can_have_only_so_many_capabilities_and_messaging_is_one_of_them(report, several):
    odd = [{f"can_{n:05}": "BLOCKED" if n % 5 else "LIMITED"} for n in range(2000)]
    entries = (
        [NUMBER | fields for fields in odd[:900]] if several else [dict(p for f in odd for p in f.items()) | NUMBER]
    )
    (found,) = report({"can_send_message": "AVAILABLE", "entities": entries}).entities
    assert len(found.capabilities) == 16
    assert found.capabilities.pop("can_send_message") == "AVAILABLE"
    assert set(found.capabilities.values()) == {"BLOCKED"}


def test_a_target_can_have_only_so_many_overall_capabilities(read):
    wrappers = ", ".join(f'"health_status": {{"can_{n}": "BLOCKED"}}' for n in range(100))
    found = read(f'{{"can_send_message": "AVAILABLE", {wrappers}}}')
    assert (len(found.overall), found.implausible) == (16, True)
    assert "can_send_message" in found.overall


HOSTILE = {
    "many-long-names": lambda: [
        {"entity_type": "W" * 200, "id": f"{n}{'ü' * 200}", "can_send_message": "BLOCKED"}
        | {f"can_{n}_{'x' * 200}": "L" * 200 for n in range(30)}
        for n in range(300)
    ],
    "many-long-texts": lambda: [
        NUMBER | {"id": str(n), "errors": [{"error_code": m, "error_description": "😀" * 900} for m in range(30)]}
        for n in range(60)
    ],
    "many-short-texts": lambda: [
        NUMBER | {f"can_{n}": "BLOCKED" for n in range(15)} | {"id": str(n), "errors": [str(m) for m in range(20)]}
        for n in range(60)
    ],
    "many-contradictions": lambda: [
        {"id": str(n), **{f"can_{m}{'y' * 100}": status for m in range(15)}, "can_send_message": status}
        for n in range(45)
        for status in ("A" * 128, "B" * 128)
    ],
}


@pytest.mark.parametrize("entities", HOSTILE.values(), ids=HOSTILE)
def test_what_some_answers_in_a_row_leave_in_a_snapshot_is_far_below_a_dynamodb_item(report, entities):
    snapshot, entries = Snapshot("n1"), entities()
    for turn in range(6):
        fresh = [fields | {"id": f"{turn}-{fields['id']}"} for fields in entries]
        outcome = report({"can_send_message": "BLOCKED", "entities": fresh})
        assert (outcome.implausible, len(outcome.contradictions) <= 21) == (True, True)
        observation = Observation("n1", datetime(2026, 3, 1, turn, tzinfo=UTC), outcome)
        snapshot = detect(snapshot, observation, Thresholds()).snapshot
        assert len(msgspec.json.encode(snapshot)) < 400_000


@pytest.mark.parametrize("overall", ["AVAILABLE", "BLOCKED"])
def test_one_answer_opens_fifty_incidents_at_most(report, overall):
    """Messaging and calling alike: calling counts where an answer before said that it works."""
    snapshot = Snapshot("n1")
    for hour, status in enumerate(("AVAILABLE", "LIMITED")):
        each = {"can_send_message": status, "can_receive_call_sip": status}
        outcome = report({"can_send_message": overall, "entities": [each | {"id": str(n)} for n in range(20_000)]})
        found = detect(snapshot, Observation("n1", datetime(2026, 3, 1, hour, tzinfo=UTC), outcome), Thresholds())
        snapshot = found.snapshot
    opening = [one for one in found.transitions if makes_incident(one, Policy())]
    assert 40 < len(opening) <= 50


@pytest.mark.parametrize(
    ("quirk", "status", "contradictions"),
    [
        pytest.param("php_lists", "BLOCKED", 0, id="php_lists"),
        pytest.param("lone_objects", "BLOCKED", 0, id="lone_objects"),
        pytest.param("repeated_keys", "BLOCKED", 2, id="repeated_keys"),
        pytest.param("status_in_two_places", "BLOCKED", 2, id="status_in_two_places"),
    ],
)
def test_the_simulator_s_quirks_are_read(read, quirk, status, contradictions):
    simulation = Simulation(Scenario(fleet=generated_fleet(1)))
    number = simulation.numbers()[0]
    waba = next(entity["name"] for entity in number["entities"] if entity["kind"] == "waba")
    simulation.apply(simulation.change("waba", waba, {"status": "BLOCKED", "reasons": [141006]}))
    simulation.apply(simulation.change("number", number["id"], {"quirks": [quirk]}))
    found = read(simulation.answer(number["key"]).body)
    assert (status_of(found), len(found.contradictions)) == (status, contradictions)
    assert 141006 in {reason.code for entity in found.entities for reason in entity.reasons}


def test_the_simulator_s_misspelt_capability_and_flood_are_no_health(read):
    simulation = Simulation(Scenario(fleet=generated_fleet(1)))
    number = simulation.numbers()[0]
    simulation.apply(simulation.change("number", number["id"], {"quirks": ["misspelt_capability"]}))
    assert read(simulation.answer(number["key"]).body).cause == "unreadable"
    simulation.apply(simulation.change("number", number["id"], {"failure": "entity_flood"}))
    assert read(simulation.answer(number["key"]).body).implausible


def test_the_key_is_in_no_text_of_a_report(read, key):
    echo = {
        "entity_type": key,
        "id": key.upper(),
        f"can_{key}": key,
        "can_send_message": "BLOCKED",
        "errors": [{"error_code": key, "error_description": f"not for {key}", "possible_solution": key.swapcase()}],
        "additional_info": [f"<{key}>"],
    }
    found = read({"health_status": {f"can_{key}": "LIMITED", "entities": [echo, echo | {f"can_{key}": "A"}]}})
    assert key.lower() not in repr(found).lower()
    assert "not for [key]" in repr(found)
