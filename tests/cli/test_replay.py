"""`replay`: stored observations under another policy."""

from __future__ import annotations

import pytest
import yaml


@pytest.fixture
def story(site):
    """Blocked at one reading, limited beside it, recovered, and blocked for two readings."""
    site.once()
    for status in ("BLOCKED", "AVAILABLE", "AVAILABLE", "BLOCKED", "BLOCKED", "AVAILABLE", "AVAILABLE"):
        site.server.set("waba:acme-eu", status=status, reasons=[141006] if status == "BLOCKED" else [])
        site.once()
    return site


def other(site, **sections):
    path = site.folder / "other.yaml"
    path.write_text(yaml.safe_dump(site.settings | sections))
    return str(path)


def kinds(found):
    return [one["kind"] for one in found["notifications"]]


def test_the_present_policy_replayed_is_what_was_told(story):
    found = story.document("replay")
    assert list(found) == ["version", "since", "until", "notifications", "present"]
    assert kinds(found) == ["opened", "resolved", "opened", "resolved"]
    assert found["present"] == 4
    (first, *_) = found["notifications"]
    assert list(first) == ["at", "destination", "kind", "severity", "incidents", "headline"]
    assert (first["destination"], first["headline"]) == ("console", "Support Germany cannot send messages")


def test_a_higher_threshold_tells_only_what_lasted(story):
    found = story.document("replay", other(story, policy={"thresholds": {"blocked": 2}}))
    assert kinds(found) == ["opened", "resolved"]
    assert found["present"] == 4


def test_a_reading_that_was_not_stored_again_counts_as_read_again(site):
    site.once()
    site.block()
    site.once(times=3)
    found = site.document("replay", other(site, policy={"thresholds": {"blocked": 3}}))
    assert kinds(found) == ["opened"]


def test_other_destinations_and_routes_get_what_they_would(story):
    destinations = {"ops": {"kind": "console"}, "sales": {"kind": "console"}}
    routes = [{"match": {"labels": {"team": "sales"}}, "to": ["sales"]}, {"to": ["ops"]}]
    found = story.document("replay", other(story, destinations=destinations, routes=routes))
    assert {one["destination"] for one in found["notifications"]} == {"ops"}


def test_nothing_is_delivered_or_recorded(story):
    before = story.document("incidents", "--all")["incidents"]
    shown = story.ok("replay")
    assert "Support Germany cannot send messages" in shown
    assert "The API suggests" not in shown
    assert "4 notifications since" in shown
    assert story.document("incidents", "--all")["incidents"] == before


def test_only_what_lies_in_the_time_asked_for_is_shown(story):
    assert kinds(story.document("replay", "--since", "1ms")) == []
    assert story.call("replay", "--since", "1h", "--until", "2h").exit_code == 64


def test_only_these_targets_are_replayed(story):
    assert kinds(story.document("replay", "--target", "sales-br")) == []
    assert len(kinds(story.document("replay", "--target", "support-de"))) == 4


def test_no_history_replays_to_nothing(site):
    assert kinds(site.document("replay")) == []
    assert "0 notifications since" in site.ok("replay")
