"""The hosts that API keys may be sent to: who deploys says so, whatever the configuration asks for."""

import pytest

from tests.unit.config.cases import KINDS
from wabawatch.config import default_settings, load
from wabawatch.errors import ConfigurationError

OURS = {"WABAWATCH_API_HOSTS": "waba-v2.360dialog.io, gateway.example"}
FOREIGN = "https://gateway.example.evil.example"


def loaded(source, target, environment=OURS):
    text = f"targets: [{{id: a, api_key: ssm:a{target}}}]\n{source}"
    return load(text, "watch.yaml", environment=environment, destination_kinds=KINDS)


def test_any_host_is_taken_where_none_is_named():
    assert loaded(f"source: {{base_url: {FOREIGN}}}", f", base_url: {FOREIGN}", {}).targets


@pytest.mark.parametrize("url", ["https://gateway.example/v1", "https://GATEWAY.example:8443"])
def test_the_named_hosts_are_taken_and_so_is_the_usual_one(url):
    assert loaded("", f", base_url: {url}").targets


@pytest.mark.parametrize(
    ("source", "target", "place"),
    [
        (f"source: {{base_url: {FOREIGN}}}", "", "watch.yaml:2: source.base_url"),
        ("", f", base_url: {FOREIGN}", "watch.yaml:1: targets[0].base_url"),
    ],
)
def test_another_host_is_refused_where_it_stands(source, target, place):
    with pytest.raises(ConfigurationError) as refused:
        loaded(source, target)
    assert str(refused.value).startswith(
        f"{place}: keys are sent to gateway.example, waba-v2.360dialog.io alone, as WABAWATCH_API_HOSTS says"
    )


def test_the_templates_own_parameters_are_held_to_it_too():
    given = {"WABAWATCH_API_KEY_SECRET": "wabawatch/key", "WABAWATCH_BASE_URL": FOREIGN}
    with pytest.raises(ConfigurationError, match="WABAWATCH_BASE_URL: keys are sent to"):
        default_settings({**given, **OURS}, destination_kinds=KINDS)
