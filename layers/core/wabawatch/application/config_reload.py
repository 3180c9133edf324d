"""Read the configuration again when it changes, and apply the changes to the stored snapshots.

The last good configuration is kept while a new one is bad. Snapshots change where targets were removed, and where
capabilities are monitored that were not before.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from wabawatch.application.commit_batch import CommitBatch
from wabawatch.application.ports import Clock, DocumentStore, SnapshotStore
from wabawatch.domain.correlation import UNWATCHED
from wabawatch.domain.health import READABLE, Entity, Reason, Report
from wabawatch.domain.policy import Policy
from wabawatch.domain.sharding import parse_shard_entity_id
from wabawatch.domain.snapshot import Snapshot, Transition
from wabawatch.errors import ConfigurationError, UnavailableError, WabawatchError, describe_place

GOOD: Final = "configuration/good"
"""The document that says which version was the last good one."""
REMOVED: Final = "configuration/removed"
"""The document with the good version that `config push --remove` removed: after it, the document may be absent."""

_REPORTED_FAILURES: Final = 3
"""Failed reads in a row before it is reported that the configuration cannot be read."""
_ABSENT: Final = (
    "{}; it was there, and its last good version goes on: upload it again with `wabawatch config push FILE`, "
    "or, if the parameters shall apply instead, run `wabawatch config push --remove`"
)
_log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")


class MissingDocumentError(ConfigurationError):
    """The place can be read and holds no document."""


class Text(Protocol):
    """A text and its version."""

    @property
    def body(self) -> bytes: ...

    @property
    def version(self) -> str: ...


class Origin(Protocol):
    """A place that holds the configuration."""

    name: str

    def read(self, unless: str | None = None) -> Text | None:
        """Return the text; None while its version is still `unless`. Raises ConfigurationError or UnavailableError."""
        ...

    def version(self, version_id: str | None, mark: str) -> Text:
        """Return an earlier text. Raises ConfigurationError or UnavailableError."""
        ...


class ReloadableConfig(Generic[Parsed]):
    """A configuration that is read again when its document changes; the last good version stays in use while a new one
    is bad.

    `fallback` applies while the place holds no document: at first, and after an intended removal. `remember` False does
    not record which version was good."""

    def __init__(
        self,
        origin: Origin,
        parse: Callable[[bytes], Parsed],
        store: Callable[[], DocumentStore],
        *,
        fallback: Text | None = None,
        remember: bool = True,
    ) -> None:
        self._origin = origin
        self._parse = parse
        self._store = store
        self._fallback = fallback
        self._remembers = remember
        self._remembered: str | None = None
        self._seen: str | None = None
        self._bad: ConfigurationError | None = None
        """What is wrong with the text that was read last."""
        self._unread: ConfigurationError | UnavailableError | None = None
        """Why the last read failed."""
        self._failed_reads = 0
        self.value: Parsed | None = None
        self.version = ""

    def refresh(self) -> Reason | None:
        """Read the document if it changed; return what is wrong, or None. Raises ConfigurationError where no version
        was ever good.

        1. A text is parsed once; the result stays until the text changes.
        2. An unintended absence is reported at once; a place that cannot be read, after some reads in a row.
        3. While anything is wrong, the last good version is in use, whichever process saw it."""
        try:
            text = self._read()
        except (ConfigurationError, UnavailableError) as error:
            self._unread = error
            self._failed_reads += 1
        else:
            self._unread = None
            self._failed_reads = 0
            if text is not None:
                self._parse_once(text)
        if self._unread or self._bad:
            self._use_last_good()
        else:
            self._remember()
        trouble = self._trouble()
        return None if trouble is None else Reason(description="configuration", detail=str(trouble))

    def _read(self) -> Text | None:
        try:
            with configuration_border(self._origin.name):
                return self._origin.read(self._seen)
        except MissingDocumentError as error:
            if self._fallback is None:
                raise
            if not self._may_be_absent():
                raise MissingDocumentError(_ABSENT.format(error)) from error
            return None if self._seen == self._fallback.version else self._fallback

    def _may_be_absent(self) -> bool:
        """Return whether only the fallback was ever good here, or `config push --remove` removed the document."""
        good = self._store().document(GOOD)
        return good in {None, self._mark_of_fallback} or self._store().document(REMOVED) == good

    def _parse_once(self, text: Text) -> None:
        """Parse a text once. The result is set together with `_seen`, so that an error in between leaves no text
        unparsed."""
        try:
            self._accept(text)
            self._bad = None
        except ConfigurationError as error:
            self._bad = error
        self._seen = text.version

    def _accept(self, text: Text) -> None:
        with configuration_border(self._origin.name):
            self.value = self._parse(text.body)
        self.version = text.version

    def _remember(self) -> None:
        if self._remembers and self._remembered != self.version:
            if self._store().document(GOOD) != self.version.encode():
                self._store().save_document(GOOD, self.version.encode())
            self._remembered = self.version

    def _use_last_good(self) -> None:
        """Use the last good version, also in a new process or one that was idle meanwhile. Raises ConfigurationError
        where there is none."""
        good = (self._store().document(GOOD) or b"").decode()
        is_behind = self.value is None or self._remembered == self.version != good
        if good and is_behind:
            try:
                self._accept(self._good_text(good))
                self._remembered = good
                self._seen = self._seen if self._bad else None
            except (ConfigurationError, UnavailableError) as error:
                _log.warning("the last good configuration (%s) cannot be read: %s", good, error)
        trouble = self._bad or self._unread
        if self.value is None and trouble is not None:
            raise trouble

    def _good_text(self, mark: str) -> Text:
        if self._fallback is not None and mark == self._fallback.version:
            return self._fallback
        with configuration_border(self._origin.name):
            return self._origin.version(mark, mark)

    def _trouble(self) -> ConfigurationError | UnavailableError | None:
        if isinstance(self._unread, MissingDocumentError):
            return self._unread
        return self._bad or (self._unread if self._failed_reads >= _REPORTED_FAILURES else None)

    @property
    def _mark_of_fallback(self) -> bytes | None:
        return None if self._fallback is None else self._fallback.version.encode()


@contextmanager
def configuration_border(name: str) -> Iterator[None]:
    """Turn any error while a configuration is read into a ConfigurationError, so that the last good one stays in use.
    The text of an unexpected error is left out, because it may quote a secret; its place is logged."""
    try:
        yield
    except WabawatchError:
        raise
    except Exception as error:  # noqa: BLE001 - the border around one document
        what = f"unexpected {describe_place(error)}"
        _log.error("%s: %s", name, what)
        _log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        raise ConfigurationError(f"{name}: {what}, a bug; write the configuration otherwise, and report it") from None


def record_removal(store: DocumentStore) -> None:
    """Record, before the document is deleted, that it may be absent after the present good version, so that no process
    reports the absence. After a crash in between the document stays in use; the record ends with the next good
    version."""
    good = store.document(GOOD)
    if good is not None:
        store.save_document(REMOVED, good)


def forget_removal(store: DocumentStore) -> None:
    """Withdraw the record, because the document was not deleted after all."""
    store.save_document(REMOVED, b"")


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
