"""Sanitise the API's texts: redact the key, escape control characters, truncate."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from wabawatch.application.credentials import MIN_KEY_LENGTH

REDACTED: Final = "[key]"
_JOINERS: Final = "\u200c\u200d"
"""Zero-width (non-)joiners count as unprintable, but emoji and Persian words need them."""
_MAX_MARKUP: Final = 4096
_WORD: Final = 32
_INVISIBLE: Final = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_JSON_ESCAPE: Final = re.compile(r"\\u00([2-7][0-9a-fA-F])|\\(/)")


class Redactor:
    """Sanitises the texts of one response. A server may echo the key of the request; it is replaced by `[key]`.

    `raw` is the whole response: where the key is not in it, its texts need no search."""

    def __init__(self, key: str, raw: str = "\\") -> None:
        spellings = {key} if key.isalnum() else {key, quote(key, safe=""), html.escape(key)}
        spellings = {spelling.lower() for spelling in spellings if len(key) >= MIN_KEY_LENGTH}
        lower = raw.lower()
        may_hold_key = "\\" in raw or "&" in raw or any(spelling in lower for spelling in spellings)
        self._spellings = sorted(spellings, key=len, reverse=True) if may_hold_key else []

    def sanitize(self, text: str, limit: int) -> str:
        """Return the text on one line of at most `limit` characters, with unprintable characters escaped."""
        if self._spellings:
            text = self.redact(" ".join(text.split()))
        return _normalize_word(text, limit) if len(text) <= _WORD else _normalize(text, limit)

    def redact(self, text: str) -> str:
        lower = text.lower()
        for spelling in self._spellings:
            if spelling in lower:
                text = re.sub(re.escape(spelling), REDACTED, text, flags=re.IGNORECASE)
        return text

    def strip_markup(self, text: str) -> str:
        """Return the text of an error page or of unknown JSON: no markup, and no escapes that could hide the key."""
        text = self.redact(_JSON_ESCAPE.sub(_unescape, text))
        if not text.lstrip().startswith("<"):
            return text
        return html.unescape(_TAG.sub(" ", _INVISIBLE.sub(" ", text[:_MAX_MARKUP])))


def truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _normalize(text: str, limit: int) -> str:
    return truncate(_escape(" ".join(text.split())[: limit + 1]), limit)


_normalize_word = lru_cache(maxsize=4096)(_normalize)
"""Four texts in five are the same names and words in every response."""


def _escape(text: str) -> str:
    """Escape control characters, lone surrogates and direction marks as Python writes them."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _unescape(found: re.Match[str]) -> str:
    return found[2] or chr(int(found[1], 16))
