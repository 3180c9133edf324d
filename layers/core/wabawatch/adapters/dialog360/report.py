"""From the JSON of an answer to a Report. Takes what is there: the documentation promises more than answers hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from wabawatch.adapters.dialog360.wording import Wording
from wabawatch.domain.health import GONE, Entity, Reason, Report, explains, rank, worst

_WRAPPER: Final = "health_status"
_CAPABILITY: Final = "can_"
_UNDECODED: Final = "\ufffd"
_NO_TYPE: Final = "UNKNOWN_TYPE"
_MOST_ENTITIES: Final = 1000
_MOST_REASONS: Final = 100
_NAME: Final = 128
_TEXT: Final = 1000
_MOST_CODE: Final = 10**9
"""Bounds for what one answer can put into the state; real answers have four entities and a few reasons each."""


def read_report(document: object, target: str, wording: Wording) -> Report | None:
    """The report that a JSON document holds, or None where it holds no status at all.

    An entity without an id is known as `@` and the target's id, so that the nameless entities of two targets are two.
    """
    if not isinstance(document, dict):
        return None
    inner = document.get(_WRAPPER)
    parts = [document, inner] if isinstance(inner, dict) else [document]
    reader = _Reader(target, wording)
    overall: dict[str, str] = {}
    for part in parts:
        overall |= reader.capabilities(part)
    entities, doubled = _merged(reader.entities(_listed(parts)))
    if not overall and not any(entity.capabilities for entity in entities):
        return None
    kept, dropped = _bounded(entities)
    return Report(kept, overall, (*_disagreements(overall, entities), *doubled, *dropped))


def _listed(parts: list[dict[str, Any]]) -> list[object]:
    """The wrapper's entities, or those beside it."""
    found = [part["entities"] for part in reversed(parts) if isinstance(part.get("entities"), list)]
    return next((entities for entities in found if entities), [])


class _Reader:
    def __init__(self, target: str, wording: Wording) -> None:
        self._nameless = f"@{target}"
        self._clean = wording.clean

    def capabilities(self, fields: Mapping[str, Any]) -> dict[str, str]:
        return {
            self._clean(name, _NAME): status
            for name, value in fields.items()
            if name.startswith(_CAPABILITY) and isinstance(value, str) and (status := self._status(value))
        }

    def _status(self, value: str) -> str:
        """In capitals, but for letters that only become Latin by it: no word may turn into AVAILABLE by accident.

        GONE is our own word for what is no longer reported, and counts as no trouble: the API's would not. A word whose
        bytes could not be decoded is no word.
        """
        status = "" if _UNDECODED in value else self._clean(value, _NAME)
        status = status.upper() if status.isascii() else status
        return f"REPORTED_{GONE}" if status == GONE else status

    def entities(self, listed: Iterable[object]) -> list[Entity]:
        return [self._entity(fields) for fields in listed if isinstance(fields, dict) and fields]

    def _entity(self, fields: dict[str, Any]) -> Entity:
        kind = self._name(fields.get("entity_type"))
        return Entity(
            kind.upper() or _NO_TYPE,
            self._name(fields.get("id")) or self._nameless,
            self.capabilities(fields),
            tuple(self._reasons(fields)),
        )

    def _name(self, value: object) -> str:
        if isinstance(value, str):
            return self._clean(value, _NAME)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""

    def _reasons(self, fields: dict[str, Any]) -> list[Reason]:
        """Errors and additional info alike, each once, whatever the status is that they came with."""
        entries = [*_several(fields.get("errors")), *_several(fields.get("additional_info"))]
        found = dict.fromkeys(reason for entry in entries if (reason := self._reason(entry)) is not None)
        return list(found)[:_MOST_REASONS]

    def _reason(self, entry: object) -> Reason | None:
        if isinstance(entry, str):
            text = self._text(entry)
            return Reason(description=text) if text else None
        if not isinstance(entry, dict):
            return None
        code, odd_code = self._code(entry.get("error_code"))
        description = " ".join(filter(None, (odd_code, self._text(entry.get("error_description")))))
        solution = self._text(entry.get("possible_solution"))
        if code is None and not description and not solution:
            return None
        return Reason(code, description, solution, explains(code))

    def _text(self, value: object) -> str:
        return self._clean(value, _TEXT) if isinstance(value, str) else ""

    def _code(self, value: object) -> tuple[int | None, str]:
        """The code, and what stood in its place where that is no number."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return (value, "") if 0 <= value < _MOST_CODE else (None, self._name(value)[:_NAME])
        text = self._clean(value, _NAME) if isinstance(value, str) else ""
        if text.isascii() and text.isdigit() and int(text) < _MOST_CODE:
            return int(text), ""
        return None, text


def _several(value: object) -> list[object]:
    """A list as it is; one reason that stands alone as a list of one."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, str | dict) else []


def _merged(entities: list[Entity]) -> tuple[list[Entity], list[str]]:
    """Each entity once, with its worst statuses and all its reasons; and where its entries disagree."""
    groups: dict[tuple[str, str], list[Entity]] = {}
    for entity in entities:
        groups.setdefault((entity.entity_type, entity.id), []).append(entity)
    merged = [group[0] if len(group) == 1 else _one_of(group) for group in groups.values()]
    return merged, [sentence for group in groups.values() if len(group) > 1 for sentence in _doubled(group)]


def _one_of(group: list[Entity]) -> Entity:
    reasons = dict.fromkeys(reason for entity in group for reason in entity.reasons)
    capabilities = {name: _worst(statuses) for name, statuses in _by_capability(group).items()}
    return Entity(group[0].entity_type, group[0].id, capabilities, tuple(reasons)[:_MOST_REASONS])


def _by_capability(entities: list[Entity]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entity in entities:
        for name, status in entity.capabilities.items():
            found.setdefault(name, []).append(status)
    return found


def _worst(statuses: list[str]) -> str:
    """The same one in whatever order they come: of two words nobody knows, the first in the alphabet."""
    return worst(sorted(set(statuses)))


def _doubled(group: list[Entity]) -> Iterator[str]:
    for name, statuses in sorted(_by_capability(group).items()):
        if len(set(statuses)) > 1:
            yield (
                f"{group[0].entity_type} {group[0].id} is listed more than once, with {name} "
                f"{' and '.join(sorted(set(statuses)))}"
            )


def _disagreements(overall: dict[str, str], entities: list[Entity]) -> Iterator[str]:
    found = _by_capability(entities)
    for name, status in sorted(overall.items()):
        listed = found.get(name, [])
        if listed and (rank(_worst(listed)) != rank(status) or status not in listed):
            yield f"{name} is {status} overall, but the worst of the entities is {_worst(listed)}"


def _bounded(entities: list[Entity]) -> tuple[tuple[Entity, ...], tuple[str, ...]]:
    """The worst ones where there are more than any number has."""
    if len(entities) <= _MOST_ENTITIES:
        return tuple(entities), ()
    ranked = sorted(entities, key=lambda entity: -max(map(rank, entity.capabilities.values()), default=-1))
    return tuple(ranked[:_MOST_ENTITIES]), (f"more than {_MOST_ENTITIES} entities are listed; only the worst are kept",)
