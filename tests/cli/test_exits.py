"""How the program ends: exit codes, one clear line, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import yaml

from wabawatch.cli import health, incidents
from wabawatch.cli.exits import guarded
from wabawatch.errors import ConfigurationError, SchemaError, StoreError

USAGE = [
    pytest.param(["prob"], "no command 'prob'; did you mean probe?", id="a mistyped command gets the nearest"),
    pytest.param(["run", "--onec"], "--once", id="a mistyped option gets the nearest"),
    pytest.param(["probe"], "Missing argument 'TARGET'", id="a missing argument is named"),
    pytest.param(["probe", "suport-de"], "did you mean support-de?", id="an unknown target gets the nearest"),
    pytest.param(["run", "--interval", "5"], "write 30s, 5m, 1h30m or 2d", id="a bad duration is told how"),
    pytest.param(["run", "--interval", "0s"], "write 30s", id="an interval of nothing is refused"),
    pytest.param(["history", "--since", "yesterday"], "is not a time", id="a bad time is told how"),
    pytest.param(["history", "--since", "1h", "--until", "2h"], "later than", id="a span turned round is refused"),
    pytest.param(["history", "nobody"], "no target 'nobody'", id="history of nobody is refused"),
    pytest.param(["explain", "zzz"], "no incident or target 'zzz'", id="nothing to explain is refused"),
    pytest.param(["ack", "zzz"], "no incident 'zzz'", id="nothing to acknowledge is refused"),
    pytest.param(
        ["silence", "add", "--reason", "x", "--for", "1h"], "say what to mute", id="a silence needs a matcher"
    ),
    pytest.param(["silence", "add", "--all", "--reason", "x"], "needs an end", id="a silence needs an end"),
    pytest.param(
        ["silence", "add", "--all", "--reason", "x", "--for", "1h", "--until", "2h"], "exclude", id="not two ends"
    ),
    pytest.param(
        ["silence", "add", "--label", "team", "--reason", "x", "--for", "1h"], "team=support", id="a bad label"
    ),
    pytest.param(
        ["silence", "add", "--target", "suport-de", "--reason", "x", "--for", "1h"], "support-de", id="whom to silence"
    ),
    pytest.param(["silence", "expire", "nope"], "no silence that holds 'nope'", id="no such silence"),
    pytest.param(["notify-test", "ops"], "no destination 'ops'", id="no such destination"),
    pytest.param(["completion", "tcsh"], "tcsh", id="a shell that is not known"),
    pytest.param(["--state", "postgres:x", "status"], "write sqlite:PATH or dynamodb:TABLE", id="a bad state"),
    pytest.param(["status", "--config", "/nowhere.yaml"], "/nowhere.yaml: cannot be read", id="no such configuration"),
    pytest.param(["config", "push", "/nowhere.yaml"], "/nowhere.yaml", id="nothing to push"),
    pytest.param(["simulate", "--scenario", "/nowhere.yaml"], "/nowhere.yaml: cannot be read", id="no such scenario"),
    pytest.param(["replay", "--target", "nobody"], "no target 'nobody'", id="nobody to replay"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE)
def test_a_usage_error_exits_64_with_one_line(site, arguments, said):
    done = site.call(*arguments)
    assert done.exit_code == 64
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["status"], ["run"], ["run", "--once", "--json"], ["probe", "support-de"]])
def test_a_bad_configuration_exits_64_and_says_where_and_what(site, arguments):
    site.configure(polciy={})
    done = site.call(*arguments)
    assert done.exit_code == 64
    assert f"{site.config}:" in done.stderr
    assert "policy" in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_no_arguments_show_the_help_on_standard_error(site):
    done = site.call()
    assert (done.exit_code, done.stdout) == (64, "")
    assert "Examples:" in done.stderr


def test_no_configuration_at_all_says_how_to_give_one(site):
    del site.environment["WABAWATCH_CONFIG"]
    done = site.call("status")
    assert done.exit_code == 64
    assert "--config" in done.stderr
    assert "D360_API_KEY" in done.stderr


def test_a_state_that_cannot_be_read_exits_75(site):
    blocked = site.folder / "state.db"
    blocked.write_bytes(b"this is no database, and will never be one" * 100)
    done = site.call("status")
    assert done.exit_code == 75
    assert str(blocked) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bug_exits_70_with_one_line_that_quotes_nothing(site, monkeypatch):
    def broken(*_):
        raise ValueError("https://hooks.example/secret-token")

    monkeypatch.setattr(health, "fleet", broken)
    done = site.call("status")
    assert done.exit_code == 70
    assert "unexpected ValueError at test_exits.py:" in done.stderr
    assert "-vv" in done.stderr
    assert "secret-token" not in done.output
    assert len(done.stderr.splitlines()) == 1


def test_a_bug_shows_with_vv_where_it_is_and_still_quotes_nothing(site, monkeypatch):
    def broken(*_):
        text = "https://hooks.example/secret-token"
        raise ValueError(text)

    monkeypatch.setattr(health, "fleet", broken)
    done = site.call("status", "-vv")
    assert done.exit_code == 70
    assert "Traceback" in done.stderr
    assert "in broken" in done.stderr
    assert "secret-token" not in done.output


def test_ctrl_c_in_a_one_shot_command_exits_130(site, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(incidents, "open_ones", interrupted)
    done = site.call("incidents")
    assert done.exit_code == 130
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ConfigurationError("x"), 64, id="what only people can change is 64"),
        pytest.param(StoreError("x"), 75, id="what may pass is 75"),
        pytest.param(SchemaError("x"), 64, id="a state of a later version does not pass by itself"),
    ],
)
def test_each_kind_of_error_has_its_code(error, code, capsys):
    def work():
        raise error

    assert guarded(work) == code
    assert capsys.readouterr().err == "wabawatch: x\n"


def test_a_reader_that_is_gone_ends_the_program_in_silence(site):
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-m", "wabawatch", "status"],
        env=os.environ | site.environment,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (141, "")


def test_options_may_stand_before_or_after_the_command(site):
    del site.environment["WABAWATCH_CONFIG"]
    before = site.call("--config", str(site.config), "status", "--json")
    after = site.call("status", "--json", "--config", str(site.config))
    assert before.exit_code == after.exit_code == 3
    assert '"version":1' in before.stdout
    assert '"version":1' in after.stdout


def test_what_is_typed_wins_over_the_environment(site, tmp_path):
    other = tmp_path / "other.yaml"
    settings = dict(site.settings, targets=site.settings["targets"][:1])
    other.write_text(yaml.safe_dump(settings))
    assert len(site.document("status", "--config", str(other))["targets"]) == 1
    assert len(site.document("--config", str(other), "status")["targets"]) == 1


def test_commands_that_only_look_create_and_change_no_state(site):
    state = site.folder / "state.db"
    for arguments in (["probe", "support-de"], ["config", "check"], ["config", "show"], ["notify-test", "console"]):
        assert site.call(*arguments).exit_code == 0
        assert not state.exists(), arguments


def test_sigterm_ends_a_run_in_order(site):
    process = subprocess.Popen(
        [sys.executable, "-m", "wabawatch", "run", "--json", "--interval", "1h"],
        env=os.environ | site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith('{"version":1,')
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_python_m_wabawatch_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "wabawatch", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("wabawatch ")
