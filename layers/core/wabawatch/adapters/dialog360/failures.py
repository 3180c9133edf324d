"""From an answer that is not health to a Failure: the HTTP status decides, the text is a hint and is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final

from wabawatch.adapters.dialog360.answers import Answer
from wabawatch.adapters.dialog360.wording import Wording
from wabawatch.adapters.retry_after import parse_retry_after
from wabawatch.domain.health import Failure

MOST_DETAIL: Final = 300
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
"""What a 400 can mean. A channel disabled for an unpaid invoice is a matter of payment: that is who must act."""


def read_failure(answer: Answer, document: object, wording: Wording, now: datetime) -> Failure:
    """Why an answer says nothing about health. `document` is its JSON, or None; `now` is for a Retry-After date."""
    if answer.broken and (answer.status // 100 not in _BY_CLASS or answer.broken.cause == "timeout"):
        return Failure(answer.broken.cause, wording.clean(answer.broken.detail, MOST_DETAIL))
    text = _said(answer, document, wording)
    detail = wording.clean(f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}", MOST_DETAIL)
    return Failure(_cause(answer.status, text), detail, parse_retry_after(answer.headers.get("retry-after", ""), now))


def _cause(status: int, text: str) -> str:
    if status == HTTPStatus.BAD_REQUEST:
        return next((cause for cause, hint in _HINTS if hint.search(text)), "rejected")
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "unreadable")


def _said(answer: Answer, document: object, wording: Wording) -> str:
    if _BY_CLASS.get(answer.status // 100) == "redirected":
        location = answer.headers.get("location", "")
        return f"not followed to {location}" if location else "leads elsewhere"
    notified = next(_texts(document), None)
    body = notified if notified is not None else answer.body.decode("utf-8", "replace")
    return " ".join(wording.plain(body).split()) or ("an empty answer" if answer.status // 100 == _SUCCESS else "")


def _texts(document: object) -> Iterator[str]:
    """The text of the envelopes that are known: 360dialog's two, Graph's, and the plain ones."""
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
