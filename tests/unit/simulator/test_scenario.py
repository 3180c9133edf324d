"""Scenario files: what they may say, and the one clear message for what they may not."""

from datetime import timedelta

import pytest

from wabawatch.simulator import ScenarioError, Simulation, generated_fleet, load_scenario, parse_scenario

FLEET = "fleet: {numbers: [{id: support-de, waba: acme-eu, business: acme}, {id: orders-es, waba: acme-eu}]}\n"


def seconds(amount):
    return timedelta(seconds=amount)


def test_a_number_needs_only_an_id_and_gets_an_account_and_a_name_of_its_own():
    number = parse_scenario("fleet: {numbers: [{id: support-de}]}").fleet.numbers[0]
    assert (number.name, number.waba, number.business) == ("Support De", "support-de", "support-de")


def test_an_account_keeps_the_business_it_was_given_first():
    assert [number.business for number in parse_scenario(FLEET).fleet.numbers] == ["acme", "acme"]


def test_a_fleet_is_generated_with_shared_accounts_and_businesses():
    fleet = parse_scenario("fleet: {generate: {count: 40, wabas: 8, businesses: 2}}").fleet
    assert [len(fleet.names(kind)) for kind in ("number", "waba", "business", "app")] == [40, 8, 2, 1]
    owners = {(number.waba, number.business) for number in fleet.numbers}
    assert len(owners) == 8, "an account belongs to one business"


def test_a_large_generated_fleet_has_no_two_numbers_alike():
    numbers = generated_fleet(1000).numbers
    assert len({number.id for number in numbers}) == len({number.key for number in numbers}) == 1000
    assert (numbers[0].name, numbers[200].name) == ("Support Germany", "Support Germany 2")


def test_keys_are_the_same_in_every_start():
    assert generated_fleet(3).numbers == generated_fleet(3).numbers
    assert generated_fleet(1).numbers[0].key == generated_fleet(3).numbers[0].key


@pytest.mark.parametrize(
    ("written", "meant"),
    [("20s", 20), ("250ms", 0.25), ("1m30s", 90), ("2h", 7200), ("1.5s", 1.5), ("0s", 0)],
)
def test_durations(written, meant):
    assert parse_scenario(f"{FLEET}latency: {written}").latency == seconds(meant)


def test_steps_are_put_in_the_order_of_time_and_end_the_story():
    scenario = parse_scenario(
        f"{FLEET}steps:\n- {{at: 30s, number: support-de, heal: true}}\n- {{at: 5s, waba: acme-eu, status: LIMITED}}"
    )
    assert [step.at for step in scenario.steps] == [seconds(5), seconds(30)]
    assert scenario.length == seconds(30)


WRONG = {
    "a field of the file that does not exist": (
        "fleets: {}\n",
        "story.yaml, line 1: fleets: unknown field; did you mean fleet?",
    ),
    "a field of a number that does not exist": (
        "fleet:\n  numbers:\n    - id: a\n      busines: b\n",
        "story.yaml, line 4: fleet.numbers[0].busines: unknown field; did you mean business?",
    ),
    "a field of a step that does not exist": (
        f"{FLEET}steps:\n  - at: 5s\n    number: support-de\n    reson: [1]\n",
        "story.yaml, line 5: steps[0].reson: unknown field; did you mean reasons?",
    ),
    "no numbers at all": ("latency: 5ms\n", "story.yaml, line 1: fleet: there are no numbers; write numbers:"),
    "an empty file": ("", "fleet: there are no numbers"),
    "a list in place of the file": ("- a\n", "line 1: expected a mapping of fields, not ['a']"),
    "a number without an id": (
        "fleet:\n  numbers:\n    - name: A\n",
        "story.yaml, line 3: fleet.numbers[0].id: missing; write it",
    ),
    "an id that YAML takes for false": (
        "fleet:\n  numbers:\n    - id: no\n",
        "line 3: fleet.numbers[0].id: expected a text, not False; put it in quotes",
    ),
    "an id that would leave its folder": (
        "fleet: {numbers: [{id: ../key}]}\n",
        "line 1: fleet.numbers[0].id: '../key' is no id; write at most 64 letters",
    ),
    "an id that was there before": (
        "fleet:\n  numbers:\n    - {id: a}\n    - {id: a}\n",
        "line 4: fleet.numbers[1].id: 'a' is there already",
    ),
    "an id that is generated too": (
        "fleet:\n  numbers: [{id: support-de}]\n  generate: {count: 3}\n",
        "line 3: fleet.generate: makes a number 'support-de', which is named already",
    ),
    "a key of two numbers": (
        "fleet: {numbers: [{id: a, key: k}, {id: b, key: k}]}\n",
        "fleet.numbers[1].key: another number has this key",
    ),
    "a key that no header can carry": (
        'fleet: {numbers: [{id: a, key: "k\\n"}]}\n',
        "fleet.numbers[0].key: only visible ASCII",
    ),
    "an account under two businesses": (
        "fleet: {numbers: [{id: a, waba: w, business: x}, {id: b, waba: w, business: y}]}\n",
        "fleet.numbers[1].business: 'w' already belongs to 'x'",
    ),
    "a use of calling that does not exist": (
        "fleet: {numbers: [{id: a, calling: use}]}\n",
        "fleet.numbers[0].calling: unknown: 'use'; did you mean used?",
    ),
    "a count that is none": (
        "fleet: {generate: {count: 0}}\n",
        "fleet.generate.count: expected a whole number from 1, not 0",
    ),
    "a duration without a unit": (f"{FLEET}latency: 20\n", "line 2: latency: 20 is no duration; write for example 20s"),
    "a duration with an unknown unit": (f"{FLEET}latency: 20sec\n", "line 2: latency: '20sec' is no duration"),
    "a step without its moment": (
        f"{FLEET}steps:\n  - number: support-de\n    heal: true\n",
        "line 3: steps[0].at: missing; write it",
    ),
    "a step that concerns nothing": (
        f"{FLEET}steps:\n  - at: 1s\n    heal: true\n",
        "line 3: steps[0]: say once what changes, by one of number, waba",
    ),
    "a step that concerns two things": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, waba: acme-eu, heal: true}}\n",
        "say once what changes",
    ),
    "a number that is not in the fleet": (
        f"{FLEET}steps:\n  - at: 1s\n    number: suport-de\n    heal: true\n",
        "line 4: steps[0].number: there is no 'suport-de' in the fleet; did you mean support-de?",
    ),
    "a viewer that is not in the fleet": (
        f"{FLEET}steps:\n  - {{at: 1s, waba: acme-eu, heal: true, seen_by: [orders-se]}}\n",
        "steps[0].seen_by: there is no 'orders-se' in the fleet; did you mean orders-es?",
    ),
    "a step that changes nothing": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de}}\n",
        "nothing changes here; write one of status, reasons",
    ),
    "a step that heals and sets": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, heal: true, status: BLOCKED}}\n",
        "steps[0].heal: heals everything at once; write it alone",
    ),
    "a misspelt status": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOKED}}\n",
        "steps[0].status: 'BLOKED' is no status; did you mean BLOCKED?",
    ),
    "a status in small letters": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, can_send_message: blocked}}\n",
        "steps[0].can_send_message: 'blocked' is no status; did you mean BLOCKED?",
    ),
    "reasons that are no list": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOCKED, reasons: 141006}}\n",
        "steps[0].reasons: expected a list, not 141006",
    ),
    "a reason in the wrong form": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOCKED, reasons: [unpaid]}}\n",
        "steps[0].reasons[0]: write a code such as 141006",
    ),
    "a reason with an unknown field": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOCKED, reasons: [{{kode: 1}}]}}\n",
        "steps[0].reasons[0].kode: unknown field; did you mean code?",
    ),
    "an unknown failure": (
        f"{FLEET}steps:\n  - at: 1s\n    number: support-de\n    failure: unauthorised\n",
        "line 5: steps[0].failure: unknown: 'unauthorised'; did you mean unauthorized?",
    ),
    "an unknown kind of failure in full": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, failure: {{kind: slo}}}}\n",
        "steps[0].failure.kind: unknown: 'slo'; did you mean slow?",
    ),
    "a failure's setting that does not exist": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, failure: {{kind: slow, dealy: 5s}}}}\n",
        "steps[0].failure.dealy: unknown field; did you mean delay?",
    ),
    "a failure of what is no number": (
        f"{FLEET}steps:\n  - {{at: 1s, waba: acme-eu, failure: slow}}\n",
        "steps[0].failure: only a number can have it",
    ),
    "an unknown quirk": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, quirks: [no_wraper]}}\n",
        "steps[0].quirks: unknown: 'no_wraper'; did you mean no_wrapper?",
    ),
    "healing that is neither true nor false": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, heal: 1}}\n",
        "steps[0].heal: expected true or false, not 1",
    ),
    "labels that are no texts": (
        "fleet: {numbers: [{id: a, labels: {tier: 1}}]}\n",
        "fleet.numbers[0].labels: expected a text, not 1",
    ),
    "labels that are no mapping": ("fleet: {numbers: [{id: a, labels: x}]}\n", "labels: expected a mapping of texts"),
    "a length that cuts the story": (
        f"{FLEET}length: 5s\nsteps:\n  - {{at: 9s, number: support-de, heal: true}}\n",
        "line 2: length: shorter than the last step, which comes at 9s",
    ),
    "a repetition of nothing": (f"{FLEET}repeat: true\n", "line 2: repeat: nothing to repeat"),
    "a field written twice": (f"{FLEET}title: a\ntitle: b\n", "line 3: title: written twice; keep one of them"),
    "broken YAML": (f"{FLEET}steps: [\n", "this is no YAML: "),
    "characters that YAML forbids": (f"{FLEET}title: \x07\n", "line 2: this is no YAML: "),
    "a date where there is none": (f"{FLEET}title: 2024-13-45\n", "line 2: title: month must be"),
    "an object of a program": (f"{FLEET}title: !!python/name:os.system\n", "line 2: this is no YAML: could not"),
    "a field's name that is a list": (f"{FLEET}? [a]\n: b\n", "a field's name is one word"),
    "an anchor that contains itself": (f"{FLEET}steps: &all [*all]\n", "nested too deeply"),
}


@pytest.mark.parametrize(("source", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place_and_what_to_write(source, expected):
    with pytest.raises(ScenarioError) as refusal:
        parse_scenario(source, "story.yaml")
    assert expected in str(refusal.value)
    assert str(refusal.value).startswith("story.yaml")
    assert "\n" not in str(refusal.value)


def test_a_file_is_loaded_by_its_path_and_named_in_what_is_wrong(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(FLEET)
    assert len(load_scenario(path).fleet.numbers) == 2
    path.write_text("fleet: 3")
    with pytest.raises(ScenarioError, match=r"mine\.yaml, line 1: fleet: expected a mapping"):
        load_scenario(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read"):
        load_scenario(tmp_path / "none.yaml")


def test_a_foreign_status_in_capitals_is_taken_as_it_is():
    scenario = parse_scenario(f"{FLEET}steps:\n  - {{at: 0s, number: support-de, status: PAUSED}}")
    capabilities = Simulation(scenario).numbers()[0]["entities"][0]["capabilities"]
    assert capabilities == {"can_send_message": "PAUSED"}
