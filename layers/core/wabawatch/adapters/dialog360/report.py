"""From the JSON of an answer to a Report. Takes what is there: the documentation promises more than answers hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any, Final

import msgspec

from wabawatch.adapters.dialog360.wording import Wording, cut
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
    worst,
)
from wabawatch.domain.incident import DESTINATION, MONITOR

_WRAPPER: Final = "health_status"
_ENTITIES: Final = "entities"
_CAPABILITY: Final = "can_"
_UNDECODED: Final = "\ufffd"
_NO_TYPE: Final = "UNKNOWN_TYPE"
_OUR_TYPES: Final = frozenset({TARGET, MONITOR, DESTINATION})

_MOST_NODES: Final = 25
"""Entities, and the target itself where it has an overall status. Each can open two incidents, about messaging and
about calling, so that one answer opens fifty at most; a real one has four entities."""
_MOST_LISTED: Final = 1000
_MOST_CAPABILITIES: Final = 16
_MOST_REASONS: Final = 20
_MOST_ENTRIES: Final = 200
_MOST_BYTES: Final = 60_000
_OVERHEAD: Final = 80
_MOST_CONTRADICTIONS: Final = 20
_NAME: Final = 128
_TEXT: Final = 1000
_LINE: Final = 400
_MOST_CODE: Final = 10**9
"""Bounds for what one answer costs and can put into the state: a DynamoDB item holds 400 KB, and a snapshot the
entities of some answers in a row. Real answers have four entities and a few reasons each."""


def read_report(document: object, target: str, wording: Wording) -> Report | Failure | None:
    """Read the report that a JSON document holds; None where it holds no status at all, and a Failure where it holds
    statuses of other capabilities and none of messaging: such a number must not count as read.

    In the document several values of one key stand in a tuple; the worst of them counts. An entity without an id is
    known as `@` and the target's id, so that the nameless entities of two targets are two.
    """
    return _Reader(target, wording).read(document) if isinstance(document, dict) else None


class _Reader:
    """Reads one document. `_notes` holds where it contradicts itself, each sentence once."""

    def __init__(self, target: str, wording: Wording) -> None:
        self._nameless = f"@{target}"
        self._clean = wording.clean
        self._notes: dict[str, None] = {}
        self._implausible = False

    def read(self, document: dict[str, Any]) -> Report | Failure | None:
        wrappers = [inner for inner in self._values(document, _WRAPPER) if isinstance(inner, dict)]
        parts = [document, *wrappers]
        overall = self._overall(parts)
        entities = self._merge([self._entity(fields) for fields in self._listed(parts)])
        if MESSAGING not in overall and not any(MESSAGING in entity.capabilities for entity in entities):
            found = sorted(_by_capability(entities).keys() | overall)
            names = ", ".join(found[:3])
            return Failure("unreadable", f"the answer holds no {MESSAGING}, but {names}") if found else None
        contradictions = [*_disagreements(overall, entities)]
        kept = self._fit(self._keep_worst(entities, _MOST_NODES - bool(overall)))
        contradictions += sorted(self._notes)
        return Report(tuple(kept), overall, _bounded(contradictions), self._implausible)

    def _note_implausible(self, sentence: str) -> None:
        self._implausible = True
        self._notes[f"implausible answer: {sentence}"] = None

    def _values(self, fields: Mapping[str, Any], name: str) -> Sequence[object]:
        """Every value that an object gives for a key."""
        value = fields.get(name)
        if isinstance(value, tuple):
            self._notes[f"{name} is given more than once in one object"] = None
            return value
        return () if value is None else (value,)

    def _value(self, fields: Mapping[str, Any], name: str) -> object:
        """The value for a key that can have only one; the last, as JSON readers take it."""
        value = fields.get(name)
        return self._values(fields, name)[-1] if isinstance(value, tuple) else value

    def _entries(self, fields: Mapping[str, Any], name: str) -> list[object]:
        """The entries of a list. PHP writes a list with gaps as an object with indices for keys; some answers hold a
        single entry without a list around it."""
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
        """The entities inside and beside the wrapper; the worst where nobody can have so many."""
        places = [entries for part in parts if (entries := self._entries(part, _ENTITIES))]
        if len(places) > 1:
            self._notes[f"{_ENTITIES} are listed inside and beside {_WRAPPER}"] = None
        listed = [entry for entries in places for entry in entries if isinstance(entry, dict) and entry]
        return listed if len(listed) <= _MOST_LISTED else nlargest(_MOST_LISTED, listed, key=_severity_as_written)

    def _entity(self, fields: dict[str, Any]) -> Entity:
        kind = self._name(self._value(fields, "entity_type")).upper() or _NO_TYPE
        # the monitor's own kinds of incidents are not the API's to name
        kind = f"REPORTED_{kind}" if kind in _OUR_TYPES else kind
        entity_id = self._name(self._value(fields, "id")) or self._nameless
        name = f"{kind} {entity_id}"
        return Entity(kind, entity_id, self._capabilities(fields, name), tuple(self._reasons(fields, name)))

    def _capabilities(self, fields: Mapping[str, Any], of: str) -> dict[str, str]:
        written = [pair for pair in fields.items() if pair[0].startswith(_CAPABILITY)]
        if len(written) > _MOST_CAPABILITIES:
            self._note_implausible(f"{of} has more than {_MOST_CAPABILITIES} capabilities; the worst are kept")
            written = nlargest(
                _MOST_CAPABILITIES, written, key=lambda pair: _weight(pair[0], _rank_as_written(pair[1]))
            )
        found: dict[str, str] = {}
        for written_name, value in written:
            statuses = self._statuses(value)
            if not statuses:
                continue
            name = self._clean(written_name, _NAME)
            if name in found:
                statuses = sorted({found[name], *statuses})
            found[name] = statuses[0]
            if len(statuses) > 1:
                self._notes[f"{of} has {name} more than once, as {' and '.join(statuses)}"] = None
                found[name] = _worst(statuses)
        return found

    def _statuses(self, value: object) -> list[str]:
        """The different statuses that are given; more than one where the key stands more than once."""
        if isinstance(value, str):
            status = self._status(value)
            return [status] if status else []
        if not isinstance(value, tuple):
            return []
        words = sorted({word for word in value if isinstance(word, str)})
        words = nlargest(_MOST_CAPABILITIES, words, key=_rank_as_written)
        return sorted({status for word in words if (status := self._status(word))})

    def _status(self, value: str) -> str:
        """In capitals, but for letters that only become Latin by it: no word may turn into AVAILABLE by accident.

        GONE is our own word for what is no longer reported, and counts as no trouble: the API's would not. A word whose
        bytes could not be decoded is no word.
        """
        status = "" if _UNDECODED in value else self._clean(value, _NAME)
        status = status.upper() if status.isascii() else status
        return f"REPORTED_{GONE}" if status == GONE else status

    def _name(self, value: object) -> str:
        if isinstance(value, str):
            return self._clean(value, _NAME)
        return str(value)[:_NAME] if isinstance(value, int) and not isinstance(value, bool) else ""

    def _reasons(self, fields: dict[str, Any], of: str) -> list[Reason]:
        """Errors and additional info alike, each once, whatever the status is that they came with."""
        entries = [*self._entries(fields, "errors"), *self._entries(fields, "additional_info")]
        found: dict[Reason, None] = {}
        for entry in entries[:_MOST_ENTRIES]:
            reason = self._reason(entry)
            if reason is not None:
                found[reason] = None
        if len(found) > _MOST_REASONS or len(entries) > _MOST_ENTRIES:
            self._note_implausible(f"{of} gives more than {_MOST_REASONS} reasons; the first are kept")
        return list(found)[:_MOST_REASONS]

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
        return self._clean(value, _TEXT) if isinstance(value, str) else ""

    def _code(self, value: object) -> tuple[int | None, str]:
        """The code, and what stood in its place where that is no number."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return (value, "") if 0 <= value < _MOST_CODE else (None, self._name(value))
        text = self._clean(value, _NAME) if isinstance(value, str) else ""
        if text.isascii() and text.isdigit() and int(text) < _MOST_CODE:
            return int(text), ""
        return None, text

    def _merge(self, entities: list[Entity]) -> list[Entity]:
        """Each entity once, with its worst statuses and all its reasons; notes where its entries disagree."""
        groups: dict[tuple[str, str], list[Entity]] = {}
        for entity in entities:
            groups.setdefault((entity.entity_type, entity.id), []).append(entity)
        return [group[0] if len(group) == 1 else self._one_of(group) for group in groups.values()]

    def _one_of(self, group: list[Entity]) -> Entity:
        kind, entity_id = group[0].entity_type, group[0].id
        found = _by_capability(group)
        for name, statuses in found.items():
            if len(statuses) > 1:
                listed = f"{kind} {entity_id} is listed more than once"
                self._notes[f"{listed}, with {name} {' and '.join(sorted(statuses))}"] = None
        reasons = dict.fromkeys(reason for entity in group for reason in entity.reasons)
        capabilities = {name: _worst(statuses) for name, statuses in found.items()}
        if len(reasons) > _MOST_REASONS:
            self._note_implausible(f"{kind} {entity_id} gives more than {_MOST_REASONS} reasons; the first are kept")
        kept = self._keep_capabilities(capabilities, f"{kind} {entity_id}")
        return Entity(kind, entity_id, kept, tuple(reasons)[:_MOST_REASONS])

    def _keep_capabilities(self, capabilities: dict[str, str], of: str) -> dict[str, str]:
        """All capabilities that were read, or the most important ones where several entries together give too many."""
        if len(capabilities) <= _MOST_CAPABILITIES:
            return capabilities
        self._note_implausible(f"{of} has more than {_MOST_CAPABILITIES} capabilities; the worst are kept")
        return dict(
            nlargest(_MOST_CAPABILITIES, capabilities.items(), key=lambda pair: _weight(pair[0], rank(pair[1])))
        )

    def _keep_worst(self, entities: list[Entity], most: int) -> list[Entity]:
        """All entities, or the worst ones where there are more than any number has."""
        if len(entities) <= most:
            return entities
        self._note_implausible(f"more than {most} entities are listed; only the worst are kept")
        return nlargest(most, entities, key=_severity)

    def _fit(self, entities: list[Entity]) -> list[Entity]:
        """All entities as they are, or what has room in the state: the worst first, names before reasons."""
        if sum(map(_size, entities)) <= _MOST_BYTES:
            return entities
        self._note_implausible(f"more than {_MOST_BYTES // 1000} KB of text; not all is kept")
        room = _MOST_BYTES
        bare = []
        for entity in sorted(entities, key=_severity, reverse=True):
            room -= _size(msgspec.structs.replace(entity, reasons=()))
            if room < 0:
                break
            bare.append(entity)
        kept = []
        room = max(room, 0)
        for entity in bare:
            reasons = []
            for reason in entity.reasons:
                room -= _reason_size(reason, entity)
                if room < 0:
                    break
                reasons.append(reason)
            kept.append(msgspec.structs.replace(entity, reasons=tuple(reasons)))
        return kept


def _by_capability(entities: Iterable[Entity]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entity in entities:
        for name, status in entity.capabilities.items():
            found.setdefault(name, set()).add(status)
    return found


def _worst(statuses: Iterable[str]) -> str:
    """The same one in whatever order they come: of two words nobody knows, the first in the alphabet."""
    return worst(sorted(statuses))


def _weight(capability: str, severity: int) -> tuple[bool, bool, int]:
    """What is kept first: messaging, then calling, then the worst."""
    return capability == MESSAGING, capability == CALLING, severity


def _severity(entity: Entity) -> tuple[int, int]:
    """How bad an entity is, in messaging and at all; -1 where it has no status."""
    messaging = entity.capabilities.get(MESSAGING)
    at_all = max(map(rank, entity.capabilities.values()), default=-1)
    return -1 if messaging is None else rank(messaging), at_all


def _severity_as_written(fields: dict[str, Any]) -> tuple[int, int]:
    """As `_severity`, at the least cost: an answer can list a hundred thousand entities."""
    messaging = _rank_as_written(fields.get(MESSAGING))
    found = [_rank_as_written(value) for name, value in fields.items() if name.startswith(_CAPABILITY)]
    return messaging, max(found, default=-1)


def _rank_as_written(value: object) -> int:
    if isinstance(value, str):
        return rank(value[:_NAME].strip().upper())
    return max(map(_rank_as_written, value), default=-1) if isinstance(value, tuple) else -1


def _size(entity: Entity) -> int:
    """Bytes that the state takes: each capability is kept with its entity's name, with the name of the one that
    explains it, and with the reasons."""
    capabilities = entity.capabilities
    names = len(f"{entity.entity_type}{entity.id}".encode()) * 2 + _OVERHEAD
    words = len("".join((*capabilities, *capabilities.values())).encode())
    return names * max(1, len(capabilities)) + words + sum(_reason_size(reason, entity) for reason in entity.reasons)


def _reason_size(reason: Reason, entity: Entity) -> int:
    texts = len(f"{reason.description}{reason.possible_solution}".encode()) + _OVERHEAD
    return texts * max(1, len(entity.capabilities))


def _disagreements(overall: dict[str, str], entities: list[Entity]) -> Iterator[str]:
    for name, status in sorted(overall.items()):
        listed = {entity.capabilities[name] for entity in entities if name in entity.capabilities}
        if listed and (status not in listed or rank(_worst(listed)) != rank(status)):
            yield f"{name} is {status} overall, but the worst of the entities is {_worst(listed)}"


def _bounded(contradictions: list[str]) -> tuple[str, ...]:
    shown = [cut(sentence, _LINE) for sentence in contradictions[:_MOST_CONTRADICTIONS]]
    more = len(contradictions) - len(shown)
    return (*shown, f"{more} more contradictions") if more else tuple(shown)
