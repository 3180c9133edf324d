"""Whatever somebody writes where a reference belongs, no message repeats it."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.config.cases import KINDS
from wabawatch.config import load
from wabawatch.errors import ConfigurationError

SECRET = "zQ7vK2mX9pL4wR8t"


def message(document, **given):
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    with pytest.raises(ConfigurationError) as refused:
        load(text, "watch.yaml", environment={"A_KEY": "an-api-key"}, destination_kinds=KINDS, **given)
    return str(refused.value)


def of_target(**fields):
    return {"targets": [{"id": "a", "api_key": "env:A_KEY", **fields}]}


def of_destination(**fields):
    return {**of_target(), "destinations": {"d": fields}}


PLACES = [
    pytest.param(lambda value: of_target(api_key=value), id="api_key"),
    pytest.param(lambda value: of_destination(kind="slack", webhook_url=value), id="webhook_url"),
    pytest.param(lambda value: of_destination(kind="webhook", url="https://h/p", secret=value), id="secret"),
    pytest.param(lambda value: of_destination(kind="webhook", url="https://h/p", signature=value), id="marked"),
    pytest.param(lambda value: {**of_target(), "heartbeat": {"url": value}}, id="heartbeat"),
    pytest.param(lambda value: of_target(base_url=value), id="base_url"),
]

FORMS = [
    pytest.param(SECRET, id="as-it-is"),
    pytest.param(f"https://hooks.example.com/services?token={SECRET}", id="in-a-query"),
    pytest.param(f"https://user:{SECRET}@example.com/", id="as-a-password"),
    pytest.param(f"env:{SECRET}", id="after-env"),
    pytest.param(f"file:{SECRET}", id="after-file"),
    pytest.param(f"ssm:{SECRET} ", id="after-ssm-with-a-space"),
    pytest.param(f"D360-API-KEY: {SECRET}", id="as-a-header"),
    pytest.param([SECRET], id="in-a-list"),
    pytest.param({SECRET: SECRET}, id="in-a-mapping"),
    pytest.param(f"{SECRET}\n{SECRET}", id="in-two-lines"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", FORMS)
def test_a_secret_is_refused_without_a_trace_of_it(place, value):
    notified = message(place(value))

    assert not any(SECRET[i : i + 4] in notified for i in range(len(SECRET) - 3))


REFERENCES = [place for place in PLACES if place.id != "base_url"] + [
    pytest.param(lambda value: of_destination(kind="webhook", url=value), id="url"),
]


@pytest.mark.parametrize("place", REFERENCES)
@pytest.mark.parametrize("local_secrets", [True, False])
def test_a_variable_that_holds_aws_credentials_is_never_referred_to(place, local_secrets):
    said = message(place("env:AWS_SECRET_ACCESS_KEY"), local_secrets=local_secrets)
    assert "begin with AWS_ hold credentials" in said


@pytest.mark.parametrize("place", REFERENCES)
@pytest.mark.parametrize("reference", ["env:B_KEY", f"file:{__file__}"])
def test_elsewhere_than_on_this_machine_variables_and_files_are_refused(place, reference):
    text = yaml.safe_dump(place(reference)).replace("env:A_KEY", "ssm:key")
    assert load(text, "watch.yaml", environment={"B_KEY": "an-api-key"}, destination_kinds=KINDS)

    said = message(text, local_secrets=False)
    assert "write secretsmanager:NAME or ssm:NAME" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"targets: [{{id: a, api_key: *{SECRET}}}]", id="that-begins-like-an-alias"),
        pytest.param(f"targets: [{{id: a, api_key: !{SECRET} x}}]", id="that-begins-like-a-tag"),
        pytest.param(f"targets: [{{id: a, api_key: %{SECRET}}}]", id="that-begins-with-a-sign"),
        pytest.param(f"targets: [{{id: a, api_key: '{SECRET}}}]", id="with-an-open-quote"),
        pytest.param(f"targets:\n- id: a\n  api_key:{SECRET}\n", id="right-after-the-colon"),
        pytest.param(f"targets:\n- api_key:{SECRET}\n", id="right-after-the-colon-alone"),
        pytest.param(f"targets: [{{id: a, api_key: {SECRET}: x}}]", id="with-a-colon"),
        pytest.param(f"%{SECRET} 1\n---\na: b", id="in-a-directive"),
    ],
)
def test_a_secret_in_broken_yaml_is_not_repeated(text):
    assert SECRET not in message(text)


@settings(deadline=None, max_examples=50)
@given(
    st.text(max_size=60).filter(lambda value: value.partition(":")[0] not in {"env", "file", "ssm", "secretsmanager"})
)
def test_the_message_is_the_same_whatever_the_secret_is(value):
    assert message(json.dumps(of_target(api_key=value))) == message(json.dumps(of_target(api_key=SECRET)))
