"""Destinations that are down: how long each is left alone, whatever there is to say.

What one notification learned (the destination asks for five minutes) holds for the next one too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import Store
from wabawatch.domain.policy import Retry
from wabawatch.errors import DeliveryError, DeliveryErrorKind

_DOCUMENT: Final = "backoff"


class BackoffState(msgspec.Struct, frozen=True):
    """A destination that did not take the last `attempts` deliveries, the first of them at `since`, and is left alone
    until `until`. `needs_action` is the last error where nothing will be taken until somebody acts. `digest_limit` is
    how many incidents it was last found to take in one digest, None where it takes any number."""

    attempts: int = 0
    since: datetime | None = None
    until: datetime | None = None
    needs_action: str = ""
    digest_limit: int | None = None


class Backoff:
    """The state of every destination, kept in one small document that is written only when it changes."""

    def __init__(self, store: Store, retry: Retry, destinations: Iterable[str]) -> None:
        self._store = store
        self._retry = retry
        body = store.document(_DOCUMENT)
        stored = msgspec.json.decode(body, type=dict[str, BackoffState]) if body else {}
        self._states = {name: stored[name] for name in destinations if name in stored}
        self._saved = stored

    def paused(self, now: datetime) -> dict[str, datetime]:
        """Until when each of them is left alone. A time that is farther away than any wait was set before the clock was
        set back, and is over."""
        farthest = self._retry.farthest(now)
        return {
            name: state.until
            for name, state in self._states.items()
            if state.until is not None and now < state.until <= farthest
        }

    def trouble(self, destination: str, now: datetime) -> str:
        """Why the destination counts as one that cannot be reached: somebody must act, or it has failed for as long as
        deliveries are tried; "" where it does not."""
        state = self._states.get(destination, BackoffState())
        if state.needs_action:
            return state.needs_action
        if state.since is not None and now - state.since >= self._retry.give_up_after:
            return f"it has taken nothing since {state.since:%Y-%m-%d %H:%M} UTC"
        return ""

    def dead(self, now: datetime) -> frozenset[str]:
        """Return those that cannot be reached."""
        return frozenset(name for name in self._states if self.trouble(name, now))

    def digest_limit(self, destination: str) -> int | None:
        return self._states.get(destination, BackoffState()).digest_limit

    def record_failure(self, destination: str, error: DeliveryError, now: datetime) -> datetime:
        """Leave the destination alone for longer; until when."""
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
        """Leave the destination alone as a failure wanted that was recorded in the queue, and here perhaps not."""
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
