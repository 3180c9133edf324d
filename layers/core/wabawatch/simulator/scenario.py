"""Scenarios: the numbers, the latency of responses, and timed changes; parsed from YAML.

    title: One number loses its billing
    latency: 80ms                 # before each response
    repeat: false                 # start again after `length` (by default the time of the last step)
    fleet:
      numbers:
        - {id: support-de, name: Support Germany, waba: acme-eu, business: acme, app: care-app,
           templates: [welcome], calling: unused, labels: {team: support}}
      generate: {count: 100, wabas: 20, businesses: 5, calling: absent}
    steps:
      - {at: 20s, waba: acme-eu, status: BLOCKED, reasons: [141006], caption: A card is declined}
      - {at: 40s, number: support-de, failure: {kind: slow, delay: 8s, times: 3}}
      - {at: 60s, number: '*', heal: true}

A number needs only an id. `waba`, `business` and `app` are names; numbers with the same name share the entity.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wabawatch.config.walker import FieldError, Fields
from wabawatch.simulator.changes import Change, ChangeFields, check_names, make_change
from wabawatch.simulator.fleet import TYPES, Fleet, Number, generated_fleet
from wabawatch.simulator.reading import Count, Duration, Header, Identifier, Names, ScenarioError, Text, read_yaml

Calling = Literal["absent", "unused", "used"]


class NumberFields(Fields):
    """A number as it is written."""

    id: Identifier
    name: Text | UnsetType = UNSET
    waba: Text | UnsetType = UNSET
    business: Text | UnsetType = UNSET
    app: Text | UnsetType = UNSET
    templates: Names | UnsetType = UNSET
    calling: Calling | UnsetType = UNSET
    labels: dict[Text, Text] | UnsetType = UNSET
    key: Header | UnsetType = UNSET


class GenerateFields(Fields):
    """How many numbers to make, and how they share accounts."""

    count: Count
    wabas: Count | UnsetType = UNSET
    businesses: Count | UnsetType = UNSET
    calling: Calling | UnsetType = UNSET


class FleetFields(Fields):
    """The fleet as it is written."""

    numbers: tuple[NumberFields, ...] | UnsetType = UNSET
    generate: GenerateFields | UnsetType = UNSET


class StepFields(ChangeFields, kw_only=True):
    """A step as it is written: one of the kinds of entity says what changes."""

    at: Duration
    caption: Text | UnsetType = UNSET
    number: Names | UnsetType = UNSET
    waba: Names | UnsetType = UNSET
    business: Names | UnsetType = UNSET
    app: Names | UnsetType = UNSET
    template: Names | UnsetType = UNSET


class ScenarioFields(Fields):
    """The whole file."""

    title: Text | UnsetType = UNSET
    latency: Duration | UnsetType = UNSET
    length: Duration | UnsetType = UNSET
    repeat: bool | UnsetType = UNSET
    fleet: FleetFields | UnsetType = UNSET
    steps: tuple[StepFields, ...] | UnsetType = UNSET


class Step(msgspec.Struct, frozen=True):
    """A change that happens `at` after the start. The caption describes it for people."""

    at: timedelta
    change: Change
    caption: str = ""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet and its timed changes. `steps` are in order of time. A repeated scenario starts again after `length`."""

    fleet: Fleet
    title: str = ""
    latency: timedelta = timedelta()
    steps: tuple[Step, ...] = ()
    length: timedelta = timedelta()
    repeat: bool = False


def load_scenario(path: Path | str | None = None) -> Scenario:
    """Load a scenario from the file, or the default scenario of the package. Raises ScenarioError."""
    if path is None:
        return parse_scenario(
            resources.files(__package__).joinpath("story.yaml").read_text("utf-8"), "the default scenario"
        )
    try:
        return parse_scenario(Path(path).read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as mistake:
        raise ScenarioError(f"{path}: cannot be read: {mistake}") from mistake


def parse_scenario(source: str, name: str = "scenario") -> Scenario:
    """Return the scenario of the YAML text; `name` stands for the file in what ScenarioError says."""
    return read_yaml(source, name, ScenarioFields, _scenario)


def _scenario(given: dict[str, Any]) -> Scenario:
    fleet = _fleet(given.get("fleet", {}))
    steps = sorted(
        (_step(index, step, fleet) for index, step in enumerate(given.get("steps", ()))), key=lambda step: step.at
    )
    last = steps[-1].at if steps else timedelta()
    length = given.get("length", last)
    if length < last:
        raise FieldError(f"shorter than the last step, which comes at {last.total_seconds():g}s", "length")
    if given.get("repeat") and not length:
        raise FieldError("nothing to repeat; write length: 3m, or a step later than 0s", "repeat")
    own = {name: given[name] for name in ("title", "latency", "repeat") if name in given}
    return Scenario(fleet=fleet, steps=tuple(steps), length=length, **own)


def _fleet(given: dict[str, Any]) -> Fleet:
    numbers = list(_named(given.get("numbers", ())))
    if "generate" in given:
        made = given["generate"]
        numbers += generated_fleet(
            made["count"],
            wabas=made.get("wabas"),
            businesses=made.get("businesses"),
            calling=made.get("calling", "absent"),
        ).numbers
    if twice := [name for name, times in Counter(number.id for number in numbers).items() if times > 1]:
        text = f"makes a number {twice[0]!r}, which is named already; give that another id"
        raise FieldError(text, "fleet", "generate")
    if not numbers:
        text = "there are no numbers; write numbers: [{id: support-de}] or generate: {count: 40}"
        raise FieldError(text, "fleet")
    return Fleet(tuple(numbers))


def _named(written: tuple[dict[str, Any], ...]) -> Iterator[Number]:
    ids: set[str] = set()
    keys: set[str] = set()
    business_of: dict[str, str] = {}
    for index, given in enumerate(written):
        number = _number(given, business_of)
        place = ("fleet", "numbers", index)
        if number.id in ids:
            raise FieldError(f"{number.id!r} is there already; each number needs an id of its own", *place, "id")
        if number.key in keys:
            raise FieldError("another number has this key; a key belongs to one number", *place, "key")
        if business_of.setdefault(number.waba, number.business) != number.business:
            text = f"{number.waba!r} already belongs to {business_of[number.waba]!r}"
            raise FieldError(text, *place, "business")
        ids.add(number.id)
        keys.add(number.key)
        yield number


def _number(given: dict[str, Any], business_of: dict[str, str]) -> Number:
    waba = given.get("waba", given["id"])
    usual = {
        "name": given["id"].replace("-", " ").title(),
        "waba": waba,
        "business": business_of.get(waba, waba),
        "api_key": given.get("key", ""),
    }
    return Number(**{**usual, **{name: value for name, value in given.items() if name != "key"}})


def _step(index: int, given: dict[str, Any], fleet: Fleet) -> Step:
    try:
        kinds = [kind for kind in TYPES if kind in given]
        if len(kinds) != 1:
            raise FieldError(f"say once what changes, by one of {', '.join(TYPES)}")  # noqa: TRY301 - placed below
        kind, names = kinds[0], given[kinds[0]]
        check_names(kind, names, fleet, kind)
        return Step(given["at"], make_change(kind, names, given, fleet), given.get("caption", ""))
    except FieldError as error:
        raise FieldError(str(error), "steps", index, *error.below) from None
