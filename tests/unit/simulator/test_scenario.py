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


@pytest.mark.parametrize("word", ["no", "2024-13-45", "22:30"])
def test_a_word_that_older_yaml_takes_for_something_else_is_a_text(word):
    assert parse_scenario(f"{FLEET}title: {word}").title == word


def test_every_mistake_is_shown_at_once():
    with pytest.raises(ScenarioError) as refusal:
        parse_scenario("fleet: {numbers: [{id: 5}]}\nlatency: 20\nstep: []\n", "story.yaml")
    places = [line.split(": ")[:2] for line in str(refusal.value).splitlines()]
    assert places == [["story.yaml:1", "fleet.numbers[0].id"], ["story.yaml:2", "latency"], ["story.yaml:3", "step"]]


def test_steps_are_put_in_the_order_of_time_and_end_the_story():
    scenario = parse_scenario(
        f"{FLEET}steps:\n- {{at: 30s, number: support-de, heal: true}}\n- {{at: 5s, waba: acme-eu, status: LIMITED}}"
    )
    assert [step.at for step in scenario.steps] == [seconds(5), seconds(30)]
    assert scenario.length == seconds(30)


WRONG = {
    "a field of the file that does not exist": (
        "fleets: {}\n",
        "story.yaml:1: fleets: unknown field; write fleet",
    ),
    "a field of a number that does not exist": (
        "fleet:\n  numbers:\n    - id: a\n      busines: b\n",
        "story.yaml:4: fleet.numbers[0].busines: unknown field; write business",
    ),
    "a field of a step that does not exist": (
        f"{FLEET}steps:\n  - at: 5s\n    number: support-de\n    reson: [1]\n",
        "story.yaml:5: steps[0].reson: unknown field; write reasons",
    ),
    "no numbers at all": ("latency: 5ms\n", "story.yaml:1: fleet: there are no numbers; write numbers:"),
    "an empty file": ("", "fleet: there are no numbers"),
    "a list in place of the file": (
        "- a\n",
        "story.yaml:1: the whole file: expected a mapping of fields, but this is a list",
    ),
    "a number without an id": (
        "fleet:\n  numbers:\n    - name: A\n",
        "story.yaml:3: fleet.numbers[0].id: missing; write for example id: support-de",
    ),
    "an id that YAML takes for true": (
        "fleet:\n  numbers:\n    - id: true\n",
        'story.yaml:3: fleet.numbers[0].id: expected a text, but true is a boolean; put it in quotes: "true"',
    ),
    "an id that would leave its folder": (
        "fleet: {numbers: [{id: ../key}]}\n",
        'story.yaml:1: fleet.numbers[0].id: "../key" is not an id; write at most 64 letters',
    ),
    "an id that was there before": (
        "fleet:\n  numbers:\n    - {id: a}\n    - {id: a}\n",
        "story.yaml:4: fleet.numbers[1].id: 'a' is there already",
    ),
    "an id that is generated too": (
        "fleet:\n  numbers: [{id: support-de}]\n  generate: {count: 3}\n",
        "story.yaml:3: fleet.generate: makes a number 'support-de', which is named already",
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
        'fleet.numbers[0].calling: "use" is not known here; write used',
    ),
    "a count that is none": (
        "fleet: {generate: {count: 0}}\n",
        "fleet.generate.count: 0 is out of range; write a whole number from 1",
    ),
    "a duration without a unit": (
        f"{FLEET}latency: 20\n",
        "story.yaml:2: latency: 20 is not a duration; write for example 20s",
    ),
    "a duration with an unknown unit": (f"{FLEET}latency: 20sec\n", 'story.yaml:2: latency: "20sec" is not a duration'),
    "a step without its moment": (
        f"{FLEET}steps:\n  - number: support-de\n    heal: true\n",
        "story.yaml:3: steps[0].at: missing; write for example at: 20s",
    ),
    "a step that concerns nothing": (
        f"{FLEET}steps:\n  - at: 1s\n    heal: true\n",
        "story.yaml:3: steps[0]: say once what changes, by one of number, waba",
    ),
    "a step that concerns two things": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, waba: acme-eu, heal: true}}\n",
        "say once what changes",
    ),
    "a number that is not in the fleet": (
        f"{FLEET}steps:\n  - at: 1s\n    number: suport-de\n    heal: true\n",
        "story.yaml:4: steps[0].number: there is no 'suport-de' in the fleet; write support-de",
    ),
    "a viewer that is not in the fleet": (
        f"{FLEET}steps:\n  - {{at: 1s, waba: acme-eu, heal: true, seen_by: [orders-se]}}\n",
        "steps[0].seen_by: there is no 'orders-se' in the fleet; write orders-es",
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
        'steps[0].status: "BLOKED" is not known here; write BLOCKED',
    ),
    "a status in small letters": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, can_send_message: blocked}}\n",
        'steps[0].can_send_message: "blocked" is not known here; write BLOCKED',
    ),
    "reasons that are no list": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOCKED, reasons: 141006}}\n",
        "steps[0].reasons: expected a list, but this is a number",
    ),
    "a reason in the wrong form": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOCKED, reasons: [unpaid]}}\n",
        "steps[0].reasons[0]: write a code such as 141006",
    ),
    "a reason with an unknown field": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, status: BLOCKED, reasons: [{{kode: 1}}]}}\n",
        "steps[0].reasons[0].kode: unknown field; write code",
    ),
    "an unknown failure": (
        f"{FLEET}steps:\n  - at: 1s\n    number: support-de\n    failure: unauthorised\n",
        'story.yaml:5: steps[0].failure: "unauthorised" is not known here; write unauthorized',
    ),
    "an unknown kind of failure in full": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, failure: {{kind: slo}}}}\n",
        'steps[0].failure.kind: "slo" is not known here; write slow',
    ),
    "a failure's setting that does not exist": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, failure: {{kind: slow, dealy: 5s}}}}\n",
        "steps[0].failure.dealy: unknown field; write delay",
    ),
    "a failure of what is no number": (
        f"{FLEET}steps:\n  - {{at: 1s, waba: acme-eu, failure: slow}}\n",
        "steps[0].failure: only a number can have it",
    ),
    "an unknown quirk": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, quirks: [no_wraper]}}\n",
        'steps[0].quirks[0]: "no_wraper" is not known here; write no_wrapper',
    ),
    "healing that is neither true nor false": (
        f"{FLEET}steps:\n  - {{at: 1s, number: support-de, heal: 1}}\n",
        "steps[0].heal: 1 is a number, not a boolean; write true or false",
    ),
    "labels that are no texts": (
        "fleet: {numbers: [{id: a, labels: {tier: 1}}]}\n",
        'fleet.numbers[0].labels.tier: expected a text, but 1 is a number; put it in quotes: "1"',
    ),
    "labels that are no mapping": (
        "fleet: {numbers: [{id: a, labels: x}]}\n",
        "labels: expected a mapping of fields, but this is a text",
    ),
    "a length that cuts the story": (
        f"{FLEET}length: 5s\nsteps:\n  - {{at: 9s, number: support-de, heal: true}}\n",
        "story.yaml:2: length: shorter than the last step, which comes at 9s",
    ),
    "a repetition of nothing": (f"{FLEET}repeat: true\n", "story.yaml:2: repeat: nothing to repeat"),
    "a field written twice": (
        f"{FLEET}title: a\ntitle: b\n",
        "story.yaml:3: title: written twice, first on line 2; keep one of them",
    ),
    "broken YAML": (f"{FLEET}steps: [\n", "not YAML ("),
    "characters that YAML forbids": (f"{FLEET}title: \x07\n", "story.yaml:2: not YAML (a control character)"),
    "an object of a program": (f"{FLEET}title: !!python/name:os.system\n", "story.yaml:2: title: tags are not read"),
    "a field's name that is a list": (
        f"{FLEET}? [a]\n: b\n",
        "a list or mapping cannot be a field's name; write a word",
    ),
    "a nesting without end": ("[" * 100_000, "story.yaml:1: nested too deeply; write it flatter"),
    "an anchor that contains itself": (
        f"{FLEET}steps: &all [*all]\n",
        "an alias (*) that stands for nothing written before it",
    ),
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
    with pytest.raises(ScenarioError, match=r"mine\.yaml:1: fleet: expected a mapping"):
        load_scenario(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read"):
        load_scenario(tmp_path / "none.yaml")


def test_a_foreign_status_in_capitals_is_taken_as_it_is():
    scenario = parse_scenario(f"{FLEET}steps:\n  - {{at: 0s, number: support-de, status: PAUSED}}")
    capabilities = Simulation(scenario).numbers()[0]["entities"][0]["capabilities"]
    assert capabilities == {"can_send_message": "PAUSED"}
