"""Apply a changed configuration to the stored snapshots: removed targets, and newly monitored capabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec

from wabawatch.application.commit_batch import CommitBatch
from wabawatch.application.ports import Clock, DocumentStore, SnapshotStore
from wabawatch.domain.correlation import UNWATCHED
from wabawatch.domain.health import READABLE, Entity, Report
from wabawatch.domain.policy import Policy
from wabawatch.domain.sharding import parse_shard_entity_id
from wabawatch.domain.snapshot import Snapshot, Transition

_TARGETS: Final = "watched"
_CAPABILITIES: Final = "capabilities"
_LONGEST_PASS: Final = timedelta(minutes=15)
"""What Lambda allows at most."""


class FleetStore(SnapshotStore, DocumentStore, Protocol):
    """What is read and written when the fleet changes."""


class _AppliedTargets(msgspec.Struct, frozen=True):
    """The list of targets that was applied last, since when it is in force, and whether that was repeated."""

    mark: str = ""
    changed_at: datetime = datetime.min.replace(tzinfo=UTC)
    is_settled: bool = False


class FleetChanges:
    """Bring the stored snapshots in line with the configuration. Raises StoreError; the next call tries again."""

    def __init__(self, store: FleetStore, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy

    def apply_targets(self, targets: Iterable[str], shards: int) -> None:
        """Close what is open about targets that left the configuration.

        Does so when the list of targets or the number of shards has changed, and once more when every pass must have
        ended that began before: a pass that was under way may have brought a target back."""
        ids = sorted(targets)
        mark = hashlib.sha256("\n".join((str(shards), *ids)).encode()).hexdigest()
        now = self._clock.now()
        applied = _decode_applied(self._store.document(_TARGETS))
        is_same = applied.mark == mark and applied.changed_at <= now
        if is_same and (applied.is_settled or now - applied.changed_at < _LONGEST_PASS):
            return
        self.close_all_but(ids, shards=shards)
        done = _AppliedTargets(mark, applied.changed_at if is_same else now, is_settled=is_same)
        self._store.save_document(_TARGETS, msgspec.json.encode(done))

    def close_all_but(
        self, targets: Iterable[str], run_id: str = UNWATCHED, *, shards: int | None = None
    ) -> tuple[Transition, ...]:
        """Close what is open about all other targets.

        `shards` is how many the fleet has now: what other divisions reported on the monitor is closed too (None:
        kept)."""
        configured = set(targets)
        now = self._clock.now()
        batch = CommitBatch(self._store, self._policy, run_id, self._clock.now)
        for snapshot in self._store.every_snapshot():
            if not _is_monitored(snapshot.target, configured, shards):
                batch.forget(snapshot, now)
        return _commit(batch)

    def apply_capabilities(self, run_id: str) -> None:
        """Report what is already wrong with capabilities that the policy has newly come to include.

        Such problems make no transition by themselves, so that no destination would be notified. The list is stored
        last: after a crash the same is reported again, and notify sends nothing twice."""
        wanted = sorted(self._policy.capabilities)
        document = self._store.document(_CAPABILITIES)
        known = msgspec.json.decode(document, type=list[str]) if document else wanted
        if document and known == wanted:
            return
        if added := frozenset(wanted) - set(known):
            now = self._clock.now()
            batch = CommitBatch(self._store, self._policy, run_id, self._clock.now)
            for snapshot in self._store.every_snapshot():
                batch.restate(snapshot, added, _report_of(snapshot), now)
            _commit(batch)
        self._store.save_document(_CAPABILITIES, msgspec.json.encode(wanted))


def _decode_applied(body: bytes | None) -> _AppliedTargets:
    try:
        return msgspec.json.decode(body or b"", type=_AppliedTargets)
    except msgspec.DecodeError:
        return _AppliedTargets()


def _commit(batch: CommitBatch) -> tuple[Transition, ...]:
    """Commit what waits. Work on the whole fleet is complete or is repeated: raises StoreError."""
    batch.flush()
    if batch.error is not None:
        raise batch.error
    return tuple(batch.transitions)


def _is_monitored(target: str, configured: Collection[str], shards: int | None) -> bool:
    division = parse_shard_entity_id(target)
    if division is None:
        return target in configured
    return shards is None or division[1] == shards


def _report_of(snapshot: Snapshot) -> Report:
    """Return the state of a target as one report."""
    found: dict[tuple[str, str], Entity] = {}
    for state in snapshot.states:
        if state.capability != READABLE and state.status is not None:
            known = found.get((state.entity_type, state.entity_id), Entity(state.entity_type, state.entity_id, {}))
            found[state.entity_type, state.entity_id] = msgspec.structs.replace(
                known,
                capabilities={**known.capabilities, state.capability: state.status},
                reasons=tuple(dict.fromkeys((*known.reasons, *state.reasons))),
            )
    return Report(tuple(found.values()), contradictions=snapshot.contradictions)
