"""The Retry-After header of HTTP (RFC 9110, 10.2.3): a number of seconds or a date."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

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
