"""From an HTTP answer to what it says: a Report, or a Failure with its cause. Pure, and tolerant to the last byte."""

from __future__ import annotations

import json
from datetime import datetime
from http import HTTPStatus
from typing import Final

from wabawatch.adapters.dialog360.answers import Answer
from wabawatch.adapters.dialog360.failures import read_failure
from wabawatch.adapters.dialog360.report import read_report
from wabawatch.adapters.dialog360.wording import Wording
from wabawatch.domain.health import Failure, Report

_MOST_DIGITS: Final = 300


def read_answer(answer: Answer, target: str, key: str, now: datetime) -> Report | Failure:
    """Read an answer to a probe of `target` (its id). `key` is what the API was asked with: no text keeps it.

    Any 2xx may carry a report, though only 200 is documented; every other answer is a Failure by its status.
    """
    text = answer.body.decode(json.detect_encoding(answer.body), "replace")
    document = _document(text)
    if not answer.broken and HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        report = read_report(document, target, Wording(key, text))
        if report is not None:
            return report
    return read_failure(answer, document, Wording(key), now)


def _document(text: str) -> object:
    """The JSON in the text; None where there is none that can be read."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _number(digits: str) -> int | None:
    """Python refuses to read integers of thousands of digits, and one such must not hide the rest of the answer."""
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object; of a key that stands in it more than once, all values in a tuple."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, list[object]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: given[0] if len(given) == 1 else tuple(given) for name, given in values.items()}


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_number, parse_constant=lambda _: None)
