import json

import pytest

from wabawatch.adapters.cloudformation import Stack
from wabawatch.bootstrap import read_settings
from wabawatch.cli.stack_checks import unreadable_secrets

SECRET = "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:{}-AbCdEf"
PARAMETER = "ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/{}"
NAMED = {
    "WABAWATCH_API_KEY_SECRET": "team/whatsapp#key",
    "WABAWATCH_SLACK_WEBHOOK_SECRET": "team/chat",
    "WABAWATCH_HEARTBEAT_SECRET": "team/switch",
}
READABLE = {
    "key": "ssm:/wabawatch/keys/a",
    "chat": "ssm:/wabawatch/destinations/a",
    "heartbeat": "ssm:/wabawatch/heartbeat",
}


def unreadable(folder, prefix="wabawatch/", **references):
    given = READABLE | references
    path = folder / "fleet.yaml"
    plain = {
        "targets": [{"id": "a", "api_key": given["key"]}],
        "destinations": {"chat": {"kind": "slack", "webhook_url": given["chat"]}},
        "heartbeat": {"url": given["heartbeat"]},
    }
    path.write_text(json.dumps(plain))
    settings = read_settings(str(path), {}, resolve=False)
    return list(unreadable_secrets(settings, Stack("wabawatch", "CREATE_COMPLETE", {}, NAMED, secret_prefix=prefix)))


@pytest.mark.parametrize(
    ("part", "reference"),
    [
        pytest.param("key", "secretsmanager:wabawatch/keys/a#b", id="a key where keys are"),
        pytest.param("key", "ssm:/wabawatch/keys/a:3", id="a key in a parameter, with its version"),
        pytest.param("key", "secretsmanager:team/whatsapp#other", id="the secret that the stack's parameter names"),
        pytest.param("key", SECRET.format("wabawatch/keys/a"), id="a key's ARN"),
        pytest.param("key", SECRET.format("team/whatsapp"), id="the ARN of the secret that the parameter names"),
        pytest.param("key", PARAMETER.format("wabawatch/keys/a"), id="a parameter's ARN"),
        pytest.param("chat", "secretsmanager:wabawatch/destinations/a", id="a destination's where those are"),
        pytest.param("chat", "secretsmanager:team/chat", id="the Slack webhook that the stack's parameter names"),
        pytest.param("heartbeat", "secretsmanager:wabawatch/heartbeat", id="the heartbeat"),
        pytest.param("heartbeat", "secretsmanager:team/switch", id="the heartbeat that the stack's parameter names"),
        pytest.param("heartbeat", "https://hc.example/0000", id="a literal URL"),
        pytest.param("key", "env:KEY", id="a variable, which is refused elsewhere"),
    ],
)
def test_a_secret_can_be_read(tmp_path, part, reference):
    assert unreadable(tmp_path, **{part: reference}) == []


@pytest.mark.parametrize(
    ("part", "reference", "function", "beginning"),
    [
        pytest.param("key", "secretsmanager:wabawatch/a", "poll", "wabawatch/keys/", id="a key elsewhere"),
        pytest.param(
            "key", "secretsmanager:wabawatch/destinations/a", "poll", "wabawatch/keys/", id="a key among destinations"
        ),
        pytest.param("key", "secretsmanager:team/chat", "poll", "wabawatch/keys/", id="the other function's parameter"),
        pytest.param("key", "ssm:/keys/a", "poll", "/wabawatch/keys/", id="a parameter elsewhere"),
        pytest.param("key", SECRET.format("a"), "poll", "wabawatch/keys/", id="an ARN elsewhere"),
        pytest.param("key", PARAMETER.format("a"), "poll", "/wabawatch/keys/", id="a parameter's ARN elsewhere"),
        pytest.param("chat", "ssm:/wabawatch/keys/a", "notify", "/wabawatch/destinations/", id="a chat among keys"),
        pytest.param(
            "heartbeat", "ssm:/wabawatch/keys/a", "poll and notify", "/wabawatch/heartbeat", id="a heartbeat among keys"
        ),
    ],
)
def test_a_secret_cannot_be_read(tmp_path, part, reference, function, beginning):
    said = f"{reference}: {function} may not read it; give it a name that begins with {beginning}"
    assert unreadable(tmp_path, **{part: reference}) == [said]


def test_of_a_stack_whose_prefix_is_unknown_nothing_is_said(tmp_path):
    assert unreadable(tmp_path, prefix="", key="ssm:/elsewhere") == []
