"""Ways in which real health responses differ from the documentation: each quirk rewrites a response document.

All of them were reported from production, or are possible because the documentation does not exclude them.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from wabawatch.simulator.fleet import CALLING, CATALOGUE, GERMAN, MESSAGING

Document = dict[str, Any]

JITTER_PERIOD = 6
"""The "jitter" quirk repeats after this many requests, so that its response bodies can be cached."""


def apply_quirks(document: Document, quirks: Iterable[str], request_number: int) -> Document:
    """Apply the named quirks in the order of QUIRKS, because some remove fields that others change."""
    chosen = set(quirks)
    for name, rewrite in QUIRKS.items():
        if name in chosen:
            document = rewrite(document, request_number)
    return document


def _entities(document: Document) -> list[Document]:
    entities: list[Document] = document["health_status"]["entities"]
    return entities


def _errors(document: Document) -> Iterable[Document]:
    return (error for entity in _entities(document) for error in entity.get("errors") or ())


def _errors_on_available(document: Document, _request_number: int) -> Document:
    number = _entities(document)[0]
    number["errors"] = [*number.get("errors", []), _error(138024), _error(138025)]
    return document


def _error(code: int) -> Document:
    reason = CATALOGUE[code]
    solution = reason.possible_solution
    return {"error_code": code, "error_description": reason.description, "possible_solution": solution}


def _repeated_reasons(document: Document, _request_number: int) -> Document:
    for entity in _entities(document):
        entity["errors"] = entity.get("errors", []) * 2
    return document


def _jitter(document: Document, request_number: int) -> Document:
    """Change the order of lists, and the language of reasons or a reference number in them, at each request."""
    for entity in _entities(document):
        for name in ("errors", "additional_info"):
            if name in entity and request_number % 2:
                entity[name].reverse()
    for error in _errors(document):
        if request_number % 3 == 1:
            error["error_description"] = GERMAN.get(error.get("error_code", 0), error.get("error_description"))
        elif request_number % 3 == 2:  # noqa: PLR2004 - the third of three wordings
            error["error_description"] = (
                f"{error.get('error_description')} (reference {4711 + request_number}-{request_number})"
            )
    if request_number % 2:
        _entities(document).reverse()
    return document


def _string_codes(document: Document, _request_number: int) -> Document:
    for error in _errors(document):
        error["error_code"] = str(error.get("error_code"))
    return document


def _sparse_reasons(document: Document, _request_number: int) -> Document:
    for index, error in enumerate(_errors(document)):
        if index % 2:
            error["possible_solution"] = None
        else:
            error.pop("possible_solution", None)
            error["error_description"] = ""
    return document


def _null_lists(document: Document, _request_number: int) -> Document:
    for entity in _entities(document):
        entity.setdefault("errors", None)
        entity.setdefault("additional_info", None)
    return document


def _unknown_capability(document: Document, _request_number: int) -> Document:
    for entity in _entities(document):
        entity["can_use_passkeys"] = "AVAILABLE"
    return document


def _unknown_status(document: Document, _request_number: int) -> Document:
    _entities(document)[0][MESSAGING] = "PAUSED"
    return document


def _unknown_type(document: Document, _request_number: int) -> Document:
    entity = {"entity_type": "LOYALTY_PROGRAM", "id": "190000000000001", MESSAGING: "AVAILABLE"}
    _entities(document).append(entity)
    return document


class _DuplicateKey(Enum):
    """Keys to write a second time into a JSON object: different keys of the dict, encoded as the same text."""

    MESSAGING = MESSAGING
    ERRORS = "errors"


def _repeated_keys(document: Document, _request_number: int) -> Document:
    """Write the status of each entity twice, the second time as AVAILABLE, and an `errors` list that exists twice."""
    for entity in _entities(document):
        duplicates: dict[Any, object] = {_DuplicateKey.MESSAGING: "AVAILABLE"}
        if entity.get("errors"):
            duplicates[_DuplicateKey.ERRORS] = [_error(141010)]
        entity.update(duplicates)
    return document


def _php_lists(document: Document, _request_number: int) -> Document:
    """Write lists as objects with the indices as keys, as PHP does when the first entry was removed."""
    entities = _entities(document)
    if isinstance(entities, list):
        for entity in entities:
            for name in ("errors", "additional_info"):
                if entity.get(name):
                    entity[name] = _index_entries(entity[name])
        document["health_status"]["entities"] = _index_entries(entities)
    return document


def _index_entries(entries: list[Any]) -> dict[str, Any]:
    return {str(index): entry for index, entry in enumerate(entries, 1)}


def _lone_objects(document: Document, _request_number: int) -> Document:
    """Replace lists by their first entry: `entities` by the first entity with errors, `errors` by the first error."""
    entities = _entities(document)
    entity = next((entity for entity in entities if entity.get("errors")), entities[0])
    if entity.get("errors"):
        entity["errors"] = entity["errors"][0]
    document["health_status"]["entities"] = entity
    return document


def _status_in_two_places(document: Document, _request_number: int) -> Document:
    """Add an AVAILABLE status and a different entity next to the `health_status` object."""
    entity = {"entity_type": "PHONE_NUMBER", "id": "100000000000001", MESSAGING: "AVAILABLE"}
    return {MESSAGING: "AVAILABLE", "entities": [entity]} | document


def _misspelt_capability(document: Document, _request_number: int) -> Document:
    def rename(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, dict):
            return {f"{MESSAGING}s" if name == MESSAGING else name: rename(entry) for name, entry in value.items()}
        return [rename(entry) for entry in value] if isinstance(value, list) else value

    renamed: Document = rename(document)
    return renamed


def _remove_field(field: str, index: int) -> Callable[[Document, int], Document]:
    def rewrite(document: Document, _request_number: int) -> Document:
        entities = _entities(document)
        entities[index % len(entities)].pop(field, None)
        return document

    return rewrite


def _contradictory_overall(document: Document, _request_number: int) -> Document:
    health = document["health_status"]
    health[MESSAGING] = "AVAILABLE" if health[MESSAGING] == "BLOCKED" else "BLOCKED"
    return document


def _overall_calling(document: Document, _request_number: int) -> Document:
    document["health_status"][CALLING] = "BLOCKED"
    return document


def _no_overall(document: Document, _request_number: int) -> Document:
    document["health_status"].pop(MESSAGING, None)
    return document


def _set_entities(value: object) -> Callable[[Document, int], Document]:
    def rewrite(document: Document, _request_number: int) -> Document:
        document["health_status"]["entities"] = value
        return document

    return rewrite


def _no_entities(document: Document, _request_number: int) -> Document:
    document["health_status"].pop("entities", None)
    return document


def _null_status(document: Document, _request_number: int) -> Document:
    _entities(document)[0][MESSAGING] = None
    return document


def _wrong_id(document: Document, _request_number: int) -> Document:
    return document | {"id": "100000000000000"}


def _no_id(document: Document, _request_number: int) -> Document:
    return {name: value for name, value in document.items() if name != "id"}


def _no_wrapper(document: Document, _request_number: int) -> Document:
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
    "entity_without_id": _remove_field("id", 1),
    "entity_without_type": _remove_field("entity_type", 2),
    "entity_without_status": _remove_field(MESSAGING, 3),
    "lone_objects": _lone_objects,
    "php_lists": _php_lists,
    "contradictory_overall": _contradictory_overall,
    "overall_calling": _overall_calling,
    "no_overall": _no_overall,
    "null_entities": _set_entities(None),
    "empty_entities": _set_entities([]),
    "no_entities": _no_entities,
    "wrong_id": _wrong_id,
    "no_id": _no_id,
    "no_wrapper": _no_wrapper,
    "status_in_two_places": _status_in_two_places,
    "misspelt_capability": _misspelt_capability,
}
