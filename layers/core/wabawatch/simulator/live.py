"""The entities and numbers as they are now: what each reports, how it fails, and the answers that are ready to send."""

from collections.abc import Iterator
from typing import Any

import msgspec

from .answers import Answer, Reply
from .changes import Change
from .failures import Failure
from .fleet import TYPES, Number, wire_id
from .quirks import JITTER_PERIOD, disguise
from .reasons import MESSAGING, Health, worst
from .report import report


class LiveEntity:
    """One entity and what it reports; `seen` holds what only some numbers' answers show."""

    def __init__(self, kind: str, name: str, baseline: Health) -> None:
        self.kind, self.name, self.baseline = kind, name, baseline
        self.type, self.id = TYPES[kind], wire_id(kind, name)
        self.health = baseline
        self.seen: dict[str, Health] = {}
        self.numbers: list[LiveNumber] = []

    def change(self, change: Change) -> None:
        for viewer in change.seen_by:
            self.seen[viewer] = self._after(change, self.seen.get(viewer, self.health))
        if not change.seen_by:
            self.health = self._after(change, self.health)
            self.seen.clear()

    def _after(self, change: Change, health: Health) -> Health:
        return self.baseline if change.heal else change.applied_to(health)

    def heal(self) -> None:
        self.health = self.baseline
        self.seen.clear()


class LiveNumber:
    """One number with its entities, how it fails at present, and the answers that are ready."""

    def __init__(self, number: Number, entities: list[LiveEntity]) -> None:
        self.number, self.entities = number, entities
        self.failure: Failure | None = None
        self.failures_left: int | None = None
        self.quirks: tuple[str, ...] = ()
        self.reads = 0
        self.ready: dict[int, Answer] = {}

    def reply(self, *, reused: bool) -> Reply:
        self.reads += 1
        healthy = self.healthy()
        failure = self.failure
        if failure is None or (failure.only_reused and not reused):
            return healthy
        self._count_down()
        return failure.strike(healthy)

    def _count_down(self) -> None:
        if self.failures_left is not None:
            self.failures_left -= 1
            if self.failures_left == 0:
                self.failure = None

    def healthy(self) -> Answer:
        variant = self.reads % JITTER_PERIOD if "jitter" in self.quirks else 0
        if variant not in self.ready:
            document = disguise(self.document(), self.quirks, variant)
            self.ready[variant] = Answer(200, msgspec.json.encode(document))
        return self.ready[variant]

    def seen(self) -> Iterator[tuple[LiveEntity, Health]]:
        return ((entity, entity.seen.get(self.number.id, entity.health)) for entity in self.entities)

    def document(self) -> dict[str, Any]:
        entities = ((entity.type, entity.id, health) for entity, health in self.seen())
        return report(self.entities[0].id, entities)

    def fail(self, failure: Failure) -> None:
        self.failure = failure if failure.kind else None
        self.failures_left = failure.times

    def heal(self) -> None:
        self.failure, self.quirks = None, ()
        self.ready.clear()


def described(live: LiveNumber) -> dict[str, Any]:
    number = live.number
    seen = list(live.seen())
    return {
        "id": number.id,
        "name": number.name,
        "key": number.key,
        "labels": dict(number.labels),
        "status": worst([health.capabilities.get(MESSAGING, "") for _, health in seen]),
        "overall": live.document()["health_status"][MESSAGING],
        "failure": live.failure.kind if live.failure else None,
        "quirks": list(live.quirks),
        "entities": [_described_entity(entity, health) for entity, health in seen],
    }


def _described_entity(entity: LiveEntity, health: Health) -> dict[str, Any]:
    return {
        "kind": entity.kind,
        "name": entity.name,
        "entity_type": entity.type,
        "id": entity.id,
        "capabilities": dict(health.capabilities),
        "codes": [reason.code for reason in health.reasons],
        "info": list(health.additional_info),
    }
