"""Durations as people write them: `250ms`, `10s`, `5m`, `1h30m`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

MAX_DURATION: Final = timedelta(days=3650)

DURATION: Final = r"^(?=[0-9])(?:[0-9]{1,9}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m)?(?:[0-9]{1,9}s)?(?:[0-9]{1,9}ms)?$"
"""The form, for editors."""
_FORM: Final = re.compile(
    r"(?=\d)" + "".join(rf"(?:(\d{{1,9}}(?:\.\d{{1,9}})?){unit})?" for unit in ("d", "h", "m", "s", "ms")), re.ASCII
)
_UNITS: Final = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)


def parse_duration(text: str, *, fractions: bool = False) -> timedelta:
    """Parse a duration; the longest unit comes first, and `1.5s` needs `fractions`. Raises ValueError for any other
    form, and for more than ten years."""
    found = _FORM.fullmatch(text)
    if found is None or ("." in text and not fractions):
        raise ValueError("not a duration")
    parts = [
        (float(amount) if "." in amount else int(amount)) * unit
        for amount, (_, unit) in zip(found.groups("0"), _UNITS, strict=True)
    ]
    if max(parts) > MAX_DURATION or (total := sum(parts, timedelta())) > MAX_DURATION:
        raise ValueError("longer than ten years")
    return total


def render_duration(duration: timedelta) -> str:
    """The shortest text that parses back, to the millisecond; `0s` for none."""
    parts: list[str] = []
    rest = duration
    for letter, unit in _UNITS:
        amount, rest = divmod(rest, unit)
        if amount:
            parts.append(f"{amount}{letter}")
    return "".join(parts) or "0s"
