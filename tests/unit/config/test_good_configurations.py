from datetime import time, timedelta
from pathlib import Path

import msgspec
import pytest

from wabawatch.adapters.notifiers.registry import OPTIONS
from wabawatch.application.ports import Target
from wabawatch.config import Heartbeat, Source, load
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import WEEKDAYS, Policy, Weekly
from wabawatch.domain.routing import Route, SeverityRule, Window
from wabawatch.domain.silence import Matcher

TARGET = "targets: [{id: a, api_key: env:A_KEY}]\n"
EXAMPLE = Path(__file__).parents[3] / "examples" / "fleet.yaml"


def test_a_target_alone_is_a_whole_configuration(loaded, kinds):
    settings = loaded(TARGET)

    assert settings.targets == (Target("a", "a", "env:A_KEY"),)
    assert settings.source == Source()
    assert settings.policy == Policy()
    assert settings.routes == settings.windows == settings.severities == ()
    assert settings.digest == Weekly(("mon",), time(9), time(9), "UTC")
    assert settings.heartbeat is None
    assert {name: one.kind for name, one in settings.destinations.items()} == {"console": "console"}
    assert type(settings.destinations["console"].options) is kinds["console"]


def test_without_destinations_everything_goes_to_the_stack_s_topic(loaded):
    arn = "arn:aws:sns:eu-central-1:123456789012:alerts"

    settings = loaded(TARGET, environment={"A_KEY": "an-api-key", "WABAWATCH_ALERTS_TOPIC_ARN": arn})

    assert list(settings.destinations) == ["alerts"]
    assert settings.destinations["alerts"].options.topic_arn == arn


def test_a_destination_that_is_named_stands_in_for_the_stack_s_topic(loaded):
    environment = {"A_KEY": "an-api-key", "WABAWATCH_ALERTS_TOPIC_ARN": "arn:x"}

    settings = loaded(TARGET + "destinations: {here: {kind: console}}", environment=environment)

    assert list(settings.destinations) == ["here"]


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        pytest.param("", {}, "wabawatch", id="has-the-usual-name"),
        pytest.param("", {"WABAWATCH_DEPLOYMENT": "stack"}, "stack", id="has-the-stack-s-name"),
        pytest.param("deployment: mine", {"WABAWATCH_DEPLOYMENT": "stack"}, "mine", id="has-the-name-in-the-file"),
    ],
)
def test_a_deployment(loaded, text, environment, expected):
    assert loaded(TARGET + text, environment={"A_KEY": "an-api-key", **environment}).deployment == expected


def test_targets_have_names_labels_and_addresses_of_their_own(loaded):
    text = """
    targets:
      - {id: a, name: Ä 1, api_key: env:A_KEY, labels: {team: support}, base_url: "https://example.com/waba"}
    """

    assert loaded(text).targets == (Target("a", "Ä 1", "env:A_KEY", {"team": "support"}, "https://example.com/waba"),)


@pytest.mark.parametrize(
    "api_key",
    [
        "ssm:/a/b.c-d_e",
        "secretsmanager:wabawatch/keys",
        "secretsmanager:wabawatch/keys#a-b",
        "secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf#a",
    ],
)
def test_what_lies_in_aws_is_not_looked_for(loaded, api_key):
    assert loaded(f"targets: [{{id: a, api_key: '{api_key}'}}]").targets[0].api_key == api_key


def test_a_file_reference_leads_to_a_file(loaded, tmp_path):
    (tmp_path / "key").write_text("k")

    assert loaded(f"targets: [{{id: a, api_key: 'file:{tmp_path}/key'}}]").targets[0].api_key.endswith("/key")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1/x", "http://[::1]:1", "https://e.com:8443/x"]
)
def test_plain_http_is_for_this_machine_only(loaded, url):
    assert loaded(TARGET + f"source: {{base_url: '{url}'}}").source.base_url == url


@pytest.mark.parametrize(
    "word", ["no", "yes", "on", "off", "22:30", "0123", "1_000", "2024-01-01", "0x1F", ".inf", "1e3"]
)
def test_a_word_that_older_yaml_takes_for_something_else_is_a_text(loaded, word):
    assert loaded(f"targets: [{{id: a, api_key: env:A_KEY, name: {word}}}]").targets[0].name == word


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + TARGET, id="after-a-byte-order-mark"),
        pytest.param((TARGET).encode("utf-8-sig"), id="after-a-byte-order-mark-in-bytes"),
        pytest.param('{"targets": [{"id": "a", "api_key": "env:A_KEY"}]}', id="as-json"),
        pytest.param("{targets: [{id: a, api_key: env:A_KEY}]}", id="in-braces"),
        pytest.param(TARGET.replace("\n", "\r\n"), id="with-another-system-s-line-ends"),
        pytest.param("---\n" + TARGET + "...\n", id="between-document-marks"),
        pytest.param("targets:\n- &x {id: a, api_key: env:A_KEY}\nroutes: []", id="with-an-anchor"),
    ],
)
def test_a_configuration_is_read(loaded, text):
    assert [target.id for target in loaded(text).targets] == ["a"]


def test_an_alias_stands_for_what_it_names(loaded):
    text = """
    targets:
      - {id: a, api_key: env:A_KEY, labels: &acme {client: acme}}
      - {id: b, api_key: env:A_KEY, labels: *acme}
    """

    assert [target.labels for target in loaded(text).targets] == [{"client": "acme"}] * 2


def test_rules_are_read(loaded):
    text = (
        TARGET
        + """
routes:
  - match: {status: BLOCKED, entity: [WABA:1, "2"], labels: {team: support}, reason_code: 141006}
    to: console
    hours: {days: [fri-mon, wed], from: 09:00, to: 24:00, timezone: Europe/Berlin}
  - {to: [console, console], stop: true}
severities: [{severity: info, match: {target: a, affected_at_least: 2, capability: health_status}}]
windows: [{name: w, from: 22:30, to: 01:00, timezone: UTC, reason: import, match: {status: [PAUSED_BY_META]}}]
"""
    )

    settings = loaded(text)

    hours = Weekly(("mon", "wed", "fri", "sat", "sun"), time(9), time(0), "Europe/Berlin")
    match = Matcher(status=("BLOCKED",), entity=("WABA:1", "2"), labels={"team": "support"}, reason_code=(141006,))
    assert settings.routes == (Route(("console",), match, hours=hours), Route(("console",), stop=True))
    assert settings.severities == (
        SeverityRule("info", Matcher(target=("a",), affected_at_least=2, capability=("health_status",))),
    )
    assert settings.windows == (
        Window("w", Weekly(WEEKDAYS, time(22, 30), time(1), "UTC"), Matcher(status=("PAUSED_BY_META",)), "import"),
    )


def test_a_policy_keeps_what_it_does_not_name(loaded):
    text = "policy: {thresholds: {blocked: 3}, reminders: {limited: [], unknown: 2h}, group_wait: 0s}"

    policy = loaded(TARGET + text).policy

    usual = Policy()
    assert policy.thresholds == msgspec.structs.replace(usual.thresholds, blocked=3)
    assert policy.reminders == {**usual.reminders, "limited": (), "unknown": (timedelta(hours=2),)}
    assert policy.group_wait == timedelta(0)
    assert policy.retry == usual.retry


def test_our_own_advice_is_by_code_or_cause(loaded):
    text = "runbook: {141006: {who: me, link: 'https://w.example.com/a?b=c#d'}, throttled: {action: wait}}"

    assert loaded(TARGET + text).runbook == {
        141006: Advice("me", link="https://w.example.com/a?b=c#d"),
        "throttled": Advice(action="wait"),
    }


def test_a_heartbeat_and_no_digest(loaded):
    settings = loaded(TARGET + "heartbeat: {url: 'https://hc.example.com/1', min_coverage: 1}\ndigest: null")

    assert settings.heartbeat == Heartbeat("https://hc.example.com/1", 1.0)
    assert settings.digest is None


def test_options_are_what_their_notifier_declares(loaded, kinds):
    text = "destinations: {w: {kind: webhook, url: env:A_KEY, wait: 2s, tags: [x], style: long, secret: null}}"

    options = loaded(TARGET + text).destinations["w"].options

    assert options == kinds["webhook"]("env:A_KEY", wait=timedelta(seconds=2), tags=("x",), style="long")


def test_the_example_is_valid_for_the_notifiers_there_are():
    settings = load(EXAMPLE.read_bytes(), EXAMPLE.name, environment={}, destination_kinds=OPTIONS)

    assert len(settings.targets) == 3
    assert len(settings.routes) == 4
    assert settings.policy == Policy()
