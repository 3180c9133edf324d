"""The JSON Schema for editors: current, and of one mind with the loader."""

from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from wabawatch.adapters.notifiers.registry import OPTIONS
from wabawatch.config import load
from wabawatch.config.dump import json_schema, render_schema
from wabawatch.config.yaml_lines import parse

EXAMPLE = Path(__file__).parents[3] / "examples" / "fleet.yaml"
TARGET = "targets: [{id: a, api_key: env:A_KEY}]\n"


def mistakes(text):
    validator = jsonschema.Draft202012Validator(json_schema(OPTIONS))
    return [error.message for error in validator.iter_errors(parse(text))]


def test_the_file_in_the_package_is_current():
    written = resources.files("wabawatch.config").joinpath("schema.json").read_text("utf-8")
    assert written == render_schema(OPTIONS), "wabawatch config schema > layers/core/wabawatch/config/schema.json"


def test_the_schema_is_valid_itself():
    jsonschema.Draft202012Validator.check_schema(json_schema(OPTIONS))


def test_the_example_names_the_schema_and_is_valid_by_it():
    first, *_ = EXAMPLE.read_text().splitlines()
    assert (EXAMPLE.parent / first.partition("$schema=")[2]).samefile(
        str(resources.files("wabawatch.config") / "schema.json")
    )
    assert mistakes(EXAMPLE.read_text()) == []


GOOD = [
    TARGET,
    TARGET + "digest: null\nheartbeat: null\nhistory_days: null",
    TARGET + "policy: {group_wait: 0s, reminders: {blocked: 1h30m, limited: []}}",
    TARGET + "windows: [{name: n, days: [mon-wed, fri], from: '22:30', to: '24:00', timezone: UTC}]",
    TARGET + "routes: [{to: console, match: {status: PAUSED_BY_META, reason_code: [1, 2]}}]",
    TARGET + "heartbeat: {url: 'https://hc.example.com/1'}",
]

BAD = [
    "{}",
    "targets: []",
    "targets: [{id: a b, api_key: env:A_KEY}]",
    "targets: [{id: a, api_key: the-secret}]",
    "targets: [{id: a, api_key: env:AWS_SECRET_ACCESS_KEY}]",
    TARGET + "polcy: {}",
    TARGET + "source: {timeout: 10}",
    TARGET + "source: {timeout: soon}",
    TARGET + "policy: {thresholds: {blocked: 0}}",
    TARGET + "policy: {mass_failure: {share: 50}}",
    TARGET + "digest: {time: '25:00'}",
    TARGET + "digest: {day: monday}",
    TARGET + "routes: [{to: []}]",
    TARGET + "severities: [{severity: fatal}]",
    TARGET + "destinations: {ops: {kind: slak}}",
    TARGET + "destinations: {ops: {kind: slack, webhook_url: 'https://hooks.example.com/T'}}",
    TARGET + "destinations: {ops: {kind: console, colour: x}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_configuration_that_loads_is_valid_by_the_schema(text):
    assert load(text, "watch.yaml", environment={"A_KEY": "an-api-key"}, destination_kinds=OPTIONS)
    assert mistakes(text) == []


@pytest.mark.parametrize("text", BAD)
def test_a_mistake_that_the_schema_can_express_is_found_by_it(text):
    assert mistakes(text)
