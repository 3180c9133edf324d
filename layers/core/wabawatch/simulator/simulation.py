"""The fleet as it is now: applies changes, follows the story, answers for a key. No clock, no sockets."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .answers import Reply, snake_envelope
from .changes import EVERYTHING, Change, ChangeFields, check_names, make_change
from .fleet import Number
from .live import LiveEntity, LiveNumber, described
from .reading import read_fields
from .scenario import Scenario, Step

UNKNOWN_KEY = snake_envelope(401, "Invalid api key: no number is known by it")


class Simulation:
    """A scenario in motion. Not for several threads at once: a running server is steered through its own methods."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        baselines = scenario.fleet.baselines()
        self._entities = {(kind, name): LiveEntity(kind, name, health) for (kind, name), health in baselines.items()}
        self._numbers = {number.id: self._live(number) for number in scenario.fleet.numbers}
        self._by_key = {number.key: self._numbers[number.id] for number in scenario.fleet.numbers}
        self.elapsed = timedelta()
        self._told = 0
        self.advance(timedelta())

    def _live(self, number: Number) -> LiveNumber:
        live = LiveNumber(number, [self._entities[subject] for subject in number.entities()])
        for entity in live.entities:
            entity.numbers.append(live)
        return live

    def number_of(self, key: str | None) -> Number | None:
        live = self._by_key.get(key or "")
        return live.number if live else None

    def answer(self, key: str | None, *, reused: bool = False) -> Reply:
        """What GET /health_status gets for this key; `reused`: the connection has carried an answer before."""
        live = self._by_key.get(key or "")
        return live.reply(reused=reused) if live else UNKNOWN_KEY

    def apply(self, change: Change) -> None:
        """Do the change at once."""
        if change.kind == "number" and change.heal and EVERYTHING in change.names:
            self._heal_everything()
            return
        for name in self._meant(change):
            self._apply_to(self._entities[change.kind, name], change)

    def _meant(self, change: Change) -> list[str]:
        if EVERYTHING in change.names:
            return [name for kind, name in self._entities if kind == change.kind]
        return list(change.names)

    def _apply_to(self, entity: LiveEntity, change: Change) -> None:
        if change.heal or change.touches_health:
            entity.change(change)
        for live in entity.numbers:
            live.ready.clear()
        if change.kind == "number":
            self._apply_to_number(self._numbers[entity.name], change)

    def _apply_to_number(self, live: LiveNumber, change: Change) -> None:
        if change.heal:
            live.heal()
        if change.failure is not None:
            live.fail(change.failure)
        if change.quirks is not None:
            live.quirks = change.quirks

    def _heal_everything(self) -> None:
        for entity in self._entities.values():
            entity.heal()
        for live in self._numbers.values():
            live.heal()

    def change(self, kind: str, name: str, fields: Mapping[Any, Any]) -> Change:
        """Read a change given by hand, with a step's fields; raises ScenarioError. It is not applied yet."""
        fleet = self.scenario.fleet

        def build(given: dict[str, Any]) -> Change:
            check_names(kind, (name,), fleet, kind)
            return make_change(kind, (name,), given, fleet)

        return read_fields(dict(fields), "the change", ChangeFields, build)

    def advance(self, elapsed: timedelta) -> list[Step]:
        """Bring the story to this moment after its start and return the steps taken; going back starts it again."""
        position, scenario = elapsed, self.scenario
        lap = elapsed // scenario.length if scenario.repeat else 0
        position -= lap * scenario.length
        if elapsed < self.elapsed or (scenario.repeat and lap != self.elapsed // scenario.length):
            self._told = 0
            self._heal_everything()
        self.elapsed = elapsed
        return self._tell(position)

    def _tell(self, position: timedelta) -> list[Step]:
        steps = self.scenario.steps
        first = self._told
        while self._told < len(steps) and steps[self._told].at <= position:
            self.apply(steps[self._told].change)
            self._told += 1
        return list(steps[first : self._told])

    def numbers(self) -> list[dict[str, Any]]:
        """Every number as steering shows it, keys included: they open nothing but this simulator."""
        return [described(live) for live in self._numbers.values()]
