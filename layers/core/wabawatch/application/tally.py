"""How much is open, and how long the oldest news has been waiting: counted again only when something has changed."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import Store

_DOCUMENT: Final = "tally"


class Tally(msgspec.Struct, frozen=True):
    """Over all incidents: how many are open, how many notifications failed so far, and since when the first did."""

    open: int = 0
    pending: int = 0
    failing_since: datetime | None = None


def tally(store: Store, *, recount: bool) -> Tally:
    """Reading every open incident each minute would cost more than the alerts."""
    body = store.document(_DOCUMENT)
    known = msgspec.json.decode(body, type=Tally) if body else None
    if known is not None and not recount:
        return known
    found = store.open_incidents()
    failing = [told.failing_since for one in found for told in one.ledger.values() if told.failing_since]
    counted = Tally(sum(one.is_open for one in found), len(failing), min(failing, default=None))
    if counted != known:
        store.save_document(_DOCUMENT, msgspec.json.encode(counted))
    return counted
