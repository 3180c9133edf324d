"""The state of the simulated fleet: apply changes and timed steps, answer requests. No clock, no sockets."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from wabawatch.simulator.changes import EVERYTHING, Change, ChangeFields, check_names, make_change
from wabawatch.simulator.failures import Failure, snake_envelope
from wabawatch.simulator.fleet import MESSAGING, TYPES, Health, Number, wire_id, worst_status
from wabawatch.simulator.http import Reply, Response
from wabawatch.simulator.quirks import JITTER_PERIOD, Document, apply_quirks
from wabawatch.simulator.reading import read_fields
from wabawatch.simulator.scenario import Scenario, Step

UNKNOWN_KEY = snake_envelope(401, "Invalid api key: no number is known by it")


class EntityState:
    """What one entity reports at present; `health_by_number` is for numbers whose responses differ from `health`."""

    def __init__(self, kind: str, name: str, baseline: Health) -> None:
        self.kind, self.name, self.baseline = kind, name, baseline
        self.type, self.id = TYPES[kind], wire_id(kind, name)
        self.health = baseline
        self.health_by_number: dict[str, Health] = {}
        self.numbers: list[NumberState] = []

    def apply(self, change: Change) -> None:
        for number_id in change.seen_by:
            health = self.health_by_number.get(number_id, self.health)
            self.health_by_number[number_id] = self._changed(health, change)
        if not change.seen_by:
            self.health = self._changed(self.health, change)
            self.health_by_number.clear()

    def _changed(self, health: Health, change: Change) -> Health:
        return self.baseline if change.heal else change.applied_to(health)

    def heal(self) -> None:
        self.health = self.baseline
        self.health_by_number.clear()


class NumberState:
    """The entities of one number, its failure and quirks at present, and its cached responses."""

    def __init__(self, number: Number, entities: list[EntityState]) -> None:
        self.number, self.entities = number, entities
        self.failure: Failure | None = None
        self.failures_left: int | None = None
        self.quirks: tuple[str, ...] = ()
        self.requests = 0
        self.cache: dict[int, Response] = {}
        """Healthy responses by variant; more than one with the "jitter" quirk."""

    def reply(self, *, reused: bool) -> Reply:
        """Answer one request; `reused`: the connection has carried a response before."""
        self.requests += 1
        healthy, failure = self._healthy_response(), self.failure
        if failure is None or (failure.needs_reused_connection and not reused):
            return healthy
        if self.failures_left is not None:
            self.failures_left -= 1
            if self.failures_left == 0:
                self.failure = None
        return failure.reply(healthy)

    def _healthy_response(self) -> Response:
        variant = self.requests % JITTER_PERIOD if "jitter" in self.quirks else 0
        if variant not in self.cache:
            document = apply_quirks(self.document(), self.quirks, variant)
            self.cache[variant] = Response(200, msgspec.json.encode(document))
        return self.cache[variant]

    def document(self) -> Document:
        """Build the response document, as documented by the provider."""
        entities = ((entity.type, entity.id, health) for entity, health in self.entity_health())
        return health_document(self.entities[0].id, entities)

    def entity_health(self) -> Iterator[tuple[EntityState, Health]]:
        """Yield each entity with the health that this number's responses show."""
        return ((entity, entity.health_by_number.get(self.number.id, entity.health)) for entity in self.entities)

    def apply(self, change: Change) -> None:
        if change.heal:
            self.heal()
        if change.failure is not None:
            self.failure = change.failure if change.failure.kind else None
            self.failures_left = change.failure.times
        if change.quirks is not None:
            self.quirks = change.quirks

    def heal(self) -> None:
        self.failure, self.quirks = None, ()
        self.cache.clear()

    def describe(self) -> dict[str, Any]:
        """Describe the number and its entities for GET /simulator/numbers."""
        number, entities = self.number, list(self.entity_health())
        return {
            "id": number.id,
            "name": number.name,
            "key": number.key,
            "labels": dict(number.labels),
            "status": worst_status([health.capabilities.get(MESSAGING, "") for _, health in entities]),
            "overall": self.document()["health_status"][MESSAGING],
            "failure": self.failure.kind if self.failure else None,
            "quirks": list(self.quirks),
            "entities": [
                {
                    "kind": entity.kind,
                    "name": entity.name,
                    "entity_type": entity.type,
                    "id": entity.id,
                    "capabilities": dict(health.capabilities),
                    "codes": [reason.code for reason in health.reasons],
                    "info": list(health.additional_info),
                }
                for entity, health in entities
            ],
        }


def health_document(number_id: str, entities: Iterable[tuple[str, str, Health]]) -> Document:
    """Build the health response for one number; `entities` are (type, id on the wire, health), in order.

    The overall status is the worst of all capabilities, calling included, as Meta documents it: a number without SIP is
    BLOCKED overall although it can send.
    """
    described = [_entity_document(entity_type, entity_id, health) for entity_type, entity_id, health in entities]
    statuses = [value for entity in described for name, value in entity.items() if name.startswith("can_")]
    return {"health_status": {"can_send_message": worst_status(statuses), "entities": described}, "id": number_id}


def _entity_document(entity_type: str, entity_id: str, health: Health) -> Document:
    entity: Document = {"entity_type": entity_type, "id": entity_id, **health.capabilities}
    if health.reasons:
        entity["errors"] = [msgspec.to_builtins(reason) for reason in health.reasons]
    if health.additional_info:
        entity["additional_info"] = list(health.additional_info)
    return entity


class Simulation:
    """The state of a scenario's fleet. Not thread-safe: use the methods of `RunningServer` once it is served."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._entities = {
            (kind, name): EntityState(kind, name, health) for (kind, name), health in scenario.fleet.baselines().items()
        }
        self._numbers = {number.id: self._number_state(number) for number in scenario.fleet.numbers}
        self._by_key = {number.key: self._numbers[number.id] for number in scenario.fleet.numbers}
        self.elapsed = timedelta()
        self._next_step = 0
        self.advance(timedelta())

    def _number_state(self, number: Number) -> NumberState:
        state = NumberState(number, [self._entities[subject] for subject in number.entities()])
        for entity in state.entities:
            entity.numbers.append(state)
        return state

    def number_of(self, key: str | None) -> Number | None:
        state = self._by_key.get(key or "")
        return state.number if state else None

    def answer(self, key: str | None, *, reused: bool = False) -> Reply:
        """Answer GET /health_status for this key; `reused`: the connection has carried a response before."""
        state = self._by_key.get(key or "")
        return state.reply(reused=reused) if state else UNKNOWN_KEY

    def change(self, kind: str, name: str, fields: Mapping[Any, Any]) -> Change:
        """Read a change given by hand, with a step's fields; raises ScenarioError. It is not applied yet."""
        fleet = self.scenario.fleet

        def build(given: dict[str, Any]) -> Change:
            check_names(kind, (name,), fleet, kind)
            return make_change(kind, (name,), given, fleet)

        return read_fields(dict(fields), "the change", ChangeFields, build)

    def apply(self, change: Change) -> None:
        """Apply the change now. Healing all numbers heals every entity of the fleet."""
        if change.kind == "number" and change.heal and EVERYTHING in change.names:
            self._heal_fleet()
            return
        names: Iterable[str] = change.names
        if EVERYTHING in change.names:
            names = [name for kind, name in self._entities if kind == change.kind]
        for name in names:
            entity = self._entities[change.kind, name]
            if change.heal or change.touches_health:
                entity.apply(change)
            for number in entity.numbers:
                number.cache.clear()
            if change.kind == "number":
                self._numbers[name].apply(change)

    def _heal_fleet(self) -> None:
        for entity in self._entities.values():
            entity.heal()
        for number in self._numbers.values():
            number.heal()

    def advance(self, elapsed: timedelta) -> list[Step]:
        """Apply the steps up to `elapsed` after the start, and return them.

        An earlier moment than before, or a new repetition, starts again with a healthy fleet.
        """
        scenario = self.scenario
        repetition = elapsed // scenario.length if scenario.repeat else 0
        position = elapsed - repetition * scenario.length
        if elapsed < self.elapsed or (scenario.repeat and repetition != self.elapsed // scenario.length):
            self._next_step = 0
            self._heal_fleet()
        self.elapsed = elapsed
        first = self._next_step
        while self._next_step < len(scenario.steps) and scenario.steps[self._next_step].at <= position:
            self.apply(scenario.steps[self._next_step].change)
            self._next_step += 1
        return list(scenario.steps[first : self._next_step])

    def numbers(self) -> list[dict[str, Any]]:
        """Describe every number. API keys are included; they are valid for this simulator only."""
        return [number.describe() for number in self._numbers.values()]
