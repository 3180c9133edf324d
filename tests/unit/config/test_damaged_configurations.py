"""Whatever happened to a configuration, reading it ends with settings or with a ConfigurationError."""

import copy
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.config.expected_errors import TARGET, assert_told, row
from wabawatch.adapters.notifiers.registry import OPTIONS
from wabawatch.bootstrap import Parts
from wabawatch.config import canonical_json, load
from wabawatch.errors import ConfigurationError

EXAMPLE = (Path(__file__).parents[3] / "examples" / "fleet.yaml").read_text()
PLAIN = yaml.safe_load(EXAMPLE)
NINES = "9" * 5000
ODD = [
    None, True, 0, -1, 10**30, 10**4000, 1.5, 1e308, float("inf"), float("nan"), "", " ", "x" * 300, NINES, "\u0663",
    "\u00b2", [], {}, [[]], [None], {"": ""}, {NINES: {}}, {"\u0663": {}}, {"\u00b2": {}}, "env:", "env:A B", "file:\0",
    "24:00", "Europe", "/etc/localtime", "../../etc/passwd", "\ud800", {"\ud800": "\ud800"}, "https://[::1",
    "https://host:99999/", "https://h\u2100/", "mon-", "999999999d999999999h", "0s", {"days": "mon"}, "Etc/GMT+25",
]  # fmt: skip
VALUES = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
TOKENS = [
    "", ":", "- ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "<<: *a", "null", "\t", "'", '"', "|", ">", "%", "@",
    "\0", "\u2028", "\ufeff", ".inf", "0x1F", "2026-03-01", "? ", "---\n", "...\n", "\n", "  ", "#", "1e400", "\\ud800",
]  # fmt: skip


APPLICATION = SimpleNamespace(secrets=SimpleNamespace(key=str), clock=None, console=io.StringIO())


def paths(value, path=()):
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield from paths(inner, (*path, step))


PLACES = [path for path in paths(PLAIN) if path]


def replaced(path, value):
    document = copy.deepcopy(PLAIN)
    around = document
    for step in path[:-1]:
        around = around[step]
    around[path[-1]] = value
    return json.dumps(document)


def read(text):
    return load(text, "watch.yaml", environment={}, destination_kinds=OPTIONS, resolve=False)


def assert_read_or_refused(text):
    """Settings that survive being uploaded and can be worked by, or one error that can be printed."""
    found, refused = None, None
    try:
        found = read(text)
    except ConfigurationError as error:
        refused = str(error)
    if found is not None:
        assert read(canonical_json(found)) == found
        parts = Parts(found, APPLICATION)
        assert parts.rules.version
        assert parts.audience.deployment
        assert parts.source
        assert set(parts.notifiers) == set(found.destinations)
    else:
        assert refused.startswith("watch.yaml:")
        assert refused.encode()


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), VALUES)
@example(("destinations", "ops", "webhook_url"), None)
@example(("source", "timeout"), "999999999d999999999h")
@example(("targets", 0), "\ud800")
@example(("targets", 0, "labels"), {"\ud800": "\ud800"})
@example(("destinations", "topic", "format"), "\ud800")
@example(("runbook",), {NINES: {}})
@example(("history_days",), 10**4000)
def test_a_value_that_does_not_belong_there(path, value):
    assert_read_or_refused(replaced(path, value))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 3, 12]), st.sampled_from(TOKENS)), max_size=3))
def test_a_text_in_which_something_was_typed_over(damages):
    text = EXAMPLE
    for share, length, token in damages:
        at = int(share * len(text))
        text = text[:at] + token + text[at + length :]
    assert_read_or_refused(text)


@settings(max_examples=100)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_anything_at_all(text):
    assert_read_or_refused(text)


MESSAGES = [
    row("an-option-without-a-value", TARGET + "destinations:\n  ops:\n    kind: slack\n    webhook_url:  # here",
        "destinations.ops.webhook_url", "empty; write a value"),
    row("an-optional-option-without-a-value",
        TARGET + "destinations:\n  d:\n    kind: webhook\n    url: https://h/p\n    verify: null  # here",
        "destinations.d.verify", "empty; write a value, or leave the field out"),
    row("a-duration-beyond-all-numbers", TARGET + "source:\n  timeout: 999999999d999999999h  # here",
        "source.timeout", "of ten years at most"),
    row("a-code-of-too-many-digits", TARGET + "runbook:\n  1410061410: {who: x}  # here",
        "runbook.1410061410", "a code has at most nine digits"),
    row("a-code-in-other-digits", TARGET + "runbook:\n  \u0661\u0664: {who: x}  # here",
        "runbook.??", "neither a code nor a cause"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field", "advice"), MESSAGES)
def test_what_is_wrong_is_told_by_line_and_field(loaded, text, field, advice):
    assert_told(loaded, text, field, advice)


@pytest.mark.parametrize(
    ("target", "notified"),
    [
        pytest.param('"\\ud800"', r"targets\[0\]: expected a mapping of fields, but this is a text", id="for-a-target"),
        pytest.param('{"id": "\\ud800", "api_key": "env:A_KEY"}', r"targets\[0\]\.id: .* half of one", id="for-an-id"),
    ],
)
def test_half_a_character_in_json_is_told_by_field(loaded, target, notified):
    with pytest.raises(ConfigurationError, match=notified):
        loaded(f'{{"targets": [{target}]}}')
