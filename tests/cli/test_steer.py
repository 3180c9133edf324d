"""`ack` and `silence`."""

from __future__ import annotations

from datetime import datetime

import pytest


def test_an_acknowledgement_is_listed_with_its_author(site):
    incident = site.block()
    said = site.ok("ack", incident[:6], "--author", "ann", "--note", "billing is on it", "--for", "4h")
    assert said.startswith(f"ann acknowledged incident {incident} (Support Germany cannot send messages), until 2")
    assert site.document("incidents")["incidents"][0]["acknowledged_by"] == "ann"
    assert "acknowledged by ann" in site.ok("explain", incident)


def test_an_incident_that_is_over_cannot_be_acknowledged(site):
    incident = site.block()
    site.server.heal()
    site.once(times=2)
    done = site.call("ack", incident)
    assert done.exit_code == 64
    assert "was resolved at" in done.stderr


def test_the_end_of_an_acknowledgement_must_lie_ahead(site):
    incident = site.block()
    done = site.call("ack", incident, "--until", "2020-01-01")
    assert done.exit_code == 64
    assert "must be in the future" in done.stderr


def test_a_silence_mutes_until_it_is_ended(site):
    site.once()
    added = site.document("silence", "add", "--target", "support-de", "--for", "2h", "--reason", "SIM swap")
    site.block()
    assert site.once()["deliveries"]["sent"] == 0
    assert site.ok("silence", "expire", added["id"]) == f"silence {added['id']} expired\n"
    assert site.once()["deliveries"]["sent"] == 1


def test_silences_are_listed_until_they_are_over(site):
    assert site.ok("silence", "list") == "no silences\n"
    added = site.document(
        "silence", "add", "--label", "team=sales", "--status", "limited", "--until", "2999-01-01",
        "--start", "2998-12-31", "--reason", "later", "--author", "ann",
    )  # fmt: skip
    found = site.document("silence", "list")
    assert found == {"version": 1, "silences": [added]}
    assert list(added) == ["version", "id", "match", "author", "reason", "starts_at", "ends_at"]
    assert added["match"] == {"status": ["LIMITED"], "labels": {"team": "sales"}}
    assert datetime.fromisoformat(added["ends_at"]).year == 2999
    shown = site.ok("silence", "list")
    assert "status LIMITED, label team=sales" in shown
    assert "from 2998-12-31" in shown
    site.ok("silence", "expire", added["id"])
    assert site.document("silence", "list")["silences"] == []
    assert len(site.document("silence", "list", "--all")["silences"]) == 1


def test_a_silence_of_everything_must_say_so(site):
    site.once()
    assert "everything" in site.ok("silence", "add", "--all", "--for", "1h", "--reason", "move")
    done = site.call("silence", "add", "--all", "--target", "support-de", "--for", "1h", "--reason", "x")
    assert done.exit_code == 64


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\nb", id="a line break"),
        pytest.param("a\x1b[2Jb", id="an escape sequence"),
        pytest.param("a\x9b2Jb", id="an escape sequence of one byte"),
        pytest.param("a\x7fb", id="a deletion"),
        pytest.param("a\u2028b", id="a line separator"),
        pytest.param("a\udcffb", id="a byte that is no text"),
    ],
)
def test_what_people_say_is_refused_with_control_characters(site, text):
    incident = site.block()
    silence = ["silence", "add", "--all", "--for", "1h"]
    for option, command in {
        "--reason": [*silence, "--author", "ann"],
        "--author": [*silence, "--reason", "move"],
        "--note": ["ack", incident],
    }.items():
        done = site.call(*command, option, text)
        assert done.exit_code == 64, done.output
        assert f"Invalid value for '{option}': contains a control character" in done.stderr
        assert text not in done.output
    for option, value in {"--entity": text, "--capability": text, "--label": f"team={text}"}.items():
        done = site.call("silence", "add", "--for", "1h", "--reason", "move", option, value)
        assert done.exit_code == 64, done.output
        assert f"Invalid value for '{option}': contains a control character" in done.stderr
    assert site.call("ack", incident, "--author", text).exit_code == 64
    assert site.document("silence", "list", "--all")["silences"] == []


def test_what_people_say_may_be_in_any_language(site):
    said = "Überzahlung geklärt, « déjà vu » 支払い ✅"
    site.ok("silence", "add", "--all", "--for", "1h", "--reason", said, "--author", "Zoë")
    (found,) = site.document("silence", "list")["silences"]
    assert (found["reason"], found["author"]) == (said, "Zoë")
