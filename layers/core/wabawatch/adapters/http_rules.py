"""The rules of HTTP: which URLs may be posted to, what an answer means, and its Retry-After (RFC 9110, 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from wabawatch.application.credentials import explain_bad_url
from wabawatch.errors import DeliveryError, DeliveryErrorKind

_PASSING: Final = frozenset({408, 425, 429})
_OF_THE_MESSAGE: Final = frozenset({400, 413, 422})
"""Bad request, content too large, unprocessable content: another message may be taken."""


class Answer(msgspec.Struct, frozen=True):
    """The status, the first 4 KiB of the body as text, and the wait in seconds that was asked for."""

    status: int
    body: str = ""
    retry_after: float | None = None


def check_url(url: str, name: str) -> str:
    """Return a URL that may be posted to. `name` stands for it in the error.

    Raises DeliveryError: a URL behind a reference is known only now, and is checked as if it were written out."""
    if why := explain_bad_url(url):
        raise DeliveryError(f"{name}: {why}", DeliveryErrorKind.DESTINATION)
    return url


def status_kind(status: int) -> DeliveryErrorKind:
    """Classify a status other than success."""
    if status in _OF_THE_MESSAGE:
        return DeliveryErrorKind.MESSAGE
    if 300 <= status < 500 and status not in _PASSING:  # noqa: PLR2004 - redirects, and the client's faults
        return DeliveryErrorKind.DESTINATION
    return DeliveryErrorKind.PASSING


def delivery_error(answer: Answer) -> DeliveryError:
    """Return the error that a status other than success means."""
    kind = status_kind(answer.status)
    if 300 <= answer.status < 400:  # noqa: PLR2004 - the redirects
        return DeliveryError(f"HTTP {answer.status}: a redirect, which is not followed", kind)
    wait = answer.retry_after if kind is DeliveryErrorKind.PASSING else None
    return DeliveryError(f"HTTP {answer.status}", kind, retry_after=wait)


_LONGEST_WAIT: Final = 86_400.0


def parse_retry_after(header: str, now: datetime) -> float | None:
    """Return the wait in seconds, at most a day; None where the header says nothing of use. Never raises.

    `now` is an aware instant. A date without a zone, or with `-0000`, is in UTC."""
    value = header.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:20]), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(value)
        wait = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)
