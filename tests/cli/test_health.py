"""`probe` and `status`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.application.poll import PollTask
from wabawatch.bootstrap import SystemClock, build
from wabawatch.cli.target_view import status_exit_code

INTERVAL = timedelta(minutes=5)
STATUSES = [("AVAILABLE", 0), ("LIMITED", 1), ("BLOCKED", 2), ("UNKNOWN", 3)]


class Clock:
    """The machine's clock, as far ahead as a test says."""

    ahead = timedelta(0)

    def now(self):
        return datetime.now(UTC) + self.ahead

    def advance(self, **length):
        self.ahead += timedelta(**length)


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(SystemClock, "now", lambda _: found.now())
    return found


def read(site, times=1):
    """Passes over the fleet, without telling anybody."""
    app = build(site.environment["WABAWATCH_STATE"], str(site.config), site.environment)
    for _ in range(times):
        app.poll(PollTask(app.new_run_id(), app.settings.targets, interval=INTERVAL))
    app.close()


def block(site):
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
    read(site)


def line_of(site, target):
    (line,) = [line for line in site.call("status").stdout.splitlines() if target in line]
    return line


@pytest.mark.parametrize(("status", "code"), [*STATUSES, ("SUSPENDED", 3)])
def test_the_exit_code_is_the_monitoring_plugins(status, code):
    assert status_exit_code(status) == code


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
    assert "→ the owner of the API keys: Compare the key" in done.stdout
    found = site.document("probe", "support-de")
    assert (found["status"], found["cause"]) == ("UNKNOWN", "unauthorized")
    assert found["detail"]
    assert (found["capabilities"], found["entities"], found["contradictions"]) == ({}, [], [])


def test_contradictions_are_shown(site):
    site.server.set("support-de", quirks=["contradictory_overall"])
    assert site.document("probe", "support-de")["contradictions"]
    assert "contradiction:" in site.call("probe", "support-de").stdout


def test_an_overall_status_that_no_entity_explains_is_the_target_s(site):
    site.server.set("support-de", quirks=["contradictory_overall", "overall_calling"])
    found = site.document("probe", "support-de")
    assert found["capabilities"] == {"can_receive_call_sip": "BLOCKED", "can_send_message": "AVAILABLE"}
    site.server.set("support-de", quirks=["contradictory_overall"])
    found = site.document("probe", "support-de")
    assert found["capabilities"] == {"can_send_message": "BLOCKED"}
    assert site.call("probe", "support-de").exit_code == 2


def test_an_answer_about_a_misspelt_capability_is_unknown_and_names_it(site):
    site.server.set("support-de", quirks=["misspelt_capability"])
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
    assert "not read yet" in done.stdout
    assert "start `wabawatch run`" in done.stdout


def test_status_shows_the_worst_first_with_the_entity_at_fault_and_exits_by_it(site):
    block(site)
    done = site.call("status")
    first = done.stdout.splitlines()[1]
    assert done.exit_code == 2
    assert first.startswith("BLOCKED")
    assert "support-de" in first
    assert "WABA" in first
    assert "141006" in first
    assert "1 BLOCKED, 2 AVAILABLE" in done.stdout


def test_the_json_of_status(site):
    block(site)
    found = site.document("status")
    assert list(found) == [
        "version", "at", "deployment", "status", "read_at", "counts", "targets", "warning",
    ]  # fmt: skip
    assert (found["version"], found["status"], found["counts"]) == (1, "BLOCKED", {"BLOCKED": 1, "AVAILABLE": 2})
    worst = found["targets"][0]
    assert list(worst) == [
        "target", "name", "labels", "status", "since", "cause", "detail", "last_known", "entity", "reasons",
        "capabilities", "contradictions", "last_read_at",
    ]  # fmt: skip
    assert (worst["target"], worst["name"], worst["labels"]) == ("support-de", "Support Germany", {"team": "support"})
    assert worst["entity"]["entity_type"] == "WABA"
    assert [reason["code"] for reason in worst["reasons"]] == [141006]


def test_a_target_that_cannot_be_read_is_unknown_and_keeps_what_was_known(site):
    read(site)
    site.server.set("support-de", failure="unauthorized")
    read(site, 3)
    worst = site.document("status")["targets"][0]
    assert (worst["target"], worst["status"], worst["cause"]) == ("support-de", "UNKNOWN", "unauthorized")
    assert worst["last_known"] == "AVAILABLE"
    assert site.call("status").exit_code == 3
    assert "was AVAILABLE" in site.call("status").stdout


def test_a_key_that_is_refused_at_the_first_reading_is_shown_before_it_is_confirmed(site):
    site.server.set("support-de", failure="unauthorized")
    read(site)
    worst = site.document("status")["targets"][0]
    assert (worst["status"], worst["cause"], worst["last_known"]) == ("UNKNOWN", "unauthorized", None)
    shown = site.call("status").stdout
    assert "unauthorized: HTTP 401" in shown
    assert "not confirmed yet" in shown


def test_a_healthy_target_whose_latest_reading_failed_says_so_and_stays_healthy(site):
    read(site)
    site.server.set("support-de", failure="bad_gateway")
    read(site)
    shown = site.call("status")
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stdout.splitlines() if "support-de" in line]
    assert line.startswith("AVAILABLE")
    assert "provider_error: HTTP 502" in line
    site.server.heal()
    read(site)
    assert "HTTP 502" not in site.call("status").stdout


def test_a_target_with_a_fault_goes_on_showing_it_when_a_reading_fails(site):
    block(site)
    site.server.set("support-de", failure="bad_gateway")
    read(site)
    first = site.call("status").stdout.splitlines()[1]
    assert "141006" in first
    assert "HTTP 502" not in first
    assert site.document("status")["targets"][0]["cause"] == "provider_error"


def test_a_number_that_was_not_read_for_two_intervals_is_unknown_and_says_what_it_was(site, clock):
    read(site)
    clock.advance(minutes=9)
    assert site.call("status").exit_code == 0
    clock.advance(minutes=2)
    done = site.call("status")
    assert done.exit_code == 3
    assert "3 UNKNOWN" in done.stdout
    assert line_of(site, "support-de").startswith("UNKNOWN")
    assert "not read for 11 min; was AVAILABLE" in line_of(site, "support-de")
    assert "no run has ended for 11 min" in done.stdout


def test_the_json_of_status_says_when_a_number_was_last_read_and_what_it_was_then(site, clock):
    read(site)
    found = site.document("status")
    assert found["warning"] is None
    read_at = found["targets"][0]["last_read_at"]
    clock.advance(hours=1)
    found = site.document("status")
    assert found["status"] == "UNKNOWN"
    assert "no run has ended for 1 h" in found["warning"]
    (one,) = [one for one in found["targets"] if one["target"] == "support-de"]
    assert (one["status"], one["last_known"], one["last_read_at"]) == ("UNKNOWN", "AVAILABLE", read_at)
    assert one["detail"] == "not read for 1 h"


def test_a_number_that_fails_alone_is_unknown_before_its_failure_is_confirmed(site, clock):
    read(site)
    site.server.set("support-de", failure="bad_gateway")
    for _ in range(2):
        clock.advance(minutes=5, seconds=30)
        read(site)
    assert line_of(site, "support-de").startswith("UNKNOWN")
    assert "provider_error: not read for 11 min; was AVAILABLE" in line_of(site, "support-de")
    assert line_of(site, "sales-br").startswith("AVAILABLE")


def test_while_nothing_can_be_read_old_health_is_not_shown_as_if_it_were_new(site, clock):
    read(site)
    site.server.set("*", failure="bad_gateway")
    clock.advance(minutes=5)
    read(site)
    assert "3 of 3 targets could not be read by the last run" in site.call("status").stdout
    clock.advance(minutes=5)
    read(site)
    clock.advance(minutes=1)
    done = site.call("status")
    assert done.exit_code == 3
    assert "not read for 11 min; was AVAILABLE" in done.stdout
    assert "3 of 3 targets could not be read by the last run" in done.stdout


def test_a_fleet_that_could_never_be_read_has_no_answer_so_far(site):
    site.server.set("*", failure="bad_gateway")
    read(site)
    done = site.call("status")
    assert done.exit_code == 3
    assert done.stdout.count("not read yet") == 3
    assert [one["last_read_at"] for one in site.document("status")["targets"]] == [None] * 3


def test_what_is_known_to_be_blocked_decides_the_exit_code_and_what_was_blocked_does_not(site, clock):
    block(site)
    clock.advance(minutes=5, seconds=30)
    site.server.set("sales-br", failure="bad_gateway")
    read(site)
    clock.advance(minutes=5, seconds=30)
    read(site)
    done = site.call("status")
    assert "1 BLOCKED, 1 UNKNOWN, 1 AVAILABLE" in done.stdout
    assert done.exit_code == 2
    clock.advance(minutes=15)
    assert site.call("status").exit_code == 3


def test_how_often_the_fleet_is_read_decides_when_a_reading_is_too_old(site, clock):
    site.call("run", "--once", "--interval", "1h")
    clock.advance(minutes=110)
    assert site.call("status").exit_code == 0
    clock.advance(minutes=20)
    assert site.call("status").exit_code == 3


def test_a_number_that_was_added_since_the_last_run_was_not_read(site):
    targets = site.settings["targets"]
    site.configure(targets=targets[:2])
    read(site)
    site.configure(targets=targets)
    (one,) = [one for one in site.document("status")["targets"] if one["target"] == targets[2]["id"]]
    assert (one["status"], one["detail"], one["last_read_at"]) == ("UNKNOWN", "not read yet", None)


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
