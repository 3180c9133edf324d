"""Makes the API's texts fit to be kept and shown: without the key, without control characters, not too long."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from wabawatch.application.credentials import SHORTEST_KEY

HIDDEN: Final = "[key]"
_JOINERS: Final = "\u200c\u200d"
"""Zero-width (non-)joiners count as unprintable, and yet make emoji and Persian words."""
_MARKUP_READ: Final = 4096
_WORD: Final = 32
_INVISIBLE: Final = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_JSON_ESCAPE: Final = re.compile(r"\\u00([2-7][0-9a-fA-F])|\\(/)")


class Wording:
    """Cleans texts of one answer. A server may echo the key that it was asked with; no text keeps it.

    `raw` is the whole answer: where the key is nowhere in it, there is no need to look for it in each of its texts."""

    def __init__(self, key: str, raw: str = "\\") -> None:
        spellings = {key} if key.isalnum() else {key, quote(key, safe=""), html.escape(key)}
        spellings = {spelling.lower() for spelling in spellings if len(key) >= SHORTEST_KEY}
        lower = raw.lower()
        hidden = "\\" in raw or "&" in raw or any(spelling in lower for spelling in spellings)
        self._spellings = sorted(spellings, key=len, reverse=True) if hidden else []

    def clean(self, text: str, most: int) -> str:
        """The text on one line, at most `most` characters long; what no terminal or store should meet is escaped."""
        if self._spellings:
            text = self.without_key(" ".join(text.split()))
        return _tidy_word(text, most) if len(text) <= _WORD else _tidy(text, most)

    def without_key(self, text: str) -> str:
        lower = text.lower()
        for spelling in self._spellings:
            if spelling in lower:
                text = re.sub(re.escape(spelling), HIDDEN, text, flags=re.IGNORECASE)
        return text

    def plain(self, text: str) -> str:
        """The text of an error page or of JSON nobody knows: no markup, no escapes that could hide the key."""
        text = self.without_key(_JSON_ESCAPE.sub(_unescaped, text))
        if not text.lstrip().startswith("<"):
            return text
        return html.unescape(_TAG.sub(" ", _INVISIBLE.sub(" ", text[:_MARKUP_READ])))


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _tidy(text: str, most: int) -> str:
    return cut(_escaped(" ".join(text.split())[: most + 1]), most)


_tidy_word = lru_cache(maxsize=4096)(_tidy)
"""Four texts in five are the same names and words in every answer."""


def _escaped(text: str) -> str:
    """Control characters, lone surrogates and direction marks as Python writes them."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _unescaped(found: re.Match[str]) -> str:
    return found[2] or chr(int(found[1], 16))
