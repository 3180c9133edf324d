"""HTTP as notifiers see it: which addresses they may post to, and what an answer means."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wabawatch.application.errors import DeliveryError

_PASSING: Final = frozenset({408, 425, 429})
_LONGEST_WAIT: Final = 86_400.0


class Answer(msgspec.Struct, frozen=True):
    """The status, the first 4 KiB of the body as text, and the wait in seconds that was asked for."""

    status: int
    body: str = ""
    retry_after: float | None = None


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def address(url: str, name: str) -> str:
    """A URL that may be posted to: https, or http on this machine. `name` is what the failure calls it instead."""
    with suppress(ValueError):
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
        if safe and parts.hostname and parts.port != 0 and "@" not in parts.netloc and url.isascii() and " " not in url:
            return url
    raise DeliveryError(f"{name} is no https URL (http only for this machine, and no credentials in it)", lasting=True)


def failure(answer: Answer) -> DeliveryError:
    """What a status other than success means: 3xx and 4xx last until somebody acts, the rest passes."""
    if 300 <= answer.status < 400:  # noqa: PLR2004 - the redirects
        return DeliveryError(f"HTTP {answer.status}: a redirect, which is not followed", lasting=True)
    lasting = 400 <= answer.status < 500 and answer.status not in _PASSING  # noqa: PLR2004 - the client's faults
    return DeliveryError(f"HTTP {answer.status}", lasting=lasting, retry_after=None if lasting else answer.retry_after)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait that Retry-After asks for, in seconds or as a date; None where it says nothing of use."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_WAIT)
    with suppress(ValueError, OverflowError):
        wait = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        return min(max(wait, 0.0), _LONGEST_WAIT)
    return None
