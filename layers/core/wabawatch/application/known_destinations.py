"""Since when each destination is configured: one that joins later does not hear of what was over before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.ports import Store

_DOCUMENT: Final = "destinations"


def known_destinations(store: Store) -> dict[str, datetime]:
    """Return when each destination was first configured, as far as that is known."""
    body = store.document(_DOCUMENT)
    return msgspec.json.decode(body, type=dict[str, datetime]) if body else {}


def remember_destinations(store: Store, destinations: Iterable[str], now: datetime) -> dict[str, datetime]:
    """Return the same for those configured now, and remember it; written only when one joins or leaves.

    An instant in the future was noted before the clock was set back, and becomes now: what ends from now on was not
    over before the destination joined."""
    known = known_destinations(store)
    configured = {name: min(known.get(name, now), now) for name in destinations}
    if configured != known:
        store.save_document(_DOCUMENT, msgspec.json.encode(configured))
    return configured
