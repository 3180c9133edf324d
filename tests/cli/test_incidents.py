"""`incidents`, `history`, `explain`."""

from __future__ import annotations

import pytest

from wabawatch.cli.output import decided
from wabawatch.domain.decision import HoldReason


def test_nothing_open_is_said(site):
    site.once()
    assert site.ok("incidents") == "no open incidents\n"
    assert site.document("incidents")["incidents"] == []


def test_an_incident_is_listed_with_what_it_is_about(site):
    incident = site.block()
    shown = site.ok("incidents")
    assert f"{incident}  BLOCKED" in shown
    assert "Support Germany cannot send messages" in shown
    assert "console" in shown


def test_the_json_of_an_incident(site):
    site.block()
    found = site.document("incidents")
    assert list(found) == ["version", "at", "incidents"]
    (one,) = found["incidents"]
    assert list(one) == [
        "id", "entity_type", "entity_id", "capability", "title", "status", "worst", "severity", "opened_at",
        "changed_at", "resolved_at", "resolution", "preexisting", "flapping_since", "acknowledged_by",
        "affected", "reasons",
    ]  # fmt: skip
    assert (one["entity_type"], one["status"], one["severity"]) == ("WABA", "BLOCKED", "critical")
    assert one["affected"] == ["support-de"]


def test_what_is_over_is_listed_with_all(site):
    incident = site.block()
    site.server.heal()
    site.once(times=2)
    assert site.document("incidents")["incidents"] == []
    (one,) = site.document("incidents", "--all")["incidents"]
    assert (one["id"], one["status"], one["resolution"]) == (incident, "AVAILABLE", "recovered")
    title = "Support Germany could not send messages"
    assert (one["title"], site.document("explain", incident)["incident"]["title"]) == (title, title)
    assert title in site.ok("incidents", "--all")


def test_history_is_the_latest_first_with_its_reasons(site):
    site.once()
    site.block()
    site.server.heal()
    site.once(times=2)
    found = site.document("history", "support-de")["transitions"]
    assert [(one["old"], one["new"]) for one in found] == [("BLOCKED", "AVAILABLE"), ("AVAILABLE", "BLOCKED")]
    assert list(found[0]) == [
        "target", "entity_type", "entity_id", "capability", "old", "new", "seq", "at", "since", "reasons", "caused_by",
        "run_id",
    ]  # fmt: skip
    assert [one["seq"] for one in found] == [2, 1]
    assert "AVAILABLE → BLOCKED" in site.ok("history")


def test_history_is_filtered(site):
    site.once()
    site.block()
    site.server.set("number:orders-pl", status="LIMITED", reasons=[141000])
    site.once()

    def targets(*arguments):
        return {one["target"] for one in site.document("history", *arguments)["transitions"]}

    assert targets() == {"support-de", "orders-pl"}
    assert targets("support-de") == {"support-de"}
    assert targets("--status", "limited") == {"orders-pl"}
    assert targets("--reason-code", "141006") == {"support-de"}
    assert targets("--capability", "can_receive_call_sip") == set()
    assert targets("--since", "1h") == {"support-de", "orders-pl"}
    assert targets("--until", "1h") == set()
    waba = next(one for one in site.document("history")["transitions"] if one["entity_type"] == "WABA")
    assert targets("--entity", f"WABA:{waba['entity_id']}") == {"support-de"}
    assert targets("--entity", waba["entity_id"]) == {"support-de"}
    assert len(site.document("history", "--limit", "1")["transitions"]) == 1


def test_a_target_without_changes_has_an_empty_history(site):
    site.once()
    assert site.ok("history", "support-de") == "no transitions\n"


def test_explain_tells_the_chain_of_an_incident(site):
    incident = site.block()
    shown = site.ok("explain", incident)
    assert "1 observation of 1 needed: BLOCKED at" in shown
    assert "AVAILABLE → BLOCKED" in shown or "first seen BLOCKED" in shown
    assert "console  notified of BLOCKED at" in shown
    assert "nothing to send now: up to date; next check at" in shown
    assert site.ok("explain", incident[:5]) == shown or incident[:5] in shown


def test_the_json_of_explain(site):
    incident = site.block()
    found = site.document("explain", incident)
    assert list(found) == ["version", "at", "incident", "seen", "changes", "routes", "destinations"]
    (notified,) = found["destinations"]
    assert list(notified) == [
        "destination", "notified", "notified_at", "times", "decision", "why", "due_at", "attempts", "failing_since",
        "retry_at", "error",
    ]  # fmt: skip
    assert (notified["destination"], notified["notified"], notified["times"], notified["decision"]) == (
        "console",
        "BLOCKED",
        1,
        None,
    )
    assert notified["why"] == "up_to_date"
    assert notified["due_at"]


def test_explain_says_who_is_not_on_a_route_and_which_route_matches(site):
    site.configure(
        destinations={"ops": {"kind": "console"}, "billing": {"kind": "console"}},
        routes=[{"match": {"status": "LIMITED"}, "to": ["billing"]}, {"to": ["ops"], "stop": True}],
    )
    incident = site.block()
    found = site.document("explain", incident)
    assert found["routes"] == [{"number": 2, "to": ["ops"], "stop": True}]
    whys = {one["destination"]: one["why"] for one in found["destinations"]}
    assert whys == {"ops": "up_to_date", "billing": "not_routed"}
    shown = site.ok("explain", incident)
    assert "billing  not notified yet" in shown
    assert "no route matches" in shown


def test_explain_says_that_a_dead_destination_is_told_through_all_others_where_every_route_leads_to_it(site):
    site.environment["HOOK"] = f"{site.server.url}/no/such/webhook"
    site.configure(
        destinations={"dead": {"kind": "slack", "webhook_url": "env:HOOK"}, "ops": {"kind": "console"}},
        routes=[{"to": ["dead"]}, {"match": {"status": "BLOCKED", "entity_type": "PHONE_NUMBER"}, "to": ["ops"]}],
        policy={"group_wait": "0s"},
    )
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
    site.once(times=2)
    dead = next(one for one in site.document("incidents")["incidents"] if one["entity_type"] == "DESTINATION")
    found = site.document("explain", dead["id"])
    assert found["routes"] == []
    assert {one["destination"]: one["why"] for one in found["destinations"]} == {
        "dead": "about_itself",
        "ops": "up_to_date",
    }
    shown = site.ok("explain", dead["id"])
    assert "no matching route leads to another destination: all others are notified" in shown
    assert "the incident is about this destination" in shown


@pytest.mark.parametrize("reason", [one for one in HoldReason if one != HoldReason.MUTED])
def test_every_reason_for_telling_nothing_has_its_words(reason):
    assert decided(reason) != reason


def test_explain_names_the_silence_that_holds_and_when_it_ends(site):
    site.configure(policy={"group_wait": "0s"})
    site.once()
    site.ok("silence", "add", "--target", "support-de", "--for", "2h", "--reason", "SIM swap", "--author", "ann")
    incident = site.block()
    shown = site.ok("explain", incident)
    assert "console  not notified yet" in shown
    assert "by ann: SIM swap" in shown
    assert "next check at" in shown


def test_explain_tells_a_failing_delivery_and_its_next_attempt(site):
    site.configure(destinations={"ops": {"kind": "slack", "webhook_url": "env:NO_SUCH"}}, policy={"group_wait": "0s"})
    site.environment["NO_SUCH"] = "http://127.0.0.1:9/services/T/B/secret"
    incident = site.block()
    shown = site.ok("explain", incident)
    assert "1 delivery failed since" in shown
    assert "a delivery failed and will be retried" in shown
    assert "secret" not in shown


def test_explain_tells_what_a_target_s_thresholds_wait_for(site):
    site.once()
    site.block()
    site.server.heal()
    site.once()
    shown = site.ok("explain", "support-de")
    assert "1 of 2 observations in a row for AVAILABLE" in shown
    found = site.document("explain", "support-de")
    assert list(found) == ["version", "at", "target", "states", "observations", "transitions", "incidents"]
    (waiting,) = [one for one in found["states"] if one["towards"]]
    assert (waiting["towards"], waiting["count"], waiting["needed"]) == ("AVAILABLE", 1, 2)
    assert len(found["incidents"]) == 1


def test_each_target_of_a_large_incident_is_listed_and_explained_as_part_of_it(crowd):
    (incident,) = crowd.document("incidents")["incidents"]
    ids = [target["id"] for target in crowd.settings["targets"]]
    assert incident["affected"] == sorted(ids)
    assert incident["title"] == "30 numbers cannot send messages"
    for target in ids:
        (found,) = crowd.document("explain", target)["incidents"]
        assert found["incident"]["id"] == incident["id"]
