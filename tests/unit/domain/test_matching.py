import pytest

from tests.unit.domain.incidents import BOTH, FLEET, RESOLVED, bad, involved
from wabawatch.domain.health import CALLING, READABLE, Reason, TargetInfo
from wabawatch.domain.routing import Rules
from wabawatch.domain.silence import Matcher, matches


def facts_about(incident):
    return Rules().build_facts(incident, involved(incident), FLEET)


@pytest.mark.parametrize(
    ("matcher", "one", "every"),
    [
        pytest.param(Matcher(), True, True, id="no condition matches everything"),
        pytest.param(Matcher(status=("BLOCKED",)), True, True, id="its status"),
        pytest.param(Matcher(status=("LIMITED", "BLOCKED")), True, True, id="one of two statuses"),
        pytest.param(Matcher(status=("LIMITED",)), False, False, id="another status"),
        pytest.param(Matcher(severity=("critical",)), True, True, id="its severity"),
        pytest.param(Matcher(entity_type=("BUSINESS",)), True, True, id="its entity type"),
        pytest.param(Matcher(entity_type=("WABA",)), False, False, id="another entity type"),
        pytest.param(Matcher(entity=("b",)), True, True, id="its entity by id"),
        pytest.param(Matcher(entity=("BUSINESS:b",)), True, True, id="its entity by type and id"),
        pytest.param(Matcher(entity=("WABA:b",)), False, False, id="another type with this id"),
        pytest.param(Matcher(capability=("can_send_message",)), True, True, id="its capability"),
        pytest.param(Matcher(capability=(CALLING,)), False, False, id="another capability"),
        pytest.param(Matcher(reason_code=(1, 141006)), True, True, id="one of its codes"),
        pytest.param(Matcher(reason_code=(141014,)), False, False, id="another code"),
        pytest.param(Matcher(affected_at_least=2), True, True, id="large enough"),
        pytest.param(Matcher(affected_at_least=3), False, False, id="too small"),
        pytest.param(Matcher(target=("a",)), True, False, id="one of its targets"),
        pytest.param(Matcher(target=("a", "b")), True, True, id="all of its targets"),
        pytest.param(Matcher(labels={"team": "sales"}), True, False, id="a label of one target"),
        pytest.param(Matcher(labels={"client": "acme"}), True, True, id="a label of all targets"),
        pytest.param(
            Matcher(labels={"team": "sales", "client": "acme"}), True, False, id="labels of one and the same target"
        ),
        pytest.param(
            Matcher(target=("a",), labels={"team": "sales"}), False, False, id="labels and ids of different targets"
        ),
        pytest.param(
            Matcher(status=("BLOCKED",), entity_type=("WABA",)), False, False, id="only some of the conditions"
        ),
    ],
)
def test_a_rule_needs_one_affected_target_and_a_mute_needs_them_all(matcher, one, every):
    facts = facts_about(BOTH)
    assert (matches(matcher, facts), matches(matcher, facts, every=True)) == (one, every)


def test_a_resolved_incident_is_matched_as_it_was_at_its_worst():
    facts = facts_about(RESOLVED)
    assert (facts.status, [one.id for one in facts.affected], facts.codes) == ("BLOCKED", ["a"], frozenset())


def test_a_target_that_is_not_configured_any_more_has_no_labels():
    assert facts_about(bad("z")).affected == (TargetInfo("z", "z"),)


@pytest.mark.parametrize(
    ("incident", "severity"),
    [
        pytest.param(bad("a"), "critical", id="blocked"),
        pytest.param(bad("a", status="L"), "warning", id="limited"),
        pytest.param(bad("a", status="P"), "error", id="a word nobody knows"),
        pytest.param(bad("a", entity_type="MESSAGE_TEMPLATE"), "error", id="a blocked template"),
        pytest.param(bad("a", capability=CALLING, was_available=True), "warning", id="blocked calling"),
        pytest.param(bad("a", status="UNKNOWN", capability=READABLE), "warning", id="unread"),
        pytest.param(
            bad("a", status="UNKNOWN", capability=READABLE, reasons=(Reason(description="disabled"),)),
            "error",
            id="a channel that is closed",
        ),
        pytest.param(bad("a", status="UNKNOWN", entity_type="MONITOR"), "error", id="the monitor itself"),
        pytest.param(RESOLVED, "critical", id="resolved: as it was at its worst"),
    ],
)
def test_the_usual_severity(incident, severity):
    assert facts_about(incident).severity == severity
