"""Turn a response without a report into a Failure. The HTTP status decides; the text is a hint, and is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final

from wabawatch.adapters.dialog360.redact import Redactor
from wabawatch.adapters.dialog360.request import Response
from wabawatch.adapters.http_rules import parse_retry_after
from wabawatch.domain.health import Failure

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
