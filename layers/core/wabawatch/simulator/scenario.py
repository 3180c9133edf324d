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

import msgspec

from .changes import FIELDS, Change, read_change, read_subject
from .fleet import CALLING_USES, TYPES, Fleet, Number, generated_fleet
from .reading import (
    ScenarioError,
    Section,
    count,
    duration,
    flag,
    header,
    identifier,
    one_of,
    read_yaml,
    text,
    text_map,
    texts,
)

_NUMBER_FIELDS = ("id", "name", "waba", "business", "app", "templates", "calling", "labels", "key")


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
    """The scenario of the file, or the story that comes with the package; raises ScenarioError."""
    if path is None:
        return parse_scenario(
            resources.files(__package__).joinpath("story.yaml").read_text("utf-8"), "the default story"
        )
    try:
        return parse_scenario(Path(path).read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as mistake:
        raise ScenarioError(f"{path}: cannot be read: {mistake}") from mistake


def parse_scenario(source: str, name: str = "scenario") -> Scenario:
    """The scenario of the YAML text; `name` stands for the file in what ScenarioError says."""
    root = read_yaml(source, name)
    root.allow(("title", "latency", "length", "repeat", "fleet", "steps"))
    fleet = _fleet(root)
    steps = sorted((_step(section, fleet) for section in root.sections("steps")), key=lambda step: step.at)
    last = steps[-1].at if steps else timedelta()
    length = root.take("length", duration, last)
    if length < last:
        raise root.refuse("length", f"shorter than the last step, which comes at {last.total_seconds():g}s")
    repeat = root.take("repeat", flag, default=False)
    if repeat and not length:
        raise root.refuse("repeat", "nothing to repeat; write length: 3m, or a step later than 0s")
    return Scenario(
        fleet=fleet,
        title=root.take("title", text, ""),
        latency=root.take("latency", duration, timedelta()),
        steps=tuple(steps),
        length=length,
        repeat=repeat,
    )


def _fleet(root: Section) -> Fleet:
    section = root.section("fleet")
    section.allow(("numbers", "generate"))
    numbers = [*_named(section), *_generated(section)]
    if twice := [name for name, times in Counter(number.id for number in numbers).items() if times > 1]:
        raise section.refuse("generate", f"makes a number {twice[0]!r}, which is named already; give that another id")
    if not numbers:
        raise root.refuse("fleet", "there are no numbers; write numbers: [{id: support-de}] or generate: {count: 40}")
    return Fleet(tuple(numbers))


def _generated(fleet: Section) -> tuple[Number, ...]:
    if "generate" not in fleet:
        return ()
    section = fleet.section("generate")
    section.allow(("count", "wabas", "businesses", "calling"))
    return generated_fleet(
        section.need("count", count),
        wabas=section.take("wabas", count, None),
        businesses=section.take("businesses", count, None),
        calling=section.take("calling", one_of(CALLING_USES), "absent"),
    ).numbers


def _named(fleet: Section) -> Iterator[Number]:
    ids: set[str] = set()
    keys: set[str] = set()
    business_of: dict[str, str] = {}
    for section in fleet.sections("numbers"):
        number = _number(section, business_of)
        if number.id in ids:
            raise section.refuse("id", f"{number.id!r} is there already; each number needs an id of its own")
        if number.key in keys:
            raise section.refuse("key", "another number has this key; a key belongs to one number")
        if business_of.setdefault(number.waba, number.business) != number.business:
            raise section.refuse("business", f"{number.waba!r} already belongs to {business_of[number.waba]!r}")
        ids.add(number.id)
        keys.add(number.key)
        yield number


def _number(section: Section, business_of: dict[str, str]) -> Number:
    section.allow(_NUMBER_FIELDS)
    number_id = section.need("id", identifier)
    waba = section.take("waba", text, number_id)
    return Number(
        id=number_id,
        name=section.take("name", text, number_id.replace("-", " ").title()),
        waba=waba,
        business=section.take("business", text, business_of.get(waba, waba)),
        app=section.take("app", text, "messaging-app"),
        templates=section.take("templates", texts, ()),
        calling=section.take("calling", one_of(CALLING_USES), "absent"),
        labels=section.take("labels", text_map, {}),
        api_key=section.take("key", header, ""),
    )


def _step(section: Section, fleet: Fleet) -> Step:
    section.allow(("at", "caption", *TYPES, *FIELDS), prefix="can_")
    at = section.need("at", duration)
    kind, names = read_subject(section, fleet)
    return Step(at, read_change(section, kind, names, fleet), section.take("caption", text, ""))
