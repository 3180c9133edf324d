"""`probe` and `status`."""

from __future__ import annotations

import pytest

from wabawatch.cli.health import plugin_code

STATUSES = [("AVAILABLE", 0), ("LIMITED", 1), ("BLOCKED", 2), ("UNKNOWN", 3)]


@pytest.mark.parametrize(("status", "code"), [*STATUSES, ("SUSPENDED", 3)])
def test_the_exit_code_is_the_monitoring_plugins(status, code):
    assert plugin_code(status) == code


@pytest.mark.parametrize(("status", "code"), STATUSES[:3])
def test_a_probe_exits_by_the_status(site, status, code):
    site.server.set("waba:acme-eu", status=status)
    assert site.call("probe", "support-de").exit_code == code


def test_the_json_of_a_probe_has_exactly_the_public_fields(site):
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006], info=["a hint"])
    found = site.document("probe", "support-de")
    assert list(found) == [
        "version", "target", "observed_at", "status", "cause", "detail", "capabilities", "entities", "contradictions",
    ]  # fmt: skip
    assert (found["version"], found["target"], found["status"]) == (1, "support-de", "BLOCKED")
    assert (found["cause"], found["detail"]) == (None, None)
    assert found["observed_at"].endswith("Z")
    assert found["capabilities"] == {"can_send_message": "BLOCKED"}
    (waba,) = [one for one in found["entities"] if one["entity_type"] == "WABA"]
    assert list(waba) == ["entity_type", "id", "capabilities", "reasons"]
    assert [list(reason) for reason in waba["reasons"]] == [
        ["code", "description", "possible_solution", "capability"]
    ] * 2
    assert [reason["code"] for reason in waba["reasons"]] == [141006, None]
    assert waba["reasons"][1]["description"] == "a hint"


def test_a_probe_that_fails_is_unknown_with_its_cause(site):
    site.server.set("support-de", failure="unauthorized")
    done = site.call("probe", "support-de")
    assert done.exit_code == 3
    assert "unauthorized: HTTP 401" in done.stdout
    assert "→ whoever keeps the API keys: Compare the key" in done.stdout
    found = site.document("probe", "support-de")
    assert (found["status"], found["cause"]) == ("UNKNOWN", "unauthorized")
    assert found["detail"]
    assert (found["capabilities"], found["entities"], found["contradictions"]) == ({}, [], [])


def test_contradictions_are_shown(site):
    site.server.set("support-de", oddities=["contradictory_overall"])
    assert site.document("probe", "support-de")["contradictions"]
    assert "contradiction:" in site.call("probe", "support-de").stdout


def test_an_overall_status_that_no_entity_explains_is_the_target_s(site):
    site.server.set("support-de", oddities=["contradictory_overall", "overall_calling"])
    found = site.document("probe", "support-de")
    assert found["capabilities"] == {"can_receive_call_sip": "BLOCKED", "can_send_message": "AVAILABLE"}
    site.server.set("support-de", oddities=["contradictory_overall"])
    found = site.document("probe", "support-de")
    assert found["capabilities"] == {"can_send_message": "BLOCKED"}
    assert site.call("probe", "support-de").exit_code == 2


def test_an_answer_about_a_misspelt_capability_is_unknown_and_names_it(site):
    site.server.set("support-de", oddities=["misspelt_capability"])
    done = site.call("probe", "support-de")
    assert done.exit_code == 3
    assert "unreadable: the answer holds no can_send_message, but can_send_messages" in done.stdout


def test_no_output_of_a_probe_holds_the_key(site):
    key = next(number["key"] for number in site.server.numbers() if number["id"] == "support-de")
    for failure in ("unauthorized", "html", "redirect", "truncated"):
        site.server.set("support-de", failure=failure)
        assert key not in site.call("probe", "support-de", "-vv").output


def test_a_fleet_that_was_never_read_is_unknown(site):
    done = site.call("status")
    assert done.exit_code == 3
    assert "no answer so far" in done.stdout
    assert "start `wabawatch run`" in done.stdout


def test_status_shows_the_worst_first_with_the_entity_at_fault_and_exits_by_it(site):
    site.block()
    done = site.call("status")
    first = done.stdout.splitlines()[1]
    assert done.exit_code == 2
    assert first.startswith("BLOCKED")
    assert "support-de" in first
    assert "WABA" in first
    assert "141006" in first
    assert "1 BLOCKED, 2 AVAILABLE" in done.stdout


def test_the_json_of_status(site):
    site.block()
    found = site.document("status")
    assert list(found) == ["version", "at", "deployment", "status", "read_at", "counts", "targets"]
    assert (found["version"], found["status"], found["counts"]) == (1, "BLOCKED", {"BLOCKED": 1, "AVAILABLE": 2})
    worst = found["targets"][0]
    assert list(worst) == [
        "target", "name", "labels", "status", "since", "cause", "detail", "last_known", "entity", "reasons",
        "capabilities", "contradictions",
    ]  # fmt: skip
    assert (worst["target"], worst["name"], worst["labels"]) == ("support-de", "Support Germany", {"team": "support"})
    assert worst["entity"]["entity_type"] == "WABA"
    assert [reason["code"] for reason in worst["reasons"]] == [141006]


def test_a_target_that_cannot_be_read_is_unknown_and_keeps_what_was_known(site):
    site.once()
    site.server.set("support-de", failure="unauthorized")
    site.once(times=3)
    worst = site.document("status")["targets"][0]
    assert (worst["target"], worst["status"], worst["cause"]) == ("support-de", "UNKNOWN", "unauthorized")
    assert worst["last_known"] == "AVAILABLE"
    assert site.call("status").exit_code == 3
    assert "was AVAILABLE" in site.call("status").stdout


def test_a_key_that_is_refused_at_the_first_reading_is_shown_before_it_is_confirmed(site):
    site.server.set("support-de", failure="unauthorized")
    site.once()
    worst = site.document("status")["targets"][0]
    assert (worst["status"], worst["cause"], worst["last_known"]) == ("UNKNOWN", "unauthorized", None)
    shown = site.call("status").stdout
    assert "unauthorized: HTTP 401" in shown
    assert "not confirmed yet" in shown


def test_a_healthy_target_whose_latest_reading_failed_says_so_and_stays_healthy(site):
    site.once()
    site.server.set("support-de", failure="bad_gateway")
    site.once()
    shown = site.call("status")
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stdout.splitlines() if "support-de" in line]
    assert line.startswith("AVAILABLE")
    assert "provider_error: HTTP 502" in line
    site.server.heal()
    site.once()
    assert "HTTP 502" not in site.call("status").stdout


def test_a_target_with_a_fault_goes_on_showing_it_when_a_reading_fails(site):
    site.block()
    site.server.set("support-de", failure="bad_gateway")
    site.once()
    first = site.call("status").stdout.splitlines()[1]
    assert "141006" in first
    assert "HTTP 502" not in first
    assert site.document("status")["targets"][0]["cause"] == "provider_error"


def test_hostile_text_from_the_api_does_nothing_to_the_terminal(site):
    site.server.set(
        "waba:acme-eu", status="BLOCKED", reasons=[{"code": 1, "description": "\x1b[2Jgone [red]x[/red]\nnext"}]
    )
    site.once()
    for arguments in (["status"], ["probe", "support-de"], ["history"], ["incidents"], ["explain", "support-de"]):
        shown = site.call(*arguments).stdout
        assert "\x1b" not in shown
        assert "gone" in shown
        assert not any(line.startswith("next") for line in shown.splitlines())
