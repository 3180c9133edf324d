import msgspec
import pytest

from tests.unit.domain.builders import PAYMENT, VERIFICATION, fold, minute, node, phone, seen, short
from wabawatch.domain import health, root_cause
from wabawatch.domain.health import CALLING, Reason
from wabawatch.domain.snapshot import Key

BUSINESS = node("BUSINESS", "b", "B", VERIFICATION)
WABA = node("WABA", "w", "B", PAYMENT)


@pytest.mark.parametrize(
    ("entities", "caused_by"),
    [
        pytest.param(
            [phone("B"), BUSINESS], "BUSINESS b", id="a number without reasons below a business that gives one"
        ),
        pytest.param(
            [phone("B", VERIFICATION), BUSINESS], "BUSINESS b", id="a number that repeats its business's reason"
        ),
        pytest.param([phone("B"), BUSINESS, WABA], "BUSINESS b", id="the furthest upstream of two causes"),
        pytest.param([phone("B", PAYMENT), BUSINESS, WABA], "WABA w", id="of two causes the one that gives its reason"),
        pytest.param([phone("B"), node("WABA", "w", "B")], "WABA w", id="an account that is blocked without a word"),
        pytest.param([phone("L"), BUSINESS], "BUSINESS b", id="less bad than what explains it"),
        pytest.param([phone("B", Reason(141000, "x")), BUSINESS], None, id="a reason of its own"),
        pytest.param([phone("B"), node("BUSINESS", "b", "L", VERIFICATION)], None, id="worse than its business"),
        pytest.param(
            [phone("B"), node("BUSINESS", "b", "A", VERIFICATION)], None, id="a business with a reason that is well"
        ),
        pytest.param([phone("B")], None, id="alone"),
        pytest.param([phone("A"), BUSINESS], None, id="well"),
        pytest.param(
            [phone("B", **{CALLING: "AVAILABLE"}), node("APP", "a", None, **{CALLING: "BLOCKED"})],
            None,
            id="calling explains no messaging",
        ),
    ],
)
def test_a_symptom_names_the_entity_that_explains_it(entities, caused_by):
    snapshot, _ = fold([seen(0, *entities)])
    assert snapshot.state(Key("PHONE_NUMBER", "1", "can_send_message")).caused_by == caused_by


def test_the_parent_heals_and_the_child_stays_bad():
    healed = node("BUSINESS", "b", "A")
    _, transitions = fold([seen(0, phone("B"), BUSINESS), *(seen(n, phone("B"), healed) for n in (1, 2, 3))])
    assert [(short(transition), transition.caused_by, transition.at) for transition in transitions] == [
        ("BUSINESS b: None > BLOCKED", None, minute(0)),
        ("PHONE_NUMBER 1: None > BLOCKED", "BUSINESS b", minute(0)),
        ("BUSINESS b: BLOCKED > AVAILABLE", None, minute(2)),
        ("PHONE_NUMBER 1: BLOCKED > BLOCKED", None, minute(2)),
    ]


def test_a_child_that_is_one_reading_behind_its_parent_is_no_new_cause():
    healed = node("BUSINESS", "b", "A")
    observations = [
        seen(0, phone("B"), BUSINESS),
        seen(1, phone("B"), healed),
        seen(2, phone("A"), healed),
        seen(3, phone("A"), healed),
    ]
    _, transitions = fold(observations)
    assert [
        transition
        for transition in transitions
        if transition.caused_by is None and transition.entity_type == "PHONE_NUMBER" and transition.new == "BLOCKED"
    ] == []


def test_a_reason_of_its_own_ends_the_explanation_at_once():
    own = phone("B", Reason(141000, "Not registered."))
    _, transitions = fold([seen(0, phone("B"), BUSINESS), seen(1, own, BUSINESS)])
    assert (transitions[-1].caused_by, transitions[-1].reasons[0].code) == (None, 141000)


def test_one_of_two_parents_heals_and_the_other_explains():
    healed = node("BUSINESS", "b", "A")
    _, transitions = fold([seen(0, phone("B"), BUSINESS, WABA), *(seen(n, phone("B"), healed, WABA) for n in (1, 2))])
    assert [transition.caused_by for transition in transitions if transition.entity_type == "PHONE_NUMBER"] == [
        "BUSINESS b",
        "WABA w",
    ]
    assert not any(
        transition.caused_by is None for transition in transitions if transition.entity_type == "PHONE_NUMBER"
    )


SIP_DOWN = Reason(138010, "Calling is restricted.", capability=CALLING)


def calling(kind, entity_id, status, *reasons):
    return node(kind, entity_id, "A", *reasons, **{CALLING: status})


def calling_of_the_number(*observations):
    snapshot, _ = fold(observations)
    return snapshot.state(Key("PHONE_NUMBER", "1", CALLING))


def test_calling_that_never_worked_does_not_explain_calling_that_did():
    number, business = ("PHONE_NUMBER", "1"), calling("BUSINESS", "b", "BLOCKED", SIP_DOWN)
    down = [calling(*number, "BLOCKED"), business]
    state = calling_of_the_number(seen(0, calling(*number, "AVAILABLE")), *(seen(n, *down) for n in range(1, 5)))
    assert (state.status, state.caused_by, state.was_available) == ("BLOCKED", None, True)


def test_calling_that_worked_explains_calling_that_did():
    up = [calling("PHONE_NUMBER", "1", "AVAILABLE"), calling("BUSINESS", "b", "AVAILABLE")]
    down = [calling("PHONE_NUMBER", "1", "BLOCKED"), calling("BUSINESS", "b", "BLOCKED", SIP_DOWN)]
    assert calling_of_the_number(seen(0, *up), seen(1, *down)).caused_by == "BUSINESS b"


def test_calling_that_never_worked_explains_calling_that_never_did():
    down = [calling("PHONE_NUMBER", "1", "BLOCKED"), calling("BUSINESS", "b", "BLOCKED", SIP_DOWN)]
    assert calling_of_the_number(seen(0, *down), seen(1, *down)).caused_by == "BUSINESS b"


def test_an_explanation_that_was_stored_ends_where_nobody_is_told_of_what_explains():
    down = [calling("PHONE_NUMBER", "1", "BLOCKED"), calling("BUSINESS", "b", "BLOCKED", SIP_DOWN)]
    snapshot, _ = fold([seen(0, calling("PHONE_NUMBER", "1", "AVAILABLE")), seen(1, *down)])
    stored = [
        msgspec.structs.replace(state, caused_by="BUSINESS b") if state.entity_type == "PHONE_NUMBER" else state
        for state in snapshot.states
    ]
    after, _ = fold([seen(2, *down)], snapshot=msgspec.structs.replace(snapshot, states=tuple(stored)))
    assert after.state(Key("PHONE_NUMBER", "1", CALLING)).caused_by is None


def test_the_target_itself_explains_no_entity():
    number, account = phone("L"), node("WABA", "w", "A", PAYMENT)
    _, transitions = fold([seen(0, number, account, overall={"can_send_message": "BLOCKED"})])
    assert {(transition.entity_type, transition.caused_by) for transition in transitions} == {
        ("PHONE_NUMBER", None),
        ("TARGET", None),
    }


def test_the_reasons_of_a_reading_are_compared_once(monkeypatch):
    counted = []

    def identify_reasons(reasons):
        counted.append(reasons)
        return health.identify_reasons(reasons)

    monkeypatch.setattr(root_cause, "identify_reasons", identify_reasons)
    entities = [
        node("WABA", str(index), "B", Reason(None, f"text {index}"), can_one="B", can_two="B") for index in range(50)
    ]
    fold([seen(0, *entities)])
    assert len(counted) == 150
