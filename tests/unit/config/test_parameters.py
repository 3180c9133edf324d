"""No file at all: the environment alone."""

import pytest

from tests.unit.config.cases import KINDS, Console, Slack, Sns
from wabawatch.application.ports import Target
from wabawatch.config import Heartbeat, default_settings, usual_heartbeat
from wabawatch.errors import ConfigurationError

ARN = "arn:aws:sns:eu-central-1:123456789012:alerts"
EMPTY = {"WABAWATCH_SLACK_WEBHOOK_SECRET": "", "WABAWATCH_ALERTS_TOPIC_ARN": "", "WABAWATCH_BASE_URL": ""}


def options(environment):
    settings = default_settings(environment, destination_kinds=KINDS)
    return {name: one.options for name, one in settings.destinations.items()}


def test_a_key_alone_is_one_number_told_on_the_console():
    settings = default_settings({"D360_API_KEY": "an-api-key", **EMPTY}, destination_kinds=KINDS)

    assert settings.targets == (Target("number", "WhatsApp number", "env:D360_API_KEY"),)
    assert settings.source.base_url == "https://waba-v2.360dialog.io"
    assert options({"D360_API_KEY": "an-api-key", **EMPTY}) == {"console": Console()}


def test_the_template_s_parameters_are_one_number_a_topic_and_slack():
    environment = {
        "WABAWATCH_API_KEY_SECRET": "wabawatch/key#number",
        "WABAWATCH_SLACK_WEBHOOK_SECRET": "wabawatch/slack",
        "WABAWATCH_ALERTS_TOPIC_ARN": ARN,
        "WABAWATCH_BASE_URL": "https://waba-sandbox.360dialog.io",
        "WABAWATCH_DEPLOYMENT": "prod",
    }

    settings = default_settings(environment, destination_kinds=KINDS)

    assert settings.targets[0].api_key == "secretsmanager:wabawatch/key#number"
    assert settings.source.base_url == "https://waba-sandbox.360dialog.io"
    assert settings.deployment == "prod"
    assert options(environment) == {
        "alerts": Sns(ARN, may_be_empty=True),
        "slack": Slack("secretsmanager:wabawatch/slack"),
    }


def test_a_topic_alone_must_have_a_subscriber():
    assert options({"D360_API_KEY": "an-api-key", "WABAWATCH_ALERTS_TOPIC_ARN": ARN}) == {"alerts": Sns(ARN)}


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        pytest.param("wabawatch/heartbeat#url", Heartbeat("secretsmanager:wabawatch/heartbeat#url"), id="is-a-secret"),
        pytest.param("", None, id="is-empty-where-none-was-given"),
    ],
)
def test_the_template_s_heartbeat(secret, expected):
    assert usual_heartbeat({"WABAWATCH_HEARTBEAT_SECRET": secret}) == expected


def test_slack_alone_needs_no_console():
    environment = {"D360_API_KEY": "an-api-key", "SLACK_WEBHOOK_URL": "https://hooks.example.com/x"}

    assert options(environment) == {"slack": Slack("env:SLACK_WEBHOOK_URL")}


@pytest.mark.parametrize("environment", [{}, {"D360_API_KEY": ""}, {"SLACK_WEBHOOK_URL": "x"}])
def test_without_a_key_the_message_says_how_to_begin(environment):
    with pytest.raises(ConfigurationError, match=r"no configuration: name a file with --config .* set D360_API_KEY"):
        options(environment)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param({"D360_BASE_URL": "http://e.com"}, "D360_BASE_URL: http would send", id="a-base-url-over-http"),
        pytest.param({"WABAWATCH_BASE_URL": "x"}, "WABAWATCH_BASE_URL: not a URL", id="a-base-url-that-is-none"),
        pytest.param(
            {"WABAWATCH_ALERTS_TOPIC_ARN": "x"}, "WABAWATCH_ALERTS_TOPIC_ARN: write the whole ARN", id="an-arn"
        ),
        pytest.param(
            {"WABAWATCH_SLACK_WEBHOOK_SECRET": "a b"}, "WABAWATCH_SLACK_WEBHOOK_SECRET: not a reference", id="a-name"
        ),
    ],
)
def test_a_bad_variable_is_named(environment, message):
    with pytest.raises(ConfigurationError) as refused:
        options({"D360_API_KEY": "an-api-key", **environment})

    assert str(refused.value).startswith(message)
