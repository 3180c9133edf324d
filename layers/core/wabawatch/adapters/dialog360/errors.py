"""Turn a response without a report into a Failure, and sanitise the API's texts.

The HTTP status decides on the cause; the text is a hint, and is shown. Sanitising redacts the key, escapes control
characters, and truncates."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from wabawatch.adapters.dialog360.request import Response
from wabawatch.adapters.http_rules import parse_retry_after
from wabawatch.application.credentials import MIN_KEY_LENGTH
from wabawatch.domain.health import Failure

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


MAX_DETAIL: Final = 300
_BY_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.PAYMENT_REQUIRED: "payment_required",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
}
_SUCCESS: Final = 2
_BY_CLASS: Final[Mapping[int, str]] = {3: "redirected", 4: "rejected", 5: "provider_error"}
_HINTS: Final = (
    ("throttled", re.compile(r"rate[\s_-]*limit|request limit|too many|throttl", re.IGNORECASE)),
    ("payment_required", re.compile(r"payment|overdue|invoice|unpaid", re.IGNORECASE)),
    ("disabled", re.compile(r"\bdisabled\b", re.IGNORECASE)),
)
"""Causes of a 400 by its text. A channel disabled for an unpaid invoice counts as payment: that decides who acts."""


def read_failure(response: Response, document: object, redactor: Redactor, now: datetime) -> Failure:
    """Return why a response holds no report. `document` is its JSON, or None; `now` is for a Retry-After date."""
    if response.error and (response.status // 100 not in _BY_CLASS or response.error.cause == "timeout"):
        return Failure(response.error.cause, redactor.sanitize(response.error.detail, MAX_DETAIL))
    text = _find_text(response, document, redactor)
    detail = redactor.sanitize(f"HTTP {response.status}: {text}" if text else f"HTTP {response.status}", MAX_DETAIL)
    return Failure(
        _classify(response.status, text), detail, parse_retry_after(response.headers.get("retry-after", ""), now)
    )


def _classify(status: int, text: str) -> str:
    if status == HTTPStatus.BAD_REQUEST:
        return next((cause for cause, hint in _HINTS if hint.search(text)), "rejected")
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "unreadable")


def _find_text(response: Response, document: object, redactor: Redactor) -> str:
    if _BY_CLASS.get(response.status // 100) == "redirected":
        location = response.headers.get("location", "")
        return f"not followed to {location}" if location else "leads elsewhere"
    message = next(_known_texts(document), None)
    body = message if message is not None else response.body.decode("utf-8", "replace")
    return " ".join(redactor.strip_markup(body).split()) or (
        "an empty answer" if response.status // 100 == _SUCCESS else ""
    )


def _known_texts(document: object) -> Iterator[str]:
    """Yield the messages of known error formats: 360dialog's two, Graph's, and the plain ones."""
    if not isinstance(document, dict):
        return
    for holder, name in (
        (document.get("meta"), "developer_message"),
        (document.get("meta"), "developerMessage"),
        (document.get("error"), "message"),
        (document, "error"),
        (document, "message"),
        (document, "detail"),
    ):
        value = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(value, str) and value.strip():
            yield value
