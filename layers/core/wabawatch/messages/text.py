"""Work on plain text: sanitise, measure, truncate, count, date. Nothing here knows what a message is."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Final

Cost = Callable[[str], int]
"""Measures a text as a destination does: in characters, UTF-16 units or bytes, before or after escaping."""

ELLIPSIS: Final = "…"

_TERMINAL = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b.?", re.DOTALL
)
_BLANK = re.compile("[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_HIDDEN = re.compile(
    "[\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_UNENCODABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")
_JOINER: Final = "\u200d"
_LONGEST_CHARACTER: Final = 32
"""Code points. A family emoji takes eleven; more is not a character that anybody needs to see whole."""


def sanitize(text: str) -> str:
    """Return outside text as one harmless line.

    Terminal sequences, line breaks, and characters that are invisible or change the direction of the text are removed.
    Half a surrogate pair becomes U+FFFD."""
    visible = _HIDDEN.sub("", _TERMINAL.sub("", text))
    return replace_unencodable(_BLANK.sub(" ", visible)).strip()


def replace_unencodable(text: str) -> str:
    """Replace what has no UTF-8 form by U+FFFD."""
    return _UNENCODABLE.sub("\ufffd", text)


def truncate(text: str, limit: int, cost: Cost = len) -> str:
    """Return the text, or as many of its first whole characters as fit with an ellipsis into `limit` units of `cost`.

    To fit a text that is escaped later, `cost` measures the escaped text: so no escape is ever cut in two."""
    if cost(text) <= limit:
        return text
    room = limit - cost(ELLIPSIS)
    fitting = bisect_right(range(1, len(text) + 1), room, key=lambda length: cost(text[:length]))
    return text[: _character_boundary(text, fitting)].rstrip() + ELLIPSIS


def _character_boundary(text: str, at: int) -> int:
    """Return the last index up to `at` between two characters as readers see them; `at` itself where none is near."""
    near = range(at, max(at - _LONGEST_CHARACTER, 0), -1)
    return next((index for index in near if not _splits_character(text, index)), 0 if at < _LONGEST_CHARACTER else at)


def _splits_character(text: str, at: int) -> bool:
    """Return whether a cut here would separate combining marks, a joined emoji, a skin tone or the halves of a flag."""
    here = text[at]
    if here.isascii():
        return False
    flag_halves_before = sum(1 for _ in takewhile(_is_flag_half, reversed(text[:at]))) if _is_flag_half(here) else 0
    return (
        unicodedata.category(here).startswith("M")
        or _JOINER in {here, text[at - 1]}
        or "\U0001f3fb" <= here <= "\U0001f3ff"
        or flag_halves_before % 2 == 1
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def format_utc(at: datetime) -> str:
    """Format an instant: `2026-03-01 09:30 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def humanize_duration(duration: timedelta) -> str:
    """Format a duration in its two largest units: `45 s`, `7 min`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86_400
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2])


def pluralize(count: int, singular: str, plural: str = "") -> str:
    """Count things: `1 number`, `40 numbers`."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def join_limited(names: Iterable[str], total: int, limit: int) -> str:
    """List at most `limit` names, and how many of `total` are left out: `A, B, C +37 more`."""
    shown = list(islice(names, limit))
    rest = max(0, total - len(shown))
    return " ".join([*([", ".join(shown)] if shown else []), *([f"+{rest} more"] if rest else [])])
