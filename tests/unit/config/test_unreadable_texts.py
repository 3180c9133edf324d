"""What no parser makes a configuration of, and several problems at once."""

import pytest

from tests.unit.config.expected_errors import TARGET, assert_told, row
from wabawatch.errors import ConfigurationError

SYNTAX = [
    row("a-field-twice", "a: 1\na: 2  # here", "a", "written twice, first on line 1; keep one of them"),
    row("a-field-twice-deep-down", "targets:\n  - id: a\n    id: b  # here", "targets[0].id", "written twice"),
    row("a-merge-key", "targets:\n  - &x {id: a}\n  - <<: *x  # here", "targets[1]", "merge keys are not read"),
    row("a-tag", "a:\n  b: !!python/object/apply:os.getcwd []  # here", "a.b", "tags are not read"),
]  # fmt: skip

UNPLACED = [
    pytest.param("targets: [{id: a}  # x\npolicy: 1", "watch.yaml:2: not YAML", id="bracket-left-open"),
    pytest.param("a: b: c", "watch.yaml:1: not YAML (mapping values are not allowed in this context); put a",
                 id="a-colon-within-a-text"),
    pytest.param("a:\n\t- b", "watch.yaml:2: not YAML (found character that cannot start any token); indent",
                 id="a-tab-as-indentation"),
    pytest.param("a: \x01", "watch.yaml:1: not YAML (a control character); remove it", id="a-control-character"),
    pytest.param("", "watch.yaml:1: the file is empty; write at least targets:", id="an-empty-file"),
    pytest.param("# only this\n", "watch.yaml:1: the file is empty", id="a-file-of-comments"),
    pytest.param(b"a: 1\nb: \xff", "watch.yaml:2: not UTF-8 text; save the file as UTF-8", id="another-encoding"),
    pytest.param("a: 1\n---\nb: 2", "watch.yaml:2: a second document begins; keep one", id="two-documents"),
    pytest.param("a: *x", "watch.yaml:1: an alias (*) that stands for nothing", id="an-alias-of-nothing"),
    pytest.param("a: &x [*x]", "watch.yaml:1: an alias (*) that stands for nothing", id="an-alias-of-itself"),
    pytest.param("a: {[1]: 2}", "watch.yaml:1: a list or mapping cannot be a field's name", id="a-list-as-a-name"),
    pytest.param("[" * 100_000, "watch.yaml:1: nested too deeply", id="a-hundred-thousand-brackets"),
    pytest.param("- " * 100_000, "watch.yaml:1: nested too deeply", id="a-hundred-thousand-dashes"),
    pytest.param('{"a":' * 100_000, "watch.yaml:1: nested too deeply", id="a-hundred-thousand-objects"),
    pytest.param("\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
                           + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]),
                 "the aliases stand for too much; write the fields out", id="aliases-of-aliases-of-aliases"),
    pytest.param(b" " * (64 * 1024 * 1024 + 1), "watch.yaml: larger than 64 MiB", id="a-file-without-end"),
    pytest.param('{"targets":\n[{"id":"a",\n\t"id":"b"}]}', "watch.yaml:3: targets[0].id: written twice",
                 id="a-field-twice-in-json"),
    pytest.param('{"targets":\n\t[{"id":"a",\n"api_key":"env:A_KEY",\n\t"name":"\\ud83d\\ude00\\/",\n"x":1}]}',
                 "watch.yaml:5: targets[0].x: unknown field", id="a-line-of-json-with-tabs-and-escapes"),
    pytest.param('{"source": {"concurrency": NaN},\n"targets": [{"id": "a", "api_key": "env:A_KEY"}]}',
                 'watch.yaml:1: source.concurrency: expected a number, but "NaN" is a text', id="no-number-in-json"),
    pytest.param('{"targets": [{"id": "a", "api_key": "env:A_KEY", "name": "\\ud800"}]}',
                 "watch.yaml:1: targets[0].name: the text holds a control character, or half of one",
                 id="half-of-a-character-in-json"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field", "advice"), SYNTAX)
def test_what_may_not_be_written_is_told_by_line_and_field(loaded, text, field, advice):
    assert_told(loaded, text, field, advice)


@pytest.mark.parametrize(("text", "message"), UNPLACED)
def test_a_text_that_cannot_be_read_is_told_in_one_line(loaded, text, message):
    with pytest.raises(ConfigurationError) as refused:
        loaded(text)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(loaded):
    text = "polcy: {}\ntargets:\n  - {id: a b, api_key: env:A_KEY}\n  - {id: b}\nsource: {timeout: 10}\n"

    with pytest.raises(ConfigurationError) as refused:
        loaded(text)

    places = [line.split(": ")[:2] for line in str(refused.value).splitlines()]
    assert places == [
        ["watch.yaml:1", "polcy"],
        ["watch.yaml:3", "targets[0].id"],
        ["watch.yaml:4", "targets[1].api_key"],
        ["watch.yaml:5", "source.timeout"],
    ]


def test_past_fifty_problems_only_their_number_is_told(loaded):
    with pytest.raises(ConfigurationError) as refused:
        loaded("targets:\n" + "- {}\n" * 100)

    lines = str(refused.value).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "watch.yaml: and 150 more problems"


def test_a_destination_that_is_wrong_is_not_told_again_by_each_route_to_it(loaded):
    with pytest.raises(ConfigurationError) as refused:
        loaded(TARGET + "destinations: {ops: {kind: slak}}\nroutes: [{to: ops}]\n")

    assert "\n" not in str(refused.value)


def test_where_references_lead_can_be_left_open(loaded):
    settings = loaded("targets: [{id: a, api_key: env:NOT_SET}]", resolve=False)

    assert settings.targets[0].api_key == "env:NOT_SET"
