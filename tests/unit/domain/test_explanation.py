import pytest

from tests.unit.domain.readings import PAYMENT, VERIFICATION, fold, minute, node, phone, seen, short
from wabawatch.domain.health import CALLING, Reason

BUSINESS = node("BUSINESS", "b", "B", VERIFICATION)
WABA = node("WABA", "w", "B", PAYMENT)


@pytest.mark.parametrize(
    ("entities", "because"),
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
def test_a_symptom_names_the_entity_that_explains_it(entities, because):
    snapshot, _ = fold([seen(0, *entities)])
    assert snapshot.track(("PHONE_NUMBER", "1", "can_send_message")).because == because


def test_the_parent_heals_and_the_child_stays_bad():
    healed = node("BUSINESS", "b", "A")
    _, transitions = fold([seen(0, phone("B"), BUSINESS), *(seen(n, phone("B"), healed) for n in (1, 2, 3))])
    assert [(short(one), one.because, one.at) for one in transitions] == [
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
        one for one in transitions if one.because is None and one.entity_type == "PHONE_NUMBER" and one.new == "BLOCKED"
    ] == []


def test_a_reason_of_its_own_ends_the_explanation_at_once():
    own = phone("B", Reason(141000, "Not registered."))
    _, transitions = fold([seen(0, phone("B"), BUSINESS), seen(1, own, BUSINESS)])
    assert (transitions[-1].because, transitions[-1].reasons[0].code) == (None, 141000)


def test_one_of_two_parents_heals_and_the_other_explains():
    healed = node("BUSINESS", "b", "A")
    _, transitions = fold([seen(0, phone("B"), BUSINESS, WABA), *(seen(n, phone("B"), healed, WABA) for n in (1, 2))])
    assert [one.because for one in transitions if one.entity_type == "PHONE_NUMBER"] == ["BUSINESS b", "WABA w"]
    assert not any(one.because is None for one in transitions if one.entity_type == "PHONE_NUMBER")
