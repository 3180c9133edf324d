"""`run`: once, as lines, as documents."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.domain.sharding import Run


def test_the_document_of_a_run_has_exactly_the_public_fields(site):
    site.once()
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
    found = site.once()
    assert list(found) == [
        "version", "run_id", "started_at", "finished_at", "targets", "transitions", "incidents", "deliveries",
    ]  # fmt: skip
    assert found["version"] == 1
    assert found["targets"] == {"expected": 3, "answered": 3, "unknown": 0, "skipped": 0}
    assert found["incidents"] == {"open": 1, "opened": 1, "resolved": 0}
    assert found["deliveries"] == {"sent": 1, "failed": 0, "pending": 0}
    (one,) = found["transitions"]
    assert list(one) == ["target", "entity_type", "entity_id", "capability", "old", "new", "seq", "at"]
    assert (one["target"], one["entity_type"], one["old"], one["new"], one["seq"]) == (
        "support-de", "WABA", "AVAILABLE", "BLOCKED", 1,
    )  # fmt: skip


def test_a_run_with_json_prints_one_line_and_the_console_goes_to_standard_error(site):
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
    done = site.call("run", "--once", "--json")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1
    assert "Support Germany cannot send messages" in done.stderr


def test_a_run_that_did_its_duty_exits_0_whatever_it_found(site):
    site.server.set("business:acme", status="BLOCKED")
    site.server.set("orders-pl", failure="unauthorized")
    assert site.call("run", "--once").exit_code == 0


def test_elsewhere_a_run_prints_a_line_for_each_transition_and_notification(site):
    site.once()
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
    shown = site.ok("run", "--once")
    assert "support-de: WABA " in shown
    assert "can_send_message AVAILABLE → BLOCKED: 141006 " in shown
    assert "Z notified console: Support Germany cannot send messages" in shown
    assert "read 3 of 3 targets; 1 transition; 1 incident open; 1 notification delivered" in shown
    assert "\x1b" not in shown


def test_a_delivery_that_failed_is_said_without_its_url(site):
    site.environment["HOOK"] = "http://127.0.0.1:9/services/T/B/hidden"
    site.configure(destinations={"ops": {"kind": "slack", "webhook_url": "env:HOOK"}})
    site.server.set("waba:acme-eu", status="BLOCKED")
    done = site.call("run", "--once")
    assert done.exit_code == 0
    assert "NOT notified ops: Support Germany cannot send messages (" in done.stdout
    assert "hidden" not in done.output


def test_a_configuration_that_turned_bad_is_loud_and_the_last_good_one_goes_on(site):
    with Running(site, "--interval", "1s") as run:
        run.next_document()
        site.server.set("waba:acme-eu", status="BLOCKED")
        site.config.write_text("targets: [")
        found = run.next_document(lambda one: one["incidents"]["open"] == 2)
        assert found["targets"]["expected"] == 3
    assert "the last good configuration stays in use" in run.errors


def test_a_state_that_is_gone_for_a_while_is_loud_and_watching_goes_on(site):
    state = sqlite3.connect(site.folder / "state.db", isolation_level=None)
    with Running(site, "--interval", "1s") as run:
        run.next_document()
        state.execute("ALTER TABLE runs RENAME TO taken_away")
        run.wait_for_error()
        state.execute("ALTER TABLE taken_away RENAME TO runs")
        site.server.set("waba:acme-eu", status="BLOCKED")
        run.next_document(lambda one: one["incidents"]["open"] == 1)
    state.close()
    assert run.code == 0


@pytest.mark.parametrize(
    ("option", "said", "unsaid"),
    [
        pytest.param("-v", ["3 targets", "2 of 3 answered", "console: opened "], ["sales-br: AVAILABLE"], id="once"),
        pytest.param("-vv", ["sales-br: AVAILABLE", "orders-pl: unauthorized: HTTP 401"], [], id="twice: each target"),
    ],
)
def test_verbose_says_on_standard_error_what_is_done(site, option, said, unsaid):
    site.server.set("waba:acme-eu", status="BLOCKED")
    site.server.set("orders-pl", failure="unauthorized")
    done = site.call(option, "run", "--once", "--json")
    assert [one for one in said if one not in done.stderr] == []
    assert [one for one in unsaid if one in done.stderr] == []
    assert len(done.stdout.splitlines()) == 1


class Running:
    """`run --json` in a process of its own, ended in order by SIGINT."""

    def __init__(self, site, *arguments):
        self.command = [sys.executable, "-m", "wabawatch", "run", "--json", *arguments]
        self.environment = os.environ | site.environment
        self.log = site.folder / "errors"

    def __enter__(self):
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        self.code = self.process.returncode

    @property
    def errors(self):
        return self.log.read_text()

    def next_document(self, wanted=lambda _: True):
        while True:
            found = json.loads(self.process.stdout.readline())
            if wanted(found):
                return found

    def wait_for_error(self):
        deadline = time.monotonic() + 30
        while not self.errors and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.errors


def test_ctrl_c_ends_a_run_cleanly_and_what_was_read_is_recorded(site):
    site.server.set("waba:acme-eu", status="BLOCKED")
    with Running(site, "--interval", "1h") as run:
        run.next_document()
    assert run.code == 0
    assert "Traceback" not in run.errors
    assert site.document("status")["counts"]["BLOCKED"] == 1


def test_ctrl_c_in_the_middle_of_a_pass_records_what_was_read_and_exits_130_for_once(site):
    site.server.set("orders-pl", failure={"kind": "slow", "delay": "3s"})
    process = subprocess.Popen(
        [sys.executable, "-m", "wabawatch", "run", "--once", "--json"],
        env=os.environ | site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while site.server.requests()["total"] < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out)["targets"]["expected"] == 3
    assert "Traceback" not in err
    assert site.document("status")["targets"]


def test_between_passes_retries_are_made_when_they_are_due(site):
    site.environment["HOOK"] = "http://127.0.0.1:9/services/T/B/hidden"
    site.configure(
        destinations={"ops": {"kind": "slack", "webhook_url": "env:HOOK"}},
        policy={"retry": {"first": "1s", "most": "1s"}},
    )
    site.server.set("waba:acme-eu", status="BLOCKED")
    environment = os.environ | site.environment
    process = subprocess.Popen(
        [sys.executable, "-m", "wabawatch", "run", "--interval", "1h"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen = []
    assert process.stdout is not None
    while sum("NOT notified ops" in line for line in seen) < 2:
        seen.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [["simulate", "--port", "0"], ["demo", "--interval", "1s"]])
def test_the_simulator_s_commands_end_cleanly(arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "wabawatch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_the_demo_tells_the_story_and_ends_by_itself():
    done = subprocess.run(
        [sys.executable, "-m", "wabawatch", "demo", "--interval", "1s", "--for", "2s"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Deliveries Poland can send messages only within limits" in done.stdout


def test_simulate_writes_a_configuration_and_says_how_to_watch(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "wabawatch", "simulate", "--port", "0", "--write-config", str(tmp_path / "fleet")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert "http://127.0.0.1:" in lines[0]
    assert f"--config {tmp_path / 'fleet' / 'config.yaml'}" in lines[1]
    assert (tmp_path / "fleet" / "config.yaml").exists()


def test_a_port_that_is_taken_exits_75(site):
    done = site.call("simulate", "--port", str(site.server.port))
    assert done.exit_code == 75
    assert "--port" in done.stderr


def remember_an_old_run(site):
    store = SqliteStore(site.folder / "state.db")
    store.save_run(Run("old", 0, 1, datetime.now(UTC) - timedelta(days=11), expected=1))
    site.configure(history_days=10)
    return store


def test_a_run_forgets_what_is_older_than_the_history(site):
    store = remember_an_old_run(site)
    site.ok("run", "--once")
    assert "old" not in {one.id for one in store.runs(10)}
    store.close()


def test_passes_forget_what_is_older_than_the_history(site):
    store = remember_an_old_run(site)
    with Running(site, "--interval", "1s") as run:
        run.next_document()
        run.next_document()
    assert "old" not in {one.id for one in store.runs(100)}
    store.close()
