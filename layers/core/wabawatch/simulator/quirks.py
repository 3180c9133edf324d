"""Where the real answer differs from its documentation: each quirk rewrites a healthy-looking document.

All of them were reported from production, or follow from what the documentation leaves open.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from .reasons import CALLING, CATALOGUE, GERMAN, MESSAGING
from .report import Document

JITTER_PERIOD = 6
"""The changing quirk comes round after this many reads, so that its bodies can be kept."""


def disguise(document: Document, quirks: Iterable[str], read: int) -> Document:
    """Apply the named quirks; the order of the table decides, because some take away what others work on."""
    chosen = set(quirks)
    for name, rewrite in QUIRKS.items():
        if name in chosen:
            document = rewrite(document, read)
    return document


def _entities(document: Document) -> list[Document]:
    entities: list[Document] = document["health_status"]["entities"]
    return entities


def _errors(document: Document) -> Iterable[Document]:
    return (error for entity in _entities(document) for error in entity.get("errors") or ())


def _errors_on_available(document: Document, _read: int) -> Document:
    number = _entities(document)[0]
    number["errors"] = [*number.get("errors", []), _wire(138024), _wire(138025)]
    return document


def _wire(code: int) -> Document:
    reason = CATALOGUE[code]
    solution = reason.possible_solution
    return {"error_code": code, "error_description": reason.description, "possible_solution": solution}


def _repeated_reasons(document: Document, _read: int) -> Document:
    for entity in _entities(document):
        entity["errors"] = entity.get("errors", []) * 2
    return document


def _jitter(document: Document, read: int) -> Document:
    """The same reasons in another order, another language, or with a reference that differs each time."""
    for entity in _entities(document):
        for name in ("errors", "additional_info"):
            if name in entity and read % 2:
                entity[name].reverse()
    for error in _errors(document):
        if read % 3 == 1:
            error["error_description"] = GERMAN.get(error.get("error_code", 0), error.get("error_description"))
        elif read % 3 == 2:  # noqa: PLR2004 - the third of three wordings
            error["error_description"] = f"{error.get('error_description')} (reference {4711 + read}-{read})"
    if read % 2:
        _entities(document).reverse()
    return document


def _string_codes(document: Document, _read: int) -> Document:
    for error in _errors(document):
        error["error_code"] = str(error.get("error_code"))
    return document


def _sparse_reasons(document: Document, _read: int) -> Document:
    for index, error in enumerate(_errors(document)):
        if index % 2:
            error["possible_solution"] = None
        else:
            error.pop("possible_solution", None)
            error["error_description"] = ""
    return document


def _null_lists(document: Document, _read: int) -> Document:
    for entity in _entities(document):
        entity.setdefault("errors", None)
        entity.setdefault("additional_info", None)
    return document


def _unknown_capability(document: Document, _read: int) -> Document:
    for entity in _entities(document):
        entity["can_use_passkeys"] = "AVAILABLE"
    return document


def _unknown_status(document: Document, _read: int) -> Document:
    _entities(document)[0][MESSAGING] = "PAUSED"
    return document


def _unknown_type(document: Document, _read: int) -> Document:
    entity = {"entity_type": "LOYALTY_PROGRAM", "id": "190000000000001", MESSAGING: "AVAILABLE"}
    _entities(document).append(entity)
    return document


class _Again(Enum):
    """Keys that are written a second time into an object: for a dict another key, for JSON the same."""

    MESSAGING = MESSAGING
    ERRORS = "errors"


def _repeated_keys(document: Document, _read: int) -> Document:
    """Each entity says how it is, and then that it is well; one with errors has a second list of them."""
    for entity in _entities(document):
        again: dict[Any, object] = {_Again.MESSAGING: "AVAILABLE"}
        if entity.get("errors"):
            again[_Again.ERRORS] = [_wire(141010)]
        entity.update(again)
    return document


def _php_lists(document: Document, _read: int) -> Document:
    """As PHP writes a list from which the first entry was taken: an object whose keys are the indices."""
    entities = _entities(document)
    if isinstance(entities, list):
        for entity in entities:
            for name in ("errors", "additional_info"):
                if entity.get(name):
                    entity[name] = _indexed(entity[name])
        document["health_status"]["entities"] = _indexed(entities)
    return document


def _indexed(entries: list[Any]) -> dict[str, Any]:
    return {str(index): entry for index, entry in enumerate(entries, 1)}


def _lone_objects(document: Document, _read: int) -> Document:
    """Lists of one entry without the list: of the entities the first that gives errors, of its errors the first."""
    entities = _entities(document)
    entity = next((entity for entity in entities if entity.get("errors")), entities[0])
    if entity.get("errors"):
        entity["errors"] = entity["errors"][0]
    document["health_status"]["entities"] = entity
    return document


def _status_in_two_places(document: Document, _read: int) -> Document:
    """Beside the wrapper everything is well, and an entity is listed that is nowhere else."""
    entity = {"entity_type": "PHONE_NUMBER", "id": "100000000000001", MESSAGING: "AVAILABLE"}
    return {MESSAGING: "AVAILABLE", "entities": [entity]} | document


def _misspelt_capability(document: Document, _read: int) -> Document:
    return {f"{MESSAGING}s" if name == MESSAGING else name: _misspelt(value) for name, value in document.items()}


def _misspelt(value: object) -> object:
    if isinstance(value, dict):
        return _misspelt_capability(value, 0)
    return [_misspelt(entry) for entry in value] if isinstance(value, list) else value


def _without(field: str, index: int) -> Callable[[Document, int], Document]:
    def rewrite(document: Document, _read: int) -> Document:
        entities = _entities(document)
        entities[index % len(entities)].pop(field, None)
        return document

    return rewrite


def _contradictory_overall(document: Document, _read: int) -> Document:
    health = document["health_status"]
    health[MESSAGING] = "AVAILABLE" if health[MESSAGING] == "BLOCKED" else "BLOCKED"
    return document


def _overall_calling(document: Document, _read: int) -> Document:
    document["health_status"][CALLING] = "BLOCKED"
    return document


def _no_overall(document: Document, _read: int) -> Document:
    document["health_status"].pop(MESSAGING, None)
    return document


def _entities_become(value: object) -> Callable[[Document, int], Document]:
    def rewrite(document: Document, _read: int) -> Document:
        document["health_status"]["entities"] = value
        return document

    return rewrite


def _no_entities(document: Document, _read: int) -> Document:
    document["health_status"].pop("entities", None)
    return document


def _null_status(document: Document, _read: int) -> Document:
    _entities(document)[0][MESSAGING] = None
    return document


def _wrong_id(document: Document, _read: int) -> Document:
    return document | {"id": "100000000000000"}


def _no_id(document: Document, _read: int) -> Document:
    return {name: value for name, value in document.items() if name != "id"}


def _no_wrapper(document: Document, _read: int) -> Document:
    fields: Document = document["health_status"]
    return fields | {name: value for name, value in document.items() if name != "health_status"}


QUIRKS: Mapping[str, Callable[[Document, int], Document]] = {
    "errors_on_available": _errors_on_available,
    "repeated_reasons": _repeated_reasons,
    "jitter": _jitter,
    "string_codes": _string_codes,
    "sparse_reasons": _sparse_reasons,
    "null_lists": _null_lists,
    "unknown_capability": _unknown_capability,
    "unknown_status": _unknown_status,
    "unknown_type": _unknown_type,
    "null_status": _null_status,
    "repeated_keys": _repeated_keys,
    "entity_without_id": _without("id", 1),
    "entity_without_type": _without("entity_type", 2),
    "entity_without_status": _without(MESSAGING, 3),
    "lone_objects": _lone_objects,
    "php_lists": _php_lists,
    "contradictory_overall": _contradictory_overall,
    "overall_calling": _overall_calling,
    "no_overall": _no_overall,
    "null_entities": _entities_become(None),
    "empty_entities": _entities_become([]),
    "no_entities": _no_entities,
    "wrong_id": _wrong_id,
    "no_id": _no_id,
    "no_wrapper": _no_wrapper,
    "status_in_two_places": _status_in_two_places,
    "misspelt_capability": _misspelt_capability,
}
