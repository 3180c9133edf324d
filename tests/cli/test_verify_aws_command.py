"""The command `doctor --verify-aws`: what it asks, what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from wabawatch.adapters import cloudformation
from wabawatch.adapters.cloudformation import Stack
from wabawatch.cli.main import program
from wabawatch.cli.verify_aws import verification
from wabawatch.cli.verify_aws.check import Check, finding, proven, unchecked


def check(name, verdict, **more):
    def steps(_):
        yield verdict

    return Check(name, f"{name} holds", steps, (), **more)


QUIET = check("table", proven("fine"))
LOUD = check("test alarm", proven("it rang"), asks="Ring an alarm", receipt="Did everybody get it")


@pytest.fixture
def verify(site, monkeypatch):
    """Calls it over some checks, with answers typed at a terminal, or without one."""
    monkeypatch.setattr(cloudformation, "find_stack", lambda name, _: Stack(name, "CREATE_COMPLETE", {}, {}))
    where = ["--state", site.environment["WABAWATCH_STATE"], "--config", str(site.config), "--stack", "wabawatch"]

    def call(checks, *arguments, typed=None):
        monkeypatch.setattr(verification, "CHECKS", checks)
        monkeypatch.setattr(verification, "_has_terminal", lambda: typed is not None)
        given = [*where, "doctor", "--verify-aws", *arguments]
        return CliRunner().invoke(program, given, prog_name="wabawatch", env=site.environment, input=typed)

    return call


def test_all_that_is_proven_ends_with_0(verify):
    done = verify([QUIET, LOUD], "--yes")
    assert done.exit_code == 0, done.output
    assert "test alarm: it rang" in done.stdout
    assert done.stdout.endswith("all is proven\n")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (finding("broken", "repair it"), "1 finding"),
        (unchecked("not allowed: sns:Subscribe", "allow it"), "1 not checked"),
    ],
)
def test_what_is_not_proven_ends_with_1_and_says_what_to_do(verify, verdict, said):
    done = verify([QUIET, check("other", verdict)])
    assert done.exit_code == 1
    assert said in done.stdout
    assert verdict.todo in done.stdout


def test_without_a_terminal_and_without_yes_nobody_gets_a_message(verify):
    done = verify([QUIET, LOUD])
    assert done.exit_code == 1
    assert "test alarm: not confirmed" in done.stdout
    assert "it rang" not in done.stdout


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        pytest.param("n\n", 1, "not confirmed", id="no"),
        pytest.param("y\ny\n", 0, "everybody received it", id="yes, and they got it"),
        pytest.param("y\nn\n", 1, "not everybody received it", id="yes, and they did not"),
    ],
)
def test_people_are_asked_before_and_after(verify, typed, code, said):
    done = verify([QUIET, LOUD], typed=typed)
    assert done.exit_code == code
    assert said in done.stdout


def test_the_json_document_has_every_result(verify):
    done = verify([QUIET, LOUD], "--json")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["ok"] is False
    assert [(one["check"], one["outcome"]) for one in found["results"]] == [
        ("test alarm", "unchecked"),
        ("table", "proven"),
    ]


@pytest.mark.parametrize("arguments", [["--send-test"], ["--interval", "1x"]])
def test_wrong_usage_is_refused(verify, arguments):
    assert verify([QUIET], *arguments).exit_code == 64


def test_it_needs_a_stack(site):
    done = site.call("doctor", "--verify-aws")
    assert done.exit_code == 64
    assert "--stack NAME" in done.stderr
    assert site.call("doctor", "--yes").exit_code == 64
