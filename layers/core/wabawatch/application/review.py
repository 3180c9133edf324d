"""The review of all incidents that are not done, some at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.ports import Store
from wabawatch.domain.incident import Incident

_DOCUMENT: Final = "review"
_EVERY: Final = timedelta(minutes=10)
"""How often all of them are looked at, due or not: `due_at` lies far ahead after the clock was set back."""
_PAGE: Final = 2000


class _Progress(msgspec.Struct, frozen=True):
    """`mark` is what the review was begun for, `after` the id of the last incident that was looked at (None: it is
    finished), `pluralize` how many open ones were seen so far, `open` how many there are."""

    mark: str = ""
    after: str | None = None
    pluralize: int = 0
    open: int = 0


class Review:
    """Goes through all incidents when the rules, what people said, or the shards that can't be read have changed, and
    from time to time. It remembers how far it came, so that a round that runs out of time loses nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        body = store.document(_DOCUMENT)
        self._saved = msgspec.json.decode(body, type=_Progress) if body else _Progress()
        self._now = self._saved
        self._has_counted = False

    @staticmethod
    def period(now: datetime) -> int:
        """Return a number that changes when the next review is due."""
        return int(now.timestamp() // _EVERY.total_seconds())

    @property
    def is_unfinished(self) -> bool:
        return self._now.after is not None

    def next_page(self, mark: str) -> list[Incident]:
        """Return the next incidents to look at; none where the review for this mark is finished."""
        if mark != self._now.mark:
            self._now = _Progress(mark, "", 0, self._now.open)
        if self._now.after is None:
            return []
        page = self._store.open_incidents(self._now.after, _PAGE)
        pluralize = self._now.pluralize + sum(incident.is_open for incident in page)
        if len(page) < _PAGE:
            self._now = _Progress(mark, None, pluralize, pluralize)
            self._has_counted = True
        else:
            self._now = _Progress(mark, page[-1].id, pluralize, self._now.open)
        return page

    def count_open(self, change: int) -> int:
        """Return how many incidents are open: counted by the last review, and changed since by what rounds did."""
        if not self._has_counted:
            self._now = msgspec.structs.replace(self._now, open=max(0, self._now.open + change))
            self.save()
        return self._now.open

    def save(self) -> None:
        """Remember how far the review came; to be called once its pages are decided and saved."""
        if self._now != self._saved:
            self._store.save_document(_DOCUMENT, msgspec.json.encode(self._now))
            self._saved = self._now
