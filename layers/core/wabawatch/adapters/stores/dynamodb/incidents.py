"""Store incidents (live, or by the month in which they ended), the latest one of each key, and their members."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import msgspec

from wabawatch.adapters.stores.codec import dump
from wabawatch.adapters.stores.dynamodb.bodies import INCIDENT, MEMBER, Aside
from wabawatch.adapters.stores.dynamodb.keys import (
    AFTER_ALL,
    SPREAD,
    Periods,
    done_key,
    done_partition,
    expiry,
    iso,
    latest_key,
    live_key,
    live_partition,
    member_key,
    member_partition,
    month_of,
)
from wabawatch.adapters.stores.dynamodb.records import OperatorActions
from wabawatch.adapters.stores.dynamodb.snapshots import fold_action, follows
from wabawatch.adapters.stores.dynamodb.table import (
    Condition,
    Item,
    RefusedError,
    Table,
    Value,
    blob,
    item,
    key_of,
    name_of,
    number,
    text,
)
from wabawatch.adapters.stores.dynamodb.table import Key as ItemKey
from wabawatch.adapters.stores.dynamodb.transactions import (
    Action,
    Answer,
    WriteGroup,
    delete,
    put,
    update,
    write,
)
from wabawatch.application.ports import FoldBatch, MemberRow, Outcome
from wabawatch.domain.incident import Incident, Key, Member

_log = logging.getLogger(__name__)

_DONE: Final = "DONE"
_MEMBERS_KEPT: Final = timedelta(days=90)
"""The least time after a target left an incident: it may come back while the incident lasts."""


class _Write(msgspec.Struct, frozen=True):
    """How to write an incident: the key of its previous version (`origin`), whether that was looked up and not only
    assumed, and whether the incident is the latest of its key, as far as is known."""

    incident: Incident
    origin: ItemKey
    is_found: bool = False
    is_latest: bool = True


class Incidents:
    """Incidents, the pointers to the latest of each key, and members."""

    def __init__(
        self, table: Table, aside: Aside, periods: Periods, operator_actions: OperatorActions, history: timedelta
    ) -> None:
        self._table = table
        self._aside = aside
        self._periods = periods
        self._operator_actions = operator_actions
        self._history = history

    def latest(self, keys: Sequence[Key]) -> dict[Key, Incident]:
        """Return the latest incident of each key. One that moves while it is read is looked up at its new place."""
        found: dict[Key, Incident] = {}
        places: dict[ItemKey, ItemKey] = {}
        wanted = [latest_key(key) for key in keys]
        while wanted:
            pointers = {key_of(row): (row["at"]["S"], row["incident"]["S"]) for row in self._table.get_all(wanted)}
            moved = {pointer: place for pointer, place in pointers.items() if places.get(pointer) != place}
            heads = self._table.get_all(moved.values())
            found |= {incident.key: incident for incident in self._decode(heads)}
            there = {key_of(head) for head in heads}
            places |= moved
            wanted = [pointer for pointer, place in moved.items() if place not in there]
        return found

    def generations(self, keys: Sequence[Key]) -> dict[Key, int]:
        pointers = {key_of(row): row for row in self._table.get_all(latest_key(key) for key in keys)}
        return {key: int(pointers[at]["generation"]["N"]) for key in keys if (at := latest_key(key)) in pointers}

    def open(self, after: str = "", limit: int | None = None) -> list[Incident]:
        page = limit // SPREAD + 2 if limit else None
        queries = [self._table.query(live_partition(place), since=after or None, page=page) for place in range(SPREAD)]
        rows = (row for row in self._table.merge(queries, "sk") if row["sk"]["S"] != after)
        return list(islice(self._decode(rows), limit))

    def due(self, now: datetime, limit: int | None = None) -> list[Incident]:
        page = limit // 4 + 1 if limit else None
        until = f"{iso(now)}#{AFTER_ALL}"
        queries = [self._table.query(live_partition(place), "due", until=until, page=page) for place in range(SPREAD)]
        return list(islice(self._decode(self._table.merge(queries, "due")), limit))

    def find(self, incident_id: str) -> Incident | None:
        return self.find_all([incident_id]).get(incident_id)

    def find_all(self, ids: Sequence[str]) -> dict[str, Incident]:
        return {incident.id: incident for incident in self._decode(self._rows(ids).values())}

    def recent(self, limit: int) -> list[Incident]:
        """Return the latest incidents: the live ones, and the finished ones month by month, until no earlier month can
        hold a later one."""
        found = {incident.id: incident for incident in self.open()}
        for month in self._periods.newest_first(_DONE):
            queries = [
                self._table.query(done_partition(place, month), "when", newest_first=True, page=limit // 4 + 1)
                for place in range(SPREAD)
            ]
            rows = self._table.merge(queries, "when", newest_first=True)
            found |= {incident.id: incident for incident in islice(self._decode(rows), limit)}
            begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
            if sum(incident.opened_at >= begins for incident in found.values()) >= limit:
                break
        return sorted(found.values(), key=lambda incident: (incident.opened_at, incident.id), reverse=True)[:limit]

    def members(self, incident_id: str) -> Iterator[tuple[str, Member]]:
        queries = [self._table.query(member_partition(incident_id, place)) for place in range(SPREAD)]
        for row in self._table.merge(queries, "sk"):
            member = self._member(incident_id, row)
            if member is not None:
                yield row["sk"]["S"], member

    def members_of(self, rows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Member]:
        wanted = {member_key(*row): row for row in rows}
        found = {wanted[key_of(row)]: row for row in self._table.get_all(wanted)}
        members = {name: self._member(name[0], row) for name, row in found.items()}
        return {name: member for name, member in members.items() if member is not None}

    def _member(self, incident_id: str, row: Item) -> Member | None:
        return self._aside.decode(MEMBER, row, f"{incident_id} {name_of(row)}")

    def _rows(self, ids: Iterable[str]) -> dict[str, Item]:
        """Return the items of these incidents, live or of any month."""
        wanted = set(ids)
        found = {row["sk"]["S"]: row for row in self._table.get_all(live_key(name) for name in wanted)}
        if missing := wanted - found.keys():
            months = self._periods.newest_first(_DONE)
            rows = self._table.get_all(done_key(name, month) for name in missing for month in months)
            found |= {row["sk"]["S"]: row for row in rows}
        return found

    def _decode(self, rows: Iterable[Item]) -> Iterator[Incident]:
        return self._aside.decode_all(INCIDENT, rows, name_of)

    def fold(self, batch: FoldBatch) -> Outcome:
        """Write the batch in one transaction. Retry it where only the place of an incident was wrong.

        A change that is not pending any more is a conflict, because it would count twice in an incident; a batch that
        changes no incident leaves such a change out."""
        self._note_months(batch.incidents)
        latest = {incident.key: incident for incident in sorted(batch.incidents, key=lambda each: each.generation)}
        writes = [_begin(incident, is_latest=latest[incident.key] is incident) for incident in batch.incidents]
        members = [self._put_member(row) for row in batch.members]
        folded = [fold_action(self._table, change, last) for change, last in batch.folded]
        outcome = Outcome.WRITTEN
        while writes or members or folded:
            parts = [self._actions(write_) for write_ in writes]
            actions = [*(action for part in parts for action in part), *members]
            (answer,) = write(self._table, [WriteGroup((*actions, *folded))])
            outcome = answer.outcome
            if outcome is not Outcome.CONFLICT:
                break
            gone = {position - len(actions) for position in answer.failed if position >= len(actions)}
            if gone and actions:
                return Outcome.CONFLICT
            folded = [action for position, action in enumerate(folded) if position not in gone]
            again = self._again(writes, _split(answer, [len(part) for part in parts]))
            writes = [write_ for write_ in again if write_]
            if len(writes) < len(again):
                return Outcome.CONFLICT
            outcome = Outcome.WRITTEN
        if outcome is Outcome.WRITTEN:
            self._operator_actions.let_expire(batch.incidents)
        return outcome

    def save(self, incidents: Sequence[Incident]) -> list[Outcome]:
        """Write incidents that stay live one by one, which costs half; write the others in transactions."""
        self._note_months(incidents)
        outcomes: dict[int, Outcome] = {}
        writes = {position: _begin(incident) for position, incident in enumerate(incidents)}
        single = [
            position for position, incident in enumerate(incidents) if incident.version > 1 and not incident.is_done
        ]
        replaced = self._table.each(lambda position: self._replace(incidents[position]), single)
        answers = dict(zip(single, replaced, strict=True))
        rest = [position for position in writes if position not in answers]
        while True:
            groups = [WriteGroup(self._actions(writes[position])) for position in rest]
            answers |= zip(rest, write(self._table, groups), strict=True)
            outcomes |= {position: answer.outcome for position, answer in answers.items()}
            lost = [position for position, answer in answers.items() if answer.outcome is Outcome.CONFLICT]
            again = self._again(
                [writes[position] for position in lost], [answers[position].failed for position in lost]
            )
            writes |= {position: write_ for position, write_ in zip(lost, again, strict=True) if write_}
            rest = [position for position, write_ in zip(lost, again, strict=True) if write_]
            answers = {}
            if not rest:
                break
        written = [incident for position, incident in enumerate(incidents) if outcomes[position] is Outcome.WRITTEN]
        self._operator_actions.let_expire(written)
        return [outcomes[position] for position in range(len(incidents))]

    def _note_months(self, incidents: Iterable[Incident]) -> None:
        self._periods.note(_DONE, (month_of(incident.resolved_at) for incident in incidents if incident.resolved_at))

    def _replace(self, incident: Incident) -> Answer:
        """Write an incident that is assumed to be live already."""
        try:
            before = self._table.put_if(self._row(incident), follows(incident.version))
        except RefusedError as refused:
            _log.warning("%s: incident %s was not written", refused, incident.id)
            return Answer(Outcome.REFUSED)
        return Answer(Outcome.CONFLICT, frozenset({0})) if before is None else Answer(Outcome.WRITTEN)

    def _actions(self, write_: _Write) -> tuple[Action, ...]:
        """Make the actions: the first one has the condition of the version, the last one of several is the pointer."""
        incident, row = write_.incident, self._row(write_.incident)
        follow = follows(incident.version)
        if incident.version == 1:
            first = put(self._table, row, follow)
            return (first, self._point_first(incident, row)) if write_.is_latest else (first,)
        if write_.origin == key_of(row):
            return (put(self._table, row, follow),)
        moved = (delete(self._table, write_.origin, follow), put(self._table, row))
        return (*moved, self._point_again(incident, row)) if write_.is_latest else moved

    def _again(self, writes: Sequence[_Write], failed: Sequence[frozenset[int]]) -> list[_Write | None]:
        """Return how to write those whose conditions failed: without the pointer where the incident is not the latest
        of its key, and from its real place where it is not live. None: there is no such version."""
        unknown = [
            write_.incident.id
            for write_, positions in zip(writes, failed, strict=True)
            if 0 in positions and not write_.is_found and write_.incident.version > 1
        ]
        rows = self._rows(unknown) if unknown else {}
        return [self._retry(write_, positions, rows) for write_, positions in zip(writes, failed, strict=True)]

    def _retry(self, write_: _Write, failed: frozenset[int], rows: dict[str, Item]) -> _Write | None:
        incident = write_.incident
        if not failed:
            return write_
        if incident.version == 1 or (0 in failed and write_.is_found):
            return None
        if 0 not in failed:
            return msgspec.structs.replace(write_, is_latest=False)
        row = rows.get(incident.id)
        if row is None or int(row["v"]["N"]) != incident.version - 1:
            return None
        return msgspec.structs.replace(write_, origin=key_of(row), is_found=True)

    def _row(self, incident: Incident) -> Item:
        version, body = number(incident.version), blob(dump(incident))
        if incident.resolved_at is not None and incident.is_done:
            return item(
                done_key(incident.id, month_of(incident.resolved_at)),
                v=version,
                body=body,
                when=text(f"{iso(incident.opened_at)}#{incident.id}"),
                expires_at=expiry(incident.resolved_at + self._history),
            )
        due = text(f"{iso(incident.due_at)}#{incident.id}") if incident.due_at else None
        return item(live_key(incident.id), v=version, body=body, due=due)

    def _point_first(self, incident: Incident, row: Item) -> Action:
        pointer = item(
            latest_key(incident.key), generation=number(incident.generation), incident=text(incident.id), at=row["pk"]
        )
        condition = Condition(
            "attribute_not_exists(pk) OR generation < :generation", {":generation": pointer["generation"]}
        )
        return put(self._table, pointer, condition)

    def _point_again(self, incident: Incident, row: Item) -> Action:
        values = {":at": row["pk"], ":incident": text(incident.id)}
        condition = Condition("incident = :incident", values, {"#at": "at"})
        return update(self._table, latest_key(incident.key), "SET #at = :at", condition)

    def _put_member(self, row: MemberRow) -> Action:
        """All members have left when an incident ends, so each row gets its expiry when its target leaves."""
        key = member_key(row.incident_id, row.target)
        return put(self._table, item(key, body=blob(dump(row.member)), expires_at=self._member_expiry(row.member)))

    def _member_expiry(self, member: Member) -> Value | None:
        return None if member.is_affected else expiry(member.since + max(self._history, _MEMBERS_KEPT))


def _begin(incident: Incident, *, is_latest: bool = True) -> _Write:
    """Assume that the incident is live: a finished one is seldom written again."""
    return _Write(incident, live_key(incident.id), is_latest=is_latest)


def _split(answer: Answer, lengths: Sequence[int]) -> list[frozenset[int]]:
    """Return the failed positions of a group by the parts that it begins with."""
    starts = [sum(lengths[:position]) for position in range(len(lengths))]
    return [
        frozenset(failed - start for failed in answer.failed if start <= failed < start + length)
        for start, length in zip(starts, lengths, strict=True)
    ]
