import pytest

from tests.unit.domain.builders import (
    AT_ONCE,
    PAYMENT,
    SIP,
    USUAL,
    VERIFICATION,
    WORDS,
    fold,
    minute,
    node,
    phone,
    seen,
    short,
)
from wabawatch.domain.detection import detect, forget
from wabawatch.domain.health import (
    CALLING,
    CAUSES,
    READABLE,
    URGENT_CAUSES,
    Observation,
    Reason,
    Report,
    rank,
    status_of,
)
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import Key, Snapshot

SLOW = Thresholds(blocked=2, limited=2, available=2, unknown=3)


def messaging(letters, thresholds=USUAL):
    """What is told of one number that answers with these statuses, a letter for each minute."""
    observations = [seen(number, phone(letter)) for number, letter in enumerate(letters)]
    return " ".join(
        f"{transition.old or '-'}>{transition.new}@{int((transition.at - minute(0)).seconds / 60)}"
        for transition in fold(observations, thresholds)[1]
    )


@pytest.mark.parametrize(
    ("letters", "thresholds", "notified"),
    [
        pytest.param("A", USUAL, "", id="healthy at first sight is silent"),
        pytest.param("B", USUAL, "->BLOCKED@0", id="blocked at first sight is found so"),
        pytest.param("L", USUAL, "->LIMITED@0", id="limited at first sight is found so"),
        pytest.param("AAAA", USUAL, "", id="health that stays is silent"),
        pytest.param("ABBB", USUAL, "AVAILABLE>BLOCKED@1", id="a block is told once"),
        pytest.param("ABA", USUAL, "AVAILABLE>BLOCKED@1", id="one good answer is no recovery"),
        pytest.param("ABAA", USUAL, "AVAILABLE>BLOCKED@1 BLOCKED>AVAILABLE@3", id="two good answers are a recovery"),
        pytest.param(
            "ABABAA", USUAL, "AVAILABLE>BLOCKED@1 BLOCKED>AVAILABLE@5", id="a relapse begins the recovery anew"
        ),
        pytest.param("ALB", USUAL, "AVAILABLE>LIMITED@1 LIMITED>BLOCKED@2", id="worse is told at once"),
        pytest.param("ABL", USUAL, "AVAILABLE>BLOCKED@1 BLOCKED>LIMITED@2", id="easing is told at once"),
        pytest.param(
            "BALAA", USUAL, "->BLOCKED@0 BLOCKED>LIMITED@2 LIMITED>AVAILABLE@4", id="recovery by way of limited"
        ),
        pytest.param("AP", USUAL, "AVAILABLE>PAUSED@1", id="an unknown word is no health"),
        pytest.param("PL", USUAL, "->PAUSED@0 PAUSED>LIMITED@1", id="an unknown word is worse than limited"),
        pytest.param("PB", USUAL, "->PAUSED@0 PAUSED>BLOCKED@1", id="an unknown word is not as bad as blocked"),
        pytest.param("AB", SLOW, "", id="a block waits for its second observation"),
        pytest.param("ABB", SLOW, "AVAILABLE>BLOCKED@2", id="two observations confirm a block"),
        pytest.param("ABAB", SLOW, "", id="a block that comes and goes is never confirmed"),
        pytest.param("ALB", SLOW, "AVAILABLE>LIMITED@2", id="limited then blocked is at least limited twice"),
        pytest.param("ABL", SLOW, "AVAILABLE>LIMITED@2", id="blocked then limited is at least limited twice"),
        pytest.param(
            "ALBB", SLOW, "AVAILABLE>LIMITED@2 LIMITED>BLOCKED@3", id="the block in the mixture goes on counting"
        ),
        pytest.param("ABLBLBL", SLOW, "AVAILABLE>LIMITED@2", id="a mixture that never settles is limited, and no more"),
        pytest.param(
            "ABLBB", SLOW, "AVAILABLE>LIMITED@2 LIMITED>BLOCKED@4", id="a mixture that settles blocked is blocked"
        ),
        pytest.param("BBLA", SLOW, "->BLOCKED@1 BLOCKED>LIMITED@3", id="limited then healthy is at most limited twice"),
        pytest.param("BBAL", SLOW, "->BLOCKED@1 BLOCKED>LIMITED@3", id="healthy then limited is at most limited twice"),
        pytest.param("B", SLOW, "", id="found so waits for confirmation too"),
        pytest.param("BB", SLOW, "->BLOCKED@1", id="found so when it is confirmed"),
        pytest.param("BAA", SLOW, "", id="what was never confirmed ends in silence"),
        pytest.param("BAB", SLOW, "", id="health found at the second look is believed at once"),
    ],
)
def test_a_status_is_confirmed_by_observations_in_a_row(letters, thresholds, notified):
    assert messaging(letters, thresholds) == notified


def test_a_transition_says_since_when_and_by_what_it_was_confirmed():
    _, transitions = fold([seen(0, phone("A")), seen(1, phone("B")), seen(2, phone("B"))], SLOW)
    (blocked,) = transitions
    assert (blocked.since, blocked.at) == (minute(1), minute(2))
    assert [(one.status, one.observed_at) for one in blocked.evidence] == [
        ("BLOCKED", minute(1)),
        ("BLOCKED", minute(2)),
    ]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param([PAYMENT, VERIFICATION], [VERIFICATION, PAYMENT], id="another order"),
        pytest.param([PAYMENT], [Reason(141006, "Die Zahlungsart fehlt.", "Bitte ergänzen.")], id="another language"),
        pytest.param([PAYMENT], [PAYMENT, PAYMENT], id="the same code twice"),
        pytest.param(
            [Reason(141006, "until 3 May")], [Reason(141006, "until 4 May")], id="a date in the text of a code"
        ),
        pytest.param(
            [Reason(description="Quota 5 of 10 used.")],
            [Reason(description="quota 6 of 10 used")],
            id="numbers and case of a line without code",
        ),
        pytest.param(
            [Reason(description="a"), Reason(description="b")],
            [Reason(description="b"), Reason(description="a")],
            id="lines without code in another order",
        ),
        pytest.param([PAYMENT], [PAYMENT, SIP], id="a calling code beside a messaging status"),
    ],
)
@pytest.mark.parametrize("status", ["A", "L", "B"])
def test_the_same_reasons_make_no_noise(status, first, then):
    snapshot, _ = fold([seen(0, phone(status, *first))], AT_ONCE)
    assert detect(snapshot, seen(1, phone(status, *then)), AT_ONCE).snapshot is snapshot


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param([PAYMENT], [PAYMENT, VERIFICATION], id="one more"),
        pytest.param([PAYMENT, VERIFICATION], [VERIFICATION], id="one less"),
        pytest.param([PAYMENT], [], id="none any more"),
        pytest.param([Reason(description="a")], [Reason(description="b")], id="another line without code"),
        pytest.param(
            [Reason(1, "a"), Reason(1, "b")], [Reason(1, "a"), Reason(1, "c")], id="another text where one code has two"
        ),
    ],
)
def test_other_reasons_are_a_transition_of_the_same_status(first, then):
    _, transitions = fold([seen(0, phone("B", *first)), seen(1, phone("B", *then))])
    assert [(transition.old, transition.new) for transition in transitions] == [
        (None, "BLOCKED"),
        ("BLOCKED", "BLOCKED"),
    ]
    assert [transition.reasons for transition in transitions] == [tuple(first), tuple(then)]


def test_calling_has_a_state_of_its_own_with_its_own_reasons():
    both = phone("B", PAYMENT, SIP, **{CALLING: "BLOCKED"})
    _, transitions = fold([seen(0, both)])
    assert {transition.capability: transition.reasons for transition in transitions} == {
        "can_send_message": (PAYMENT,),
        CALLING: (SIP,),
    }


@pytest.mark.parametrize(
    ("letters", "was_available"),
    [
        pytest.param("B", False, id="blocked for ever: not in use"),
        pytest.param("AB", True, id="worked once"),
        pytest.param("BAAB", True, id="worked in between"),
        pytest.param("BAB", False, id="a single good answer is no proof"),
    ],
)
def test_calling_is_proven_once_it_was_available(letters, was_available):
    observations = [seen(number, phone("A", **{CALLING: WORDS[letter]})) for number, letter in enumerate(letters)]
    assert fold(observations)[1][-1].was_available is was_available


def test_an_entity_that_vanishes_is_gone_after_as_many_observations_as_a_recovery_takes():
    both = [phone("A"), node("MESSAGE_TEMPLATE", "m", "B", Reason(141002, "Rejected."))]
    snapshot, transitions = fold([seen(0, *both), seen(1, phone("A")), seen(2, phone("A"))])
    assert [short(transition) for transition in transitions] == [
        "MESSAGE_TEMPLATE m: None > BLOCKED",
        "MESSAGE_TEMPLATE m: BLOCKED > GONE",
    ]
    assert [state.entity_type for state in snapshot.states] == ["PHONE_NUMBER"]


def test_an_entity_that_is_missing_once_is_not_gone():
    both = [phone("A"), node("MESSAGE_TEMPLATE", "m", "B")]
    _, transitions = fold([seen(0, *both), seen(1, phone("A")), seen(2, *both), seen(3, phone("A"))])
    assert len(transitions) == 1


def test_an_entity_that_appears_later_is_found_so():
    _, transitions = fold([seen(0, phone("A")), seen(1, phone("A"), node("WABA", "w", "L", VERIFICATION))])
    assert [short(transition) for transition in transitions] == ["WABA w: None > LIMITED"]


def test_an_entity_that_comes_back_is_new():
    both = [phone("A"), node("WABA", "w", "B")]
    _, transitions = fold([seen(0, *both), seen(1, phone("A")), seen(2, phone("A")), seen(3, *both)])
    assert [short(transition) for transition in transitions][-1] == "WABA w: None > BLOCKED"


@pytest.mark.parametrize("earlier", [0, 1], ids=["an older observation", "the same instant"])
def test_what_is_not_newer_than_the_snapshot_is_left_out(earlier):
    snapshot, _ = fold([seen(1, phone("B"))])
    late = detect(snapshot, seen(earlier, phone("A")), AT_ONCE)
    assert (late.snapshot is snapshot, late.transitions, late.late) == (True, (), True)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_failure_moves_only_the_readability(cause):
    before, _ = fold([seen(0, phone("B", PAYMENT))])
    after, transitions = fold([seen(number, cause) for number in range(1, 6)], snapshot=before)
    assert after.state(Key("PHONE_NUMBER", "1", "can_send_message")) == before.states[0]
    assert [short(transition) for transition in transitions] == [f"TARGET t {READABLE}: AVAILABLE > UNKNOWN"]
    assert [reason.description for reason in transitions[0].reasons] == [cause]
    assert after.state(Key("TARGET", "t", READABLE)).reasons == transitions[0].reasons
    assert transitions[0].at == (minute(1) if cause in URGENT_CAUSES else minute(3))


def test_a_failure_in_between_does_not_interrupt_a_confirmation_and_does_not_count_for_it():
    _, transitions = fold([seen(0, phone("B")), seen(1, phone("A")), seen(2, "timeout"), seen(3, phone("A"))])
    assert [short(transition) for transition in transitions][1:] == ["PHONE_NUMBER 1: BLOCKED > AVAILABLE"]


def test_the_first_answer_that_can_be_read_ends_unknown():
    snapshot, transitions = fold([*(seen(number, "timeout") for number in range(3)), seen(3, phone("A"))])
    assert [short(transition) for transition in transitions] == [
        f"TARGET t {READABLE}: AVAILABLE > UNKNOWN",
        f"TARGET t {READABLE}: UNKNOWN > AVAILABLE",
    ]
    assert snapshot.state(Key("TARGET", "t", READABLE)) is None


def test_another_cause_of_unknown_is_another_reason():
    _, transitions = fold([seen(0, "timeout"), seen(1, "timeout"), seen(2, "timeout"), seen(3, "disabled")])
    assert [transition.reasons[0].description for transition in transitions] == ["timeout", "disabled"]


def test_the_overall_status_counts_where_no_entity_carries_one():
    observations = [
        seen(0, overall={"can_send_message": "BLOCKED"}),
        seen(1, node("WABA", "w", None, PAYMENT), overall={"can_send_message": "BLOCKED"}),
    ]
    _, transitions = fold(observations)
    assert [short(transition) for transition in transitions] == [
        "TARGET t: None > BLOCKED",
        "TARGET t: BLOCKED > BLOCKED",
    ]
    assert transitions[1].reasons == (PAYMENT,)


BLOCKED_OVERALL = {"can_send_message": "BLOCKED"}
WELL_OVERALL = {"can_send_message": "AVAILABLE"}


@pytest.mark.parametrize(
    ("entities", "overall", "notified"),
    [
        pytest.param([phone("A")], "BLOCKED", ["TARGET t: None > BLOCKED"], id="worse than every entity"),
        pytest.param(
            [phone("L")],
            "BLOCKED",
            ["PHONE_NUMBER 1: None > LIMITED", "TARGET t: None > BLOCKED"],
            id="worse than an entity that is not well either",
        ),
        pytest.param(
            [phone(None, **{CALLING: "AVAILABLE"})],
            "LIMITED",
            ["TARGET t: None > LIMITED"],
            id="of messaging where the entities speak of calling alone",
        ),
        pytest.param([phone("A")], "AVAILABLE", [], id="as good as the entities"),
        pytest.param([phone("B")], "BLOCKED", ["PHONE_NUMBER 1: None > BLOCKED"], id="as bad as an entity"),
        pytest.param([phone("B")], "LIMITED", ["PHONE_NUMBER 1: None > BLOCKED"], id="better than an entity"),
        pytest.param(
            [phone("A", **{CALLING: "BLOCKED"})],
            "BLOCKED",
            [f"PHONE_NUMBER 1 {CALLING}: None > BLOCKED"],
            id="as bad as another capability",
        ),
        pytest.param(
            [phone("A", **{CALLING: "LIMITED"})],
            "BLOCKED",
            [f"PHONE_NUMBER 1 {CALLING}: None > LIMITED", "TARGET t: None > BLOCKED"],
            id="worse than another capability",
        ),
    ],
)
def test_the_overall_status_counts_for_the_target_only_where_nothing_else_explains_it(entities, overall, notified):
    report = seen(0, *entities, overall={"can_send_message": overall})
    assert [short(transition) for transition in fold([report])[1]] == notified
    worst_told = max((one.rpartition(" ")[2] for one in notified if CALLING not in one), key=rank, default="AVAILABLE")
    assert status_of(report.outcome) == worst_told


def test_another_overall_capability_that_is_as_bad_explains_the_overall_status():
    _, transitions = fold([seen(0, phone("A"), overall=BLOCKED_OVERALL | {CALLING: "BLOCKED"})])
    assert [short(transition) for transition in transitions] == [f"TARGET t {CALLING}: None > BLOCKED"]


def test_a_trouble_of_the_target_itself_ends_when_the_overall_status_is_well():
    observations = [seen(0, phone("A"), overall=BLOCKED_OVERALL)]
    observations += [seen(number, phone("A"), overall=WELL_OVERALL) for number in (1, 2, 3)]
    assert [short(transition) for transition in fold(observations)[1]] == [
        "TARGET t: None > BLOCKED",
        "TARGET t: BLOCKED > AVAILABLE",
    ]


def test_a_trouble_of_the_target_itself_gives_way_to_the_entity_that_turns_out_to_cause_it():
    observations = [seen(0, phone("A"), overall=BLOCKED_OVERALL)]
    observations += [seen(number, phone("B"), overall=BLOCKED_OVERALL) for number in (1, 2)]
    assert [short(transition) for transition in fold(observations)[1]] == [
        "TARGET t: None > BLOCKED",
        "PHONE_NUMBER 1: AVAILABLE > BLOCKED",
        "TARGET t: BLOCKED > GONE",
    ]


@pytest.mark.parametrize("listed", [[], [node("WABA", "w", "A")]], ids=["no entity", "another entity that is well"])
def test_an_entity_that_is_missing_is_not_gone_while_the_overall_status_is_as_bad(listed):
    both = [phone("B", PAYMENT), node("WABA", "w", "A")]
    observations = [seen(0, *both, overall=BLOCKED_OVERALL)]
    observations += [seen(number, *listed, overall=BLOCKED_OVERALL) for number in range(1, 6)]
    snapshot, transitions = fold(observations)
    assert [
        short(transition) for transition in transitions if transition.caused_by is None and rank(transition.new)
    ] == ["PHONE_NUMBER 1: None > BLOCKED"]
    assert snapshot.state(Key("PHONE_NUMBER", "1", "can_send_message")).reasons == (PAYMENT,)
    assert {transition.caused_by for transition in transitions if transition.entity_type == "TARGET"} == {
        "PHONE_NUMBER 1"
    }
    _, back = fold([seen(number, *both, overall=BLOCKED_OVERALL) for number in (6, 7)], snapshot=snapshot)
    assert [short(transition) for transition in back if transition.entity_type == "PHONE_NUMBER"] == []


@pytest.mark.parametrize(
    ("listed", "overall"),
    [
        pytest.param([node("WABA", "w", "A")], WELL_OVERALL, id="the overall status is well"),
        pytest.param([node("WABA", "w", "A")], {"can_send_message": "LIMITED"}, id="the overall status is better"),
        pytest.param([node("WABA", "w", "B")], BLOCKED_OVERALL, id="another entity is as bad"),
        pytest.param(
            [node("WABA", "w", "A", **{CALLING: "BLOCKED"})], BLOCKED_OVERALL, id="another capability is as bad"
        ),
    ],
)
def test_an_entity_that_is_missing_is_gone_where(listed, overall):
    observations = [seen(0, phone("B"), node("WABA", "w", "A"), overall=BLOCKED_OVERALL)]
    observations += [seen(number, *listed, overall=overall) for number in (1, 2)]
    assert "PHONE_NUMBER 1: BLOCKED > GONE" in [short(transition) for transition in fold(observations)[1]]


@pytest.mark.parametrize("implausible", [False, True])
def test_entities_that_are_new_in_each_answer_neither_fill_the_snapshot_nor_end_what_was_known(implausible):
    snapshot, _ = fold([seen(0, phone("L", PAYMENT))])
    for number in range(1, 12):
        flood = tuple(node("WABA", f"{number}-{index}", "L", VERIFICATION) for index in range(49))
        report = Report(flood, BLOCKED_OVERALL, implausible=implausible)
        snapshot = detect(snapshot, Observation("t", minute(number), report), USUAL).snapshot
    assert len(snapshot.states) < 200
    assert snapshot.state(Key("PHONE_NUMBER", "1", "can_send_message")).status == "LIMITED"


def test_what_an_implausible_answer_does_not_name_is_not_gone():
    flood = Report((node("WABA", "w", "B"),), implausible=True)
    snapshot, _ = fold([seen(0, phone("B"), overall=WELL_OVERALL)])
    observations = [Observation("t", minute(number), flood) for number in range(1, 5)]
    assert [short(transition) for transition in fold(observations, snapshot=snapshot)[1]] == ["WABA w: None > BLOCKED"]


def test_what_does_not_change_is_not_written():
    healthy, _ = fold([seen(0, phone("A"), node("WABA", "w", "A"))])
    assert detect(healthy, seen(1, phone("A"), node("WABA", "w", "A")), USUAL).snapshot is healthy


def test_a_target_that_is_not_watched_any_more_closes_what_it_held_and_goes_on_counting():
    snapshot, _ = fold([seen(0, phone("B", PAYMENT), node("WABA", "w", "A")), seen(1, "disabled")])
    found = forget(snapshot, minute(5), "unwatched")
    assert [short(transition) for transition in found.transitions] == [
        "WABA w: AVAILABLE > GONE",
        "PHONE_NUMBER 1: BLOCKED > GONE",
        f"TARGET t {READABLE}: UNKNOWN > GONE",
    ]
    assert [transition.seq for transition in found.transitions] == [
        snapshot.seq + 1,
        snapshot.seq + 2,
        snapshot.seq + 3,
    ]
    again = detect(found.snapshot, seen(6, phone("B")), USUAL)
    assert (again.transitions[0].old, again.transitions[0].seq) == (None, snapshot.seq + 4)


def test_what_was_forgotten_is_not_forgotten_again():
    empty = Snapshot("t", version=3, seq=2, observed_at=minute(0))
    assert forget(empty, minute(1), "unwatched").snapshot is empty


def test_forgetting_after_the_clock_was_set_back_keeps_the_order_of_time():
    snapshot, _ = fold([seen(60, phone("B"))])
    found = forget(snapshot, minute(0), "unwatched")
    assert found.transitions[0].at == found.snapshot.observed_at
    assert minute(60) < found.snapshot.observed_at < minute(61), "the log has one row for each instant"
