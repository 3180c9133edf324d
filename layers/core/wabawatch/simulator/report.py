"""The body of an answer about health, as the provider writes it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from .reasons import Health, worst

Document = dict[str, Any]


def report(number_id: str, entities: Iterable[tuple[str, str, Health]]) -> Document:
    """The whole document for one number; `entities` are (type, id on the wire, health) in the order of the answer.

    The overall status is the worst of everything, calling included, as Meta documents it: a number without SIP is
    BLOCKED overall while it can send.
    """
    listed = [_entity(kind, entity_id, health) for kind, entity_id, health in entities]
    statuses = [value for entity in listed for name, value in entity.items() if name.startswith("can_")]
    return {"health_status": {"can_send_message": worst(statuses), "entities": listed}, "id": number_id}


def _entity(kind: str, entity_id: str, health: Health) -> Document:
    entity: Document = {"entity_type": kind, "id": entity_id, **health.capabilities}
    if health.reasons:
        entity["errors"] = [msgspec.to_builtins(reason) for reason in health.reasons]
    if health.additional_info:
        entity["additional_info"] = list(health.additional_info)
    return entity
