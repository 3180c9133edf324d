"""Text as Slack reads it: what must be escaped, how lengths are counted, how times are written."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from wabawatch.messages.text import format_utc

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LOOKALIKES: Final = str.maketrans({"*": "\u2217", "`": "'", "~": "\u223c"})
_EDGE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore that begins or ends a word."""


def escape(text: str) -> str:
    """Escape exactly these three characters: without it, `<!channel>` in a description notifies everybody."""
    return text.translate(_ESCAPES)


def escape_formatting(text: str) -> str:
    """Escape, and replace characters that format by others of the same look: Slack has no escape for them, and text in
    bold could pass for our own advice. An underscore inside a word formats nothing and stays."""
    return escape(_EDGE.sub("\u02cd", text.translate(_LOOKALIKES)))


def count_units(text: str) -> int:
    """Return the length in UTF-16 units, in which a client written in JavaScript counts."""
    return len(text.encode("utf-16-le", "replace")) // 2


def count_json_units(text: str) -> int:
    """Return the length in UTF-16 units of the text inside a JSON string."""
    return count_units(msgspec.json.encode(text).decode()) - 2


def format_date(at: datetime) -> str:
    """Write an instant in the reader's own time, and in UTC for comparisons and where Slack does not render dates."""
    fallback = format_utc(at)
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}> ({at.astimezone(UTC):%H:%M} UTC)"
