"""Back off from destinations that fail: nothing is sent to them for a while.

The wait holds for all notifications: where a destination asked for five minutes, the next one waits too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import DocumentStore
from wabawatch.domain.policy import Retry
from wabawatch.errors import DeliveryError, DeliveryErrorKind

_DOCUMENT: Final = "backoff"


class BackoffState(msgspec.Struct, frozen=True):
    """The last `attempts` deliveries to a destination failed, the first of them at `since`; nothing is sent until
    `until`. `needs_action` is the last error that lasts until an operator acts. `digest_limit` is how many incidents
    the destination accepts in one digest, None for any number."""

    attempts: int = 0
    since: datetime | None = None
    until: datetime | None = None
    needs_action: str = ""
    digest_limit: int | None = None


class Backoff:
    """Keep the state of every destination in one small document, which is written only when it changes."""

    def __init__(self, store: DocumentStore, retry: Retry, destinations: Iterable[str]) -> None:
        self._store = store
        self._retry = retry
        self._destinations = tuple(destinations)
        self._states: dict[str, BackoffState] = {}
        self._saved: dict[str, BackoffState] = {}

    def load(self) -> None:
        body = self._store.document(_DOCUMENT)
        self._saved = msgspec.json.decode(body, type=dict[str, BackoffState]) if body else {}
        self._states = {name: self._saved[name] for name in self._destinations if name in self._saved}

    def paused(self, now: datetime) -> dict[str, datetime]:
        """Return until when nothing is sent, by destination. A time beyond the longest wait was set before the clock
        was set back, and counts as over."""
        farthest = self._retry.farthest(now)
        return {
            name: state.until
            for name, state in self._states.items()
            if state.until is not None and now < state.until <= farthest
        }

    def trouble(self, destination: str, now: datetime) -> str:
        """Return why the destination counts as dead (an operator must act, or it has failed for as long as deliveries
        are retried), or "" where it does not."""
        state = self._states.get(destination, BackoffState())
        if state.needs_action:
            return state.needs_action
        if state.since is not None and now - state.since >= self._retry.give_up_after:
            return f"it has taken nothing since {state.since:%Y-%m-%d %H:%M} UTC"
        return ""

    def dead(self, now: datetime) -> frozenset[str]:
        """Return the destinations that count as dead."""
        return frozenset(name for name in self._states if self.trouble(name, now))

    def digest_limit(self, destination: str) -> int | None:
        return self._states.get(destination, BackoffState()).digest_limit

    def record_failure(self, destination: str, error: DeliveryError, now: datetime) -> datetime:
        """Lengthen the wait; return its end."""
        before = self._states.get(destination, BackoffState())
        until = now + self._retry.wait(before.attempts + 1, error.retry_after)
        self._states[destination] = msgspec.structs.replace(
            before,
            attempts=before.attempts + 1,
            since=before.since or now,
            until=until,
            needs_action=str(error) if error.kind is DeliveryErrorKind.DESTINATION else before.needs_action,
        )
        return until

    def restore(self, destination: str, attempts: int, since: datetime | None, until: datetime) -> None:
        """Apply a failure that was recorded in the queue, and perhaps not here, before a crash."""
        before = self._states.get(destination, BackoffState())
        self._states[destination] = msgspec.structs.replace(
            before,
            attempts=max(before.attempts, attempts),
            since=min((at for at in (before.since, since) if at), default=None),
            until=max(before.until or until, until),
        )

    def record_refused_digest(self, destination: str, incidents: int) -> None:
        """Try half as many incidents in one digest."""
        before = self._states.get(destination, BackoffState())
        self._states[destination] = msgspec.structs.replace(before, digest_limit=max(1, incidents // 2))

    def record_success(self, destination: str, *, keep_limit: bool) -> None:
        before = self._states.pop(destination, BackoffState())
        if keep_limit and before.digest_limit is not None:
            self._states[destination] = BackoffState(digest_limit=before.digest_limit)

    def save(self) -> None:
        if self._states != self._saved:
            self._store.save_document(_DOCUMENT, msgspec.json.encode(self._states))
            self._saved = dict(self._states)
