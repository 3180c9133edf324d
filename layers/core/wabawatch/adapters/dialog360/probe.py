"""One reading of one target on its way: what is asked, where, and with which key."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wabawatch.application.credentials import explain_bad_key
from wabawatch.application.ports import Target
from wabawatch.errors import SecretError

_PATH: Final = "/health_status"


class Place(msgspec.Struct, frozen=True):
    """Where a target is asked; a host's waits are kept by `host`, which holds the port too."""

    url: str
    host: str


@lru_cache(maxsize=1024)
def place_of(base_url: str) -> Place:
    """Of a URL that is none the host is the whole; libcurl will refuse it."""
    try:
        host = urlsplit(base_url).netloc.rpartition("@")[2].lower()
    except ValueError:
        host = base_url
    return Place(base_url.rstrip("/") + _PATH, host)


class Probe:
    """A plain class and no value, so that nothing prints the key."""

    __slots__ = ("key", "place", "target")

    def __init__(self, target: Target, place: Place, key: str) -> None:
        self.target, self.place, self.key = target, place, key


def sendable(key: str, reference: str) -> str:
    """Return the key, if a header can carry it and nothing else beside it; raises SecretError."""
    if why := explain_bad_key(key):
        raise SecretError(f"{reference}: {why}")
    return key
