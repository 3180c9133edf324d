"""Shapes of the values that are stored in many copies, or with many members: arrays, short words, differences.

A poll reads the snapshot of every target, each time, and pays by size; one incident can have 100,000 members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from wabawatch.domain.health import Failure, Observation, Reason, Report
from wabawatch.domain.incidents import Incident, Member
from wabawatch.domain.transitions import Evidence, Snapshot, Track

WORDS: Final = (
    "AVAILABLE", "LIMITED", "BLOCKED", "UNKNOWN", "GONE", "can_send_message", "can_receive_call_sip", "health_status",
    "TARGET", "PHONE_NUMBER", "WABA", "BUSINESS", "APP", "MESSAGE_TEMPLATE", "FLOW", "unauthorized", "forbidden",
    "throttled", "disabled", "payment_required", "not_found", "rejected", "provider_error", "unreachable", "timeout",
    "unreadable", "redirected", "key_unreadable", "MONITOR", "DESTINATION",
)  # fmt: skip
"""Stored by position, so their order is part of the format; another word is stored as it is."""

_POSITIONS: Final = {word: position for position, word in enumerate(WORDS)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_DIGITS: Final = 18
"""Of a decimal id that fits 64 bits whatever its digits are."""

Word = int | str


def microseconds(at: datetime) -> int:
    """Since 1970, exact."""
    return (at - _EPOCH) // _MICROSECOND


def instant(microseconds_: int) -> datetime:
    """The aware instant, UTC."""
    return _EPOCH + microseconds_ * _MICROSECOND


class StoredReason(msgspec.Struct, frozen=True, array_like=True):
    """A Reason; what stands at the end and has its default is left out."""

    code: int | None = None
    capability: Word = 5
    description: Word = ""
    possible_solution: str = ""
    detail: str = ""


class StoredTrack(msgspec.Struct, frozen=True, array_like=True):
    """A Track. The entity is nil where it is the one before; instants are microseconds before the snapshot's."""

    entity_type: Word | None
    entity_id: Word | None
    capability: Word
    status: Word | None = None
    since: int | None = None
    proven: bool = False
    reasons: tuple[StoredReason, ...] = ()
    because: str | None = None
    streak: tuple[tuple[Word, int], ...] = ()


class StoredSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A Snapshot; `observed_at` in microseconds since 1970."""

    target: str
    version: int
    seq: int = 0
    observed_at: int | None = None
    tracks: tuple[StoredTrack, ...] = ()
    contradictions: tuple[str, ...] = ()


class StoredIncident(msgspec.Struct, frozen=True, array_like=True):
    """An Incident whose targets are columns: the ids, members first; the last folded number of each; and, for members
    only, the status and since when, as the difference in microseconds from the member before (from `opened_at` for the
    first). `left` holds positions in `ids`.
    """

    rest: Incident
    ids: list[str]
    folded: list[int | None]
    statuses: list[Word]
    since: list[int]
    left: list[int]


class StoredObservation(msgspec.Struct, frozen=True, omit_defaults=True):
    """An Observation: exactly one of `report` and `failure` is there."""

    target: str
    observed_at: datetime
    report: Report | None = None
    failure: Failure | None = None


def _short(word: str) -> Word:
    return _POSITIONS.get(word, word)


def _long(word: Word) -> str:
    return WORDS[word] if isinstance(word, int) else word


def _short_id(entity_id: str) -> Word:
    number = entity_id.isascii() and entity_id.isdecimal() and len(entity_id) <= _MOST_DIGITS
    return int(entity_id) if number and str(int(entity_id)) == entity_id else entity_id


def _trimmed(values: Sequence[object], defaults: tuple[object, ...]) -> list[object]:
    """Without what stands at the end and equals its default."""
    kept = len(values)
    while kept and values[kept - 1] == defaults[kept - 1]:
        kept -= 1
    return list(values[:kept])


def from_snapshot(snapshot: Snapshot) -> object:
    """See StoredSnapshot."""
    base = microseconds(snapshot.observed_at) if snapshot.observed_at else 0
    tracks = [_from_track(track, base) for track in snapshot.tracks]
    for position in range(len(tracks) - 1, 0, -1):
        if tracks[position][:2] == tracks[position - 1][:2]:
            tracks[position][:2] = (None, None)
    observed_at = base if snapshot.observed_at else None
    values = [snapshot.target, snapshot.version, snapshot.seq, observed_at, tracks, list(snapshot.contradictions)]
    return _trimmed(values, (..., ..., 0, None, [], []))


def _from_track(track: Track, base: int) -> list[object]:
    values = [
        _short(track.entity_type),
        _short_id(track.entity_id),
        _short(track.capability),
        None if track.status is None else _short(track.status),
        None if track.since is None else base - microseconds(track.since),
        track.proven,
        [_from_reason(reason) for reason in track.reasons],
        track.because,
        [(_short(one.status), base - microseconds(one.observed_at)) for one in track.streak],
    ]
    return _trimmed(values, (..., ..., ..., None, None, False, [], None, []))


def _from_reason(reason: Reason) -> list[object]:
    values = [
        reason.code, _short(reason.capability), _short(reason.description), reason.possible_solution, reason.detail,
    ]  # fmt: skip
    return _trimmed(values, (None, 5, "", "", ""))


def to_snapshot(stored: StoredSnapshot) -> Snapshot:
    """Raises LookupError for a word of a later format."""
    base = stored.observed_at or 0
    observed_at = None if stored.observed_at is None else instant(stored.observed_at)
    tracks = tuple(_to_tracks(stored.tracks, base))
    return Snapshot(stored.target, stored.version, stored.seq, observed_at, tracks, stored.contradictions)


def _to_tracks(stored: tuple[StoredTrack, ...], base: int) -> Iterator[Track]:
    entity_type = entity_id = ""
    for track in stored:
        if track.entity_type is not None:
            entity_type, entity_id = _long(track.entity_type), str(track.entity_id)
        yield Track(
            entity_type,
            entity_id,
            _long(track.capability),
            None if track.status is None else _long(track.status),
            None if track.since is None else instant(base - track.since),
            tuple(_to_reason(reason) for reason in track.reasons),
            track.because,
            track.proven,
            tuple(Evidence(_long(status), instant(base - before)) for status, before in track.streak),
        )


def _to_reason(stored: StoredReason) -> Reason:
    return Reason(
        stored.code, _long(stored.description), stored.possible_solution, _long(stored.capability), stored.detail
    )


def from_incident(incident: Incident) -> StoredIncident:
    """Members first and in their order, then those that took part before."""
    members, folded = incident.members, incident.folded
    ids = list(dict.fromkeys((*members, *folded, *incident.left)))
    positions = {target: position for position, target in enumerate(ids)}
    before, since = microseconds(incident.opened_at), []
    for member in members.values():
        now = microseconds(member.since)
        since.append(now - before)
        before = now
    return StoredIncident(
        msgspec.structs.replace(incident, members={}, folded={}, left=()),
        ids,
        [folded.get(target) for target in ids],
        [_short(member.status) for member in members.values()],
        since,
        [positions[target] for target in incident.left],
    )


def to_incident(stored: StoredIncident) -> Incident:
    """Raises LookupError for a word of a later format."""
    rest = stored.rest
    return msgspec.structs.replace(
        rest,
        members=dict(_to_members(stored, microseconds(rest.opened_at))),
        folded={target: seq for target, seq in zip(stored.ids, stored.folded, strict=True) if seq is not None},
        left=tuple(stored.ids[position] for position in stored.left),
    )


def _to_members(stored: StoredIncident, before: int) -> Iterator[tuple[str, Member]]:
    for target, status, difference in zip(stored.ids, stored.statuses, stored.since, strict=False):
        before += difference
        yield target, Member(_long(status), instant(before))


def from_observation(observation: Observation) -> StoredObservation:
    """See StoredObservation."""
    outcome = observation.outcome
    if isinstance(outcome, Failure):
        return StoredObservation(observation.target, observation.observed_at, failure=outcome)
    return StoredObservation(observation.target, observation.observed_at, report=outcome)


def to_observation(stored: StoredObservation) -> Observation:
    """See StoredObservation."""
    return Observation(stored.target, stored.observed_at, stored.failure or stored.report or Report(()))
