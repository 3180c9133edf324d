"""Text as Slack reads it: what must be escaped, how long things may be, how times are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from wabawatch.domain.pen import Pen, Room
from wabawatch.domain.phrases import utc

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


def escape(text: str) -> str:
    """Exactly these three: without it, `<!channel>` in a description calls everybody."""
    return text.translate(_ESCAPES)


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
    return Pen(_ROOM if in_full else _DIGEST_ROOM, escape=escape, when=date, cost=weight)


def plain_pen() -> Pen:
    """For a message without any formatting."""
    return Pen(_ROOM, escape=escape, cost=weight)


def header_pen(room: int) -> Pen:
    """For a headline of at most `room` units."""
    return Pen(Room(long=room), escape=escape, cost=units)


def raw_headline_pen() -> Pen:
    """For a headline that will be cut and escaped as a whole."""
    return Pen(_ROOM)
