"""Parse a response of the health API into a Report, or into a Failure. Tolerant: real responses hold less than the
documentation promises, and nothing in one may stop the monitor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from heapq import nlargest
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from wabawatch.adapters.dialog360.errors import Redactor, read_failure, truncate
from wabawatch.adapters.dialog360.request import Response, parse_json
from wabawatch.domain.health import (
    CALLING,
    GONE,
    MESSAGING,
    TARGET,
    Entity,
    Failure,
    Reason,
    Report,
    capability_of_code,
    rank,
)
from wabawatch.domain.incident import DESTINATION, MONITOR

_WRAPPER: Final = "health_status"
_ENTITIES: Final = "entities"
_CAPABILITY: Final = "can_"
_UNDECODED: Final = "\ufffd"
_NO_TYPE: Final = "UNKNOWN_TYPE"
_OUR_TYPES: Final = frozenset({TARGET, MONITOR, DESTINATION})

_MAX_NODES: Final = 25
"""Entities, and the target itself where it has an overall status. Each can open two incidents (messaging, calling), so
that a response opens fifty at most; a real one has four entities."""
_MAX_LISTED: Final = 1000
_MAX_CAPABILITIES: Final = 16
_MAX_REASONS: Final = 20
_MAX_ENTRIES: Final = 200
_MAX_BYTES: Final = 60_000
_OVERHEAD: Final = 80
_MAX_CONTRADICTIONS: Final = 20
_MAX_NAME: Final = 128
_MAX_TEXT: Final = 1000
_MAX_LINE: Final = 400
_MAX_CODE: Final = 10**9
"""Limits of what one response costs and adds to the state: a DynamoDB item holds 400 KB, and a snapshot the entities of
several responses in a row. Real responses have four entities and a few reasons each."""

V = TypeVar("V")


def parse_response(response: Response, target: str, key: str, now: datetime) -> Report | Failure:
    """Parse the response to a probe of `target` (its id). `key` is the request's API key, which no text keeps.

    Any 2xx may hold a report, though only 200 is documented; every other response is a Failure by its status."""
    text = response.text()
    document = parse_json(text)
    if response.is_success and (report := parse_report(document, target, Redactor(key, text))) is not None:
        return report
    return read_failure(response, document, Redactor(key), now)


def parse_report(document: object, target: str, redactor: Redactor) -> Report | Failure | None:
    """Parse a JSON document into a report. Return None where it holds no status, and a Failure where it holds statuses
    of other capabilities but none of messaging: such a number must not count as read.

    In the document, a tuple holds several values of one key; the worst of them counts. An entity without an ID gets `@`
    and the target's ID, so that unnamed entities of two targets differ."""
    return _Parser(target, redactor).parse(document) if isinstance(document, dict) else None


class _Parser:
    """Parses one document. `_notes` holds its contradictions, each sentence once."""

    def __init__(self, target: str, redactor: Redactor) -> None:
        self._nameless = f"@{target}"
        self._sanitize = redactor.sanitize
        self._notes: dict[str, None] = {}
        self._implausible = False

    def parse(self, document: dict[str, Any]) -> Report | Failure | None:
        wrappers = [inner for inner in self._values(document, _WRAPPER) if isinstance(inner, dict)]
        parts = [document, *wrappers]
        overall = self._overall(parts)
        entities = self._merge([self._entity(fields) for fields in self._listed(parts)])
        if MESSAGING not in overall and not any(MESSAGING in entity.capabilities for entity in entities):
            found = sorted(_by_capability(entities).keys() | overall)
            names = ", ".join(found[:3])
            return Failure("unreadable", f"the answer holds no {MESSAGING}, but {names}") if found else None
        kept = self._fit(self._keep_worst(entities, _MAX_NODES - bool(overall)))
        contradictions = [*_disagreements(overall, entities), *sorted(self._notes)]
        return Report(tuple(kept), overall, _limit(contradictions), self._implausible)

    def _note_implausible(self, sentence: str) -> None:
        self._implausible = True
        self._notes[f"implausible answer: {sentence}"] = None

    def _values(self, fields: Mapping[str, Any], name: str) -> Sequence[object]:
        """Return all values of a key in an object."""
        value = fields.get(name)
        if isinstance(value, tuple):
            self._notes[f"{name} is given more than once in one object"] = None
            return value
        return () if value is None else (value,)

    def _value(self, fields: Mapping[str, Any], name: str) -> object:
        """Return the value of a key that can have only one: the last, as JSON parsers do."""
        value = fields.get(name)
        return self._values(fields, name)[-1] if isinstance(value, tuple) else value

    def _entries(self, fields: Mapping[str, Any], name: str) -> list[object]:
        """Return the entries of a list. PHP writes a list with gaps as an object with indices as keys; some responses
        hold a single entry without a list."""
        found: list[object] = []
        for value in self._values(fields, name):
            if isinstance(value, list):
                found += value
            elif isinstance(value, dict) and value and all(map(str.isdecimal, value)):
                for entry in value.values():
                    found += entry if isinstance(entry, tuple) else (entry,)
            elif isinstance(value, str | dict):
                found.append(value)
        return found

    def _overall(self, parts: list[dict[str, Any]]) -> dict[str, str]:
        overall: dict[str, str] = {}
        for part in parts:
            for name, status in self._capabilities(part, "overall").items():
                other = overall.get(name, status)
                if other != status:
                    both = " and ".join(sorted((other, status)))
                    self._notes[f"{name} is {both} overall, inside and beside {_WRAPPER}"] = None
                overall[name] = status if other == status else _worst((other, status))
        return self._keep_capabilities(overall, "overall")

    def _listed(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the entities inside and beside the wrapper; only the worst where there are implausibly many."""
        places = [entries for part in parts if (entries := self._entries(part, _ENTITIES))]
        if len(places) > 1:
            self._notes[f"{_ENTITIES} are listed inside and beside {_WRAPPER}"] = None
        listed = [entry for entries in places for entry in entries if isinstance(entry, dict) and entry]
        return listed if len(listed) <= _MAX_LISTED else nlargest(_MAX_LISTED, listed, key=_severity_as_written)

    def _entity(self, fields: dict[str, Any]) -> Entity:
        kind = self._name(self._value(fields, "entity_type")).upper() or _NO_TYPE
        # the API must not name an entity type of the monitor itself
        kind = f"REPORTED_{kind}" if kind in _OUR_TYPES else kind
        entity_id = self._name(self._value(fields, "id")) or self._nameless
        name = f"{kind} {entity_id}"
        return Entity(kind, entity_id, self._capabilities(fields, name), tuple(self._reasons(fields, name)))

    def _capabilities(self, fields: Mapping[str, Any], of: str) -> dict[str, str]:
        written = {name: value for name, value in fields.items() if name.startswith(_CAPABILITY)}
        found: dict[str, str] = {}
        for written_name, value in self._keep_capabilities(written, of).items():
            statuses = self._statuses(value)
            if not statuses:
                continue
            name = self._sanitize(written_name, _MAX_NAME)
            if name in found:
                statuses = sorted({found[name], *statuses})
            found[name] = _worst(statuses)
            if len(statuses) > 1:
                self._notes[f"{of} has {name} more than once, as {' and '.join(statuses)}"] = None
        return found

    def _statuses(self, value: object) -> list[str]:
        """Return the different statuses; several where the key occurs more than once."""
        values = value if isinstance(value, tuple) else (value,)
        words = sorted({word for word in values if isinstance(word, str)})
        words = nlargest(_MAX_CAPABILITIES, words, key=_rank_as_written)
        return sorted({status for word in words if (status := self._status(word))})

    def _status(self, value: str) -> str:
        """Convert to upper case, but only ASCII: no other letter may turn a word into AVAILABLE.

        GONE is our status for what is no longer reported, so the same word of the API is renamed. A word with
        undecodable bytes is dropped."""
        status = "" if _UNDECODED in value else self._sanitize(value, _MAX_NAME)
        status = status.upper() if status.isascii() else status
        return f"REPORTED_{GONE}" if status == GONE else status

    def _name(self, value: object) -> str:
        if isinstance(value, str):
            return self._sanitize(value, _MAX_NAME)
        return str(value)[:_MAX_NAME] if isinstance(value, int) and not isinstance(value, bool) else ""

    def _reasons(self, fields: dict[str, Any], of: str) -> list[Reason]:
        """Return errors and additional info alike, each once, whatever the status."""
        entries = [*self._entries(fields, "errors"), *self._entries(fields, "additional_info")]
        found = dict.fromkeys(reason for entry in entries[:_MAX_ENTRIES] if (reason := self._reason(entry)))
        if len(found) > _MAX_REASONS or len(entries) > _MAX_ENTRIES:
            self._note_implausible(f"{of} gives more than {_MAX_REASONS} reasons; the first are kept")
        return list(found)[:_MAX_REASONS]

    def _reason(self, entry: object) -> Reason | None:
        if isinstance(entry, str):
            text = self._text(entry)
            return Reason(description=text) if text else None
        if not isinstance(entry, dict):
            return None
        code, odd_code = self._code(self._value(entry, "error_code"))
        description = " ".join(filter(None, (odd_code, self._text(self._value(entry, "error_description")))))
        solution = self._text(self._value(entry, "possible_solution"))
        if code is None and not description and not solution:
            return None
        return Reason(code, description, solution, capability_of_code(code))

    def _text(self, value: object) -> str:
        return self._sanitize(value, _MAX_TEXT) if isinstance(value, str) else ""

    def _code(self, value: object) -> tuple[int | None, str]:
        """Return the code, and the text in its place where it is not a number."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return (value, "") if 0 <= value < _MAX_CODE else (None, self._name(value))
        text = self._sanitize(value, _MAX_NAME) if isinstance(value, str) else ""
        if text.isascii() and text.isdigit() and int(text) < _MAX_CODE:
            return int(text), ""
        return None, text

    def _merge(self, entities: list[Entity]) -> list[Entity]:
        """Merge the entries of each entity: its worst statuses and all reasons. Note where they disagree."""
        groups: dict[tuple[str, str], list[Entity]] = {}
        for entity in entities:
            groups.setdefault((entity.entity_type, entity.id), []).append(entity)
        return [group[0] if len(group) == 1 else self._merge_group(group) for group in groups.values()]

    def _merge_group(self, group: list[Entity]) -> Entity:
        kind, entity_id = group[0].entity_type, group[0].id
        found = _by_capability(group)
        for name, statuses in found.items():
            if len(statuses) > 1:
                listed = f"{kind} {entity_id} is listed more than once"
                self._notes[f"{listed}, with {name} {' and '.join(sorted(statuses))}"] = None
        reasons = dict.fromkeys(reason for entity in group for reason in entity.reasons)
        capabilities = {name: _worst(statuses) for name, statuses in found.items()}
        if len(reasons) > _MAX_REASONS:
            self._note_implausible(f"{kind} {entity_id} gives more than {_MAX_REASONS} reasons; the first are kept")
        kept = self._keep_capabilities(capabilities, f"{kind} {entity_id}")
        return Entity(kind, entity_id, kept, tuple(reasons)[:_MAX_REASONS])

    def _keep_capabilities(self, capabilities: dict[str, V], of: str) -> dict[str, V]:
        """Keep all capabilities, or the most important ones where there are too many."""
        if len(capabilities) <= _MAX_CAPABILITIES:
            return capabilities
        self._note_implausible(f"{of} has more than {_MAX_CAPABILITIES} capabilities; the worst are kept")
        return dict(nlargest(_MAX_CAPABILITIES, capabilities.items(), key=_weight))

    def _keep_worst(self, entities: list[Entity], most: int) -> list[Entity]:
        """Keep all entities, or the worst ones where there are implausibly many."""
        if len(entities) <= most:
            return entities
        self._note_implausible(f"more than {most} entities are listed; only the worst are kept")
        return nlargest(most, entities, key=_severity)

    def _fit(self, entities: list[Entity]) -> list[Entity]:
        """Keep all entities, or what fits into the state: the worst first, names before reasons."""
        if sum(map(_size, entities)) <= _MAX_BYTES:
            return entities
        self._note_implausible(f"more than {_MAX_BYTES // 1000} KB of text; not all is kept")
        worst_first = sorted(entities, key=_severity, reverse=True)
        named, room = _take_fitting(worst_first, lambda entity: _size(replace(entity, reasons=())), _MAX_BYTES)
        kept = []
        for entity in named:
            reasons, room = _take_fitting(entity.reasons, partial(_reason_size, entity), max(room, 0))
            kept.append(replace(entity, reasons=tuple(reasons)))
        return kept


def _take_fitting(values: Iterable[V], size: Callable[[V], int], room: int) -> tuple[list[V], int]:
    """Return the first values that fit into `room` bytes, and the bytes left; negative where one did not fit."""
    kept: list[V] = []
    for value in values:
        room -= size(value)
        if room < 0:
            break
        kept.append(value)
    return kept, room


def _by_capability(entities: Iterable[Entity]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entity in entities:
        for name, status in entity.capabilities.items():
            found.setdefault(name, set()).add(status)
    return found


def _worst(statuses: Iterable[str]) -> str:
    """Return the worst status, independent of order: of two unknown ones, the first in the alphabet."""
    return max(sorted(statuses), key=rank)


def _weight(pair: tuple[str, object]) -> tuple[bool, bool, int]:
    """Return the sort key of a capability and its status: messaging, then calling, then the worst."""
    return pair[0] == MESSAGING, pair[0] == CALLING, _rank_as_written(pair[1])


def _severity(entity: Entity) -> tuple[int, int]:
    """Return the severity of an entity, in messaging and overall; -1 where it has no status."""
    messaging = entity.capabilities.get(MESSAGING)
    return -1 if messaging is None else rank(messaging), max(map(rank, entity.capabilities.values()), default=-1)


def _severity_as_written(fields: dict[str, Any]) -> tuple[int, int]:
    """Return `_severity` before parsing, cheaply: a response can list a hundred thousand entities."""
    found = [_rank_as_written(value) for name, value in fields.items() if name.startswith(_CAPABILITY)]
    return _rank_as_written(fields.get(MESSAGING)), max(found, default=-1)


def _rank_as_written(value: object) -> int:
    if isinstance(value, str):
        return rank(value[:_MAX_NAME].strip().upper())
    return max(map(_rank_as_written, value), default=-1) if isinstance(value, tuple) else -1


def _size(entity: Entity) -> int:
    """Return the bytes in the state: each capability is stored with its entity's name, that of its root cause, and the
    reasons."""
    capabilities = entity.capabilities
    names = len(f"{entity.entity_type}{entity.id}".encode()) * 2 + _OVERHEAD
    words = len("".join((*capabilities, *capabilities.values())).encode())
    return names * max(1, len(capabilities)) + words + sum(_reason_size(entity, reason) for reason in entity.reasons)


def _reason_size(entity: Entity, reason: Reason) -> int:
    texts = len(f"{reason.description}{reason.possible_solution}".encode()) + _OVERHEAD
    return texts * max(1, len(entity.capabilities))


def _disagreements(overall: dict[str, str], entities: list[Entity]) -> Iterator[str]:
    for name, status in sorted(overall.items()):
        listed = {entity.capabilities[name] for entity in entities if name in entity.capabilities}
        if listed and (status not in listed or rank(_worst(listed)) != rank(status)):
            yield f"{name} is {status} overall, but the worst of the entities is {_worst(listed)}"


def _limit(contradictions: list[str]) -> tuple[str, ...]:
    shown = [truncate(sentence, _MAX_LINE) for sentence in contradictions[:_MAX_CONTRADICTIONS]]
    more = len(contradictions) - len(shown)
    return (*shown, f"{more} more contradictions") if more else tuple(shown)
