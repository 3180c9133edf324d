"""Text as Slack reads it: what must be escaped, how long things may be, how times are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from wabawatch.domain.pen import Pen, Room
from wabawatch.messages.text import utc

BLOCKS: Final = 50
HEADER: Final = 150
FIELDS: Final = 10
TOTAL: Final = 9_500
"""Of all blocks together, as JSON. Slack refuses messages above some 13,000 (`msg_blocks_too_long`), and nowhere says
how it counts."""
FALLBACK: Final = 2_500

_ROOM: Final = Room(short=75, long=500, names=6, reasons=12, passages=20)
_DIGEST_ROOM: Final = Room(short=60, long=200, names=4, reasons=1, passages=20)
"""An incident of a digest is one section with everything in it."""
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LOOKALIKES: Final = str.maketrans({"*": "\u2217", "`": "'", "~": "\u223c"})
_EDGE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore that begins or ends a word."""


def escape(text: str) -> str:
    """Exactly these three: without it, `<!channel>` in a description calls everybody."""
    return text.translate(_ESCAPES)


def escape_formatting(text: str) -> str:
    """Escape, and put characters of the same look in the place of those that format: Slack has no escape for them, and
    text in bold could pass for our own advice. An underscore inside a word formats nothing and stays."""
    return escape(_EDGE.sub("\u02cd", text.translate(_LOOKALIKES)))


class FormattedPen(Pen):
    """Writes outside text that formats nothing, and web addresses as they are."""

    def __init__(self, room: Room, **ways: Any) -> None:  # noqa: ANN401 - as of every pen
        super().__init__(room, **{"escape": escape_formatting, **ways})

    def link(self, url: str) -> str:
        return Pen(self.room, escape=escape).link(url)


def units(text: str) -> int:
    """The length in UTF-16 units, in which a client written in JavaScript counts."""
    return len(text.encode("utf-16-le", "replace")) // 2


def weight(text: str) -> int:
    """The length inside a JSON string."""
    return units(msgspec.json.encode(text).decode()) - 2


def date(at: datetime) -> str:
    """The reader's own time, with UTC for those who compare, and where Slack does not render dates."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{utc(at)}> ({at.astimezone(UTC):%H:%M} UTC)"


def pen(*, in_full: bool) -> Pen:
    """For Slack's own formatting: of one incident in full, or of several."""
    return FormattedPen(_ROOM if in_full else _DIGEST_ROOM, when=date, cost=weight)


def plain_pen() -> Pen:
    """For a message without any formatting."""
    return Pen(_ROOM, escape=escape, cost=weight)


def header_pen(room: int) -> Pen:
    """For a headline of at most `room` units."""
    return Pen(Room(long=room), escape=escape, cost=units)


def raw_headline_pen() -> Pen:
    """For a headline that will be cut and escaped as a whole."""
    return Pen(_ROOM)
