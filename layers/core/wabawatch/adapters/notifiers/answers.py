"""HTTP as notifiers see it: which addresses they may post to, and what an answer means."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wabawatch.application.errors import DeliveryError, DeliveryErrorKind

_PASSING: Final = frozenset({408, 425, 429})
_OF_THE_MESSAGE: Final = frozenset({400, 413, 422})
"""Bad request, content too large, unprocessable content: another message may be taken."""


class Answer(msgspec.Struct, frozen=True):
    """The status, the first 4 KiB of the body as text, and the wait in seconds that was asked for."""

    status: int
    body: str = ""
    retry_after: float | None = None


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine; False for what is no URL."""
    with suppress(ValueError):
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def address(url: str, name: str) -> str:
    """A URL that may be posted to: https, or http on this machine. `name` is what the failure calls it instead."""
    with suppress(ValueError):
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
        plain = url.isascii() and url.isprintable() and " " not in url
        if safe and parts.hostname and parts.port != 0 and "@" not in parts.netloc and plain:
            return url
    raise DeliveryError(
        f"{name} is no https URL (http only for this machine, and no credentials in it)", DeliveryErrorKind.DESTINATION
    )


def status_kind(status: int) -> DeliveryErrorKind:
    """Classify a status other than success."""
    if status in _OF_THE_MESSAGE:
        return DeliveryErrorKind.MESSAGE
    if 300 <= status < 500 and status not in _PASSING:  # noqa: PLR2004 - redirects, and the client's faults
        return DeliveryErrorKind.DESTINATION
    return DeliveryErrorKind.PASSING


def failure(answer: Answer) -> DeliveryError:
    """Return the error that a status other than success means."""
    kind = status_kind(answer.status)
    if 300 <= answer.status < 400:  # noqa: PLR2004 - the redirects
        return DeliveryError(f"HTTP {answer.status}: a redirect, which is not followed", kind)
    wait = answer.retry_after if kind is DeliveryErrorKind.PASSING else None
    return DeliveryError(f"HTTP {answer.status}", kind, retry_after=wait)
