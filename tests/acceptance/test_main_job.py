"""What a user is promised, through the command line, against a simulated API and a Slack-like webhook."""

from __future__ import annotations

import json
import random
import re
import signal
import time

import pytest

FORTY = {"count": 40, "wabas": 40, "businesses": 1}


def number(site):
    return site.server.numbers()[0]


def test_blocked_and_back_is_one_alert_and_one_recovery(site, sink):
    first = number(site)
    assert site.once()["transitions"] == []
    site.server.set("waba:waba-1", status="BLOCKED", reasons=[141006])
    site.once()
    site.once()
    site.server.heal()
    site.once()
    site.once()
    site.once()

    alert, recovery = sink.texts()
    for wanted in (first["name"], "AVAILABLE", "BLOCKED", "141006", "payment", "suggest"):
        assert wanted.lower() in alert.lower()
    assert first["name"] in recovery
    assert " s" in recovery
    assert "BLOCKED → AVAILABLE" in recovery


def test_nothing_is_said_when_nothing_changes(site, sink):
    for _ in range(3):
        assert site.once()["deliveries"] == {"sent": 0, "failed": 0, "pending": 0}
    assert sink.messages == []


@pytest.mark.parametrize("site", [FORTY], indirect=True, ids=["forty numbers of one business"])
def test_forty_numbers_of_one_blocked_business_are_one_message(site, sink):
    site.once()
    site.server.set("business:business-1", status="BLOCKED", reasons=[141010])
    assert site.once()["incidents"] == {"open": 1, "opened": 1, "resolved": 0}

    (message,) = sink.texts()
    assert "40 numbers" in message
    assert sum(one["name"] in message for one in site.server.numbers()) >= 3
    assert "more" in message


def test_a_webhook_that_fails_three_times_gets_the_message_once(site, sink):
    site.settings["policy"] = {"retry": {"first": "1ms", "most": "2ms"}}
    site.save()
    site.once()
    site.server.set("waba:waba-1", status="BLOCKED", reasons=[141006])
    sink.answers = [500, 503, 500]
    outcomes = [site.once()["deliveries"] for _ in range(5)]

    assert outcomes[0]["failed"] >= 1
    assert sum(one["failed"] for one in outcomes) == 3  # a round tries again itself when the wait is over by then
    assert outcomes[-1] == {"sent": 0, "failed": 0, "pending": 0}
    assert len(sink.messages) == 1


def test_killed_at_any_moment_nothing_is_lost(site, sink):
    """Each round kills the process at two moments of its life, then lets it live: the round's news has arrived."""
    chance = random.Random(20)  # noqa: S311 - moments, not secrets
    began = time.monotonic()
    site.once()
    whole = time.monotonic() - began
    for notified in range(1, 5):
        if notified % 2:
            site.server.set("waba:waba-1", status="BLOCKED", reasons=[141006])
        else:
            site.server.heal()
        for _ in range(2):
            process = site.start("run", "--once")
            time.sleep(chance.uniform(whole / 3, whole))
            killed(process)
        site.once()
        site.once()
        assert len(ids(sink)) == notified


def test_killed_while_it_reads_it_reads_again(site, sink):
    site.once()
    site.server.set("waba:waba-1", status="BLOCKED", reasons=[141006])
    site.server.set("*", failure={"kind": "slow", "delay": "20s", "times": 1})
    site.server.clear_requests()
    process = site.start("run", "--once")
    while not site.server.requests()["total"]:
        time.sleep(0.01)
    killed(process)
    assert sink.messages == []
    site.once()
    assert len(sink.messages) == 1


def test_killed_before_the_destination_has_answered_it_says_it_once_more_under_the_same_id(site, sink):
    site.once()
    site.server.set("waba:waba-1", status="BLOCKED", reasons=[141006])
    process = site.start("run", "--once")
    sink.heard = process.kill
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert len(sink.messages) == 1
    sink.heard = lambda: None
    for _ in range(3):
        site.once()
    assert len(sink.messages) == 2
    assert len(ids(sink)) == 1


def killed(process):
    """Dead at once, unless it has come to its own end before."""
    process.kill()
    process.communicate(timeout=30)


def ids(sink):
    return {re.search(r"notification `?([0-9a-f]{16})", text)[1] for text in sink.texts()}


def test_the_key_and_the_webhook_appear_nowhere(site, sink):
    keys = [path.read_text() for path in (site.folder / "keys").iterdir()]
    site.server.set("*", failure="unauthorized")
    sink.answers = [404, 404]
    outputs = []
    for command in (["run", "--once", "-vv"], ["status", "--json"], ["probe", number(site)["id"]], ["config", "show"]):
        done = site.call(*command)
        outputs += [done.stdout, done.stderr]
    outputs += [json.dumps(site.server.requests()), *sink.texts()]
    everything = "\n".join(outputs)
    state = (site.folder / "state.db").read_bytes()
    assert "unauthorized" in everything
    for secret in (*keys, sink.url, "secret-path"):
        assert secret.strip() not in everything
        assert secret.strip().encode() not in state
