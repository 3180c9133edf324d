"""Small pieces of text: made safe, cut on whole characters, counted, dated. Nothing here knows what a message is."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Final

Cost = Callable[[str], int]
"""What a text costs in a destination's own measure: characters, UTF-16 units, bytes."""

ELLIPSIS: Final = "…"

_TERMINAL = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b.?", re.DOTALL
)
_BLANK = re.compile("[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_HIDDEN = re.compile(
    "[\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_BROKEN = re.compile("[\ud800-\udfff\ufffe\uffff]")
_JOINER: Final = "\u200d"
_LONGEST_CHARACTER: Final = 32
"""Code points. A family emoji takes eleven; what is longer is somebody's joke."""


def clean(text: str) -> str:
    """Outside text as one harmless line: without terminal sequences, line breaks, and characters that are invisible or
    turn the direction of what follows. Half a surrogate pair becomes U+FFFD."""
    visible = _HIDDEN.sub("", _TERMINAL.sub("", text))
    return whole(_BLANK.sub(" ", visible)).strip()


def whole(text: str) -> str:
    """The text with everything replaced that has no UTF-8 form."""
    return _BROKEN.sub("\ufffd", text)


def cut(text: str, most: int, cost: Cost = len) -> str:
    """The text, or as many of its first whole characters as fit with an ellipsis into `most` of the measure."""
    if cost(text) <= most:
        return text
    room = most - cost(ELLIPSIS)
    fitting = bisect_right(range(1, len(text) + 1), room, key=lambda length: cost(text[:length]))
    return text[: _boundary(text, fitting)].rstrip() + ELLIPSIS


def _boundary(text: str, at: int) -> int:
    """The last place up to `at` between two characters as a reader sees them; `at` itself where there is none near."""
    near = range(at, max(at - _LONGEST_CHARACTER, 0), -1)
    return next((place for place in near if not _inside(text, place)), 0 if at < _LONGEST_CHARACTER else at)


def _inside(text: str, at: int) -> bool:
    """Whether marks, a joined emoji or a flag would be torn apart here."""
    here = text[at]
    if here.isascii():
        return False
    return (
        unicodedata.category(here).startswith("M")
        or _JOINER in {here, text[at - 1]}
        or "\U0001f3fb" <= here <= "\U0001f3ff"
        or (_is_flag_half(here) and _flag_halves_before(text, at) % 2 == 1)
    )


def _flag_halves_before(text: str, at: int) -> int:
    return sum(1 for _ in takewhile(_is_flag_half, (text[place] for place in range(at - 1, -1, -1))))


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def utc(at: datetime) -> str:
    """`2026-03-01 09:30 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def humanize_duration(duration: timedelta) -> str:
    """A duration in the two largest units that matter: `45 s`, `7 min`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86_400
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2])


def pluralize(count: int, one: str, many: str = "") -> str:
    """`1 number`, `40 numbers`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Iterator[str], total: int, most: int) -> str:
    """`A, B, C +37 more`: at most `most` names, and how many of `total` are left."""
    shown = list(islice(names, most))
    rest = max(0, total - len(shown))
    return " ".join([*([", ".join(shown)] if shown else []), *([f"+{rest} more"] if rest else [])])
