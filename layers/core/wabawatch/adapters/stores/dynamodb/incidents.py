"""Incidents: a head for each, a pointer from its key to the latest, and parts for a body that is large."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import msgspec

from wabawatch.adapters.stores.codec import dump, load
from wabawatch.adapters.stores.dynamodb.fleet import follows
from wabawatch.adapters.stores.dynamodb.parts import PART, cut, forget_parts, joined
from wabawatch.adapters.stores.dynamodb.shapes import (
    AFTER_ALL,
    BEFORE_ALL,
    INCIDENT_BUCKETS,
    blob,
    expiry,
    incident_key,
    incident_partition,
    iso,
    item,
    number,
    text,
)
from wabawatch.adapters.stores.dynamodb.steering import let_expire
from wabawatch.adapters.stores.dynamodb.table import Condition, Item, Table, Value
from wabawatch.adapters.stores.dynamodb.table import Key as ItemKey
from wabawatch.adapters.stores.dynamodb.units import Action, Unit, lost, put, write
from wabawatch.domain.incidents import Incident, Key

INLINE: Final = 16_000
"""Bytes up to which a body is in its head. A head is in two indexes, so each of its bytes is written three times; parts
are in none, and cost another query to read."""


class Incidents:
    """The part of the store that notify writes."""

    _table: Table
    _history: timedelta

    def latest_incidents(self, keys: Sequence[Key]) -> dict[Key, Incident]:
        pointers = self._table.get_all(_pointer_key(key) for key in keys)
        heads = self._table.get_all(incident_key(pointer["incident"]["S"]) for pointer in pointers)
        return {incident.key: incident for incident in self._loaded(heads)}

    def open_incidents(self) -> list[Incident]:
        found = self._loaded(self._heads("due", None))
        return sorted(found, key=lambda incident: (incident.opened_at, incident.id))

    def due_incidents(self, now: datetime) -> list[Incident]:
        found = self._loaded(self._heads("due", (BEFORE_ALL, f"{iso(now)}#{AFTER_ALL}")))
        return sorted(found, key=lambda incident: (incident.due_at or now, incident.id))

    def incident(self, incident_id: str) -> Incident | None:
        head = self._table.get(incident_key(incident_id))
        return self._load(head) if head else None

    def incidents(self, limit: int) -> list[Incident]:
        heads = sorted(self._heads("when", None, limit), key=lambda head: head["when"]["S"], reverse=True)
        return self._loaded(heads[:limit])

    def _heads(self, index: str, between: tuple[str, str] | None, limit: int | None = None) -> list[Item]:
        def of(bucket: int) -> list[Item]:
            newest_first = index == "when"
            heads = self._table.query(incident_partition(bucket), index, between, newest_first=newest_first, page=limit)
            return list(islice(heads, limit))

        return [head for heads in self._table.each(of, range(INCIDENT_BUCKETS)) for head in heads]

    def _loaded(self, heads: Iterable[Item]) -> list[Incident]:
        return [incident for incident in self._table.each(self._load, heads) if incident]

    def _load(self, head: Item) -> Incident | None:
        name = head["sk"]["S"]
        body = joined(self._table, _owner(name), head, lambda: self._table.get(incident_key(name)))
        return load(Incident, body) if body else None

    def save_incidents(self, incidents: Sequence[Incident]) -> list[bool]:
        """Small ones that were there before go by themselves, which is half the price; the rest in transactions."""
        bodies = [dump(incident) for incident in incidents]
        small = [
            position
            for position, incident in enumerate(incidents)
            if incident.version > 1 and len(bodies[position]) <= INLINE
        ]
        outcomes = dict(
            zip(small, self._table.each(lambda one: self._replace(incidents[one], bodies[one]), small), strict=True)
        )
        rest = [position for position in range(len(incidents)) if position not in outcomes]
        outcomes |= zip(rest, self._write([(incidents[one], bodies[one]) for one in rest]), strict=True)
        let_expire(self._table, [one for position, one in enumerate(incidents) if outcomes[position] and _done(one)])
        return [outcomes[position] for position in range(len(incidents))]

    def _replace(self, incident: Incident, body: bytes) -> bool:
        before = self._table.put_if(self._head(incident, body=blob(body)), follows(incident.version))
        if before:
            forget_parts(self._table, _owner(incident.id), before)
        return before is not None

    def _write(self, incidents: Sequence[tuple[Incident, bytes]]) -> list[bool]:
        answers = write(self._table, [self._incident(*one) for one in incidents])
        behind = [position for position, codes in enumerate(answers) if codes and not lost(codes[0])]
        again = write(self._table, [Unit(self._actions(*incidents[position])) for position in behind])
        answers = [*answers]
        for position, codes in zip(behind, again, strict=True):
            answers[position] = codes
        return [not codes for codes in answers]

    def _incident(self, incident: Incident, body: bytes) -> Unit:
        """A new incident becomes the latest of its key, unless a later one is known: then it is written without."""
        actions = self._actions(incident, body)
        return Unit((*actions, self._pointing(incident)) if incident.version == 1 else actions)

    def _actions(self, incident: Incident, body: bytes) -> tuple[Action, ...]:
        if len(body) <= INLINE:
            return (put(self._table, self._head(incident, body=blob(body)), follows(incident.version)),)
        stamp, count = str(incident.version), -(-len(body) // PART)
        parts = cut(self._table, _owner(incident.id), stamp, body, self._expiry(incident))
        head = self._head(incident, parts=number(count), stamp=text(stamp))
        return (put(self._table, head, follows(incident.version)), *parts)

    def _head(self, incident: Incident, **body: Value) -> Item:
        opened = f"{iso(incident.opened_at)}#{incident.id}"
        due = f"{iso(incident.due_at)}#{incident.id}" if incident.due_at else f"{AFTER_ALL}#{opened}"
        return item(
            incident_key(incident.id),
            v=number(incident.version),
            when=text(opened),
            due=None if _done(incident) else text(due),
            expires_at=self._expiry(incident),
            **body,
        )

    def _expiry(self, incident: Incident) -> Value | None:
        resolved_at = incident.resolved_at
        return expiry(resolved_at + self._history) if resolved_at and _done(incident) else None

    def _pointing(self, incident: Incident) -> Action:
        pointer = item(_pointer_key(incident.key), incident=text(incident.id), opened=text(iso(incident.opened_at)))
        condition = Condition("attribute_not_exists(pk) OR opened <= :opened", {":opened": pointer["opened"]})
        return put(self._table, pointer, condition)


def _done(incident: Incident) -> bool:
    """Nothing more will be told of it."""
    return not incident.is_open and incident.due_at is None


def _owner(incident_id: str) -> str:
    return f"incident {incident_id}"


def _pointer_key(key: Key) -> ItemKey:
    """Ids come from outside and may be long: a digest has the length of a key, and no trouble with separators."""
    digest = hashlib.blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()
    return f"LATEST#{digest[0]}", digest
