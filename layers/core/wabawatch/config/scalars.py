"""Readers for single values: each returns the value its field needs or raises WrongError with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import time, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from wabawatch.application.credentials import explain_bad_url
from wabawatch.config import durations
from wabawatch.config.section import Section, WrongError, closest, kind_of, nearest, shown
from wabawatch.domain.schedule import WEEKDAYS

T = TypeVar("T")

ID: Final = r"\A[A-Za-z0-9._-]{1,64}\Z"
NAME: Final = r"\A(?! *\Z)[^\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]{1,200}\Z"
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_CAPABILITY: Final = re.compile(r"can_[a-z0-9_]{1,60}")
_WORD: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_LONG_DURATION: Final = 10**6
_CLOCK: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")
_BOOLEANS: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def text(value: object) -> str:
    if not isinstance(value, str):
        quoted = f'; put it in quotes: "{shown(value)}"' if isinstance(value, bool | int | float) else ""
        raise WrongError(f"expected a text, but {_became(value)}{quoted or '; write one text'}")
    if not value.strip():
        raise WrongError("empty; write a text, or leave the field out")
    if _UNREADABLE.search(value):
        raise WrongError("the text holds a control character, or half of one; remove it")
    return value


def _became(value: object) -> str:
    return (
        f"{shown(value)} is {kind_of(value)}" if isinstance(value, bool | int | float) else f"this is {kind_of(value)}"
    )


def line(value: object) -> str:
    """A text of one line, at most 200 characters long."""
    if not re.search(NAME, text(value)):
        raise WrongError("expected one line of at most 200 characters; shorten it")
    return str(value)


def identifier(value: object) -> str:
    if not re.search(ID, text(value)):
        raise WrongError(
            f"{shown(value)} is no id; write letters, digits, dots, underscores and dashes only, at most 64"
        )
    return str(value)


def capability(value: object) -> str:
    if not _CAPABILITY.fullmatch(text(value)):
        raise WrongError(
            f"{shown(value)} is no capability; write can_send_message, or another name that begins with can_"
        )
    return str(value)


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    meant = _BOOLEANS.get(value.casefold()) if isinstance(value, str) else None
    raise WrongError(f"{shown(value)} is {kind_of(value)}, not a boolean; write {meant or 'true or false'}")


def whole(least: int, most: int) -> Callable[[object], int]:
    """A reader of whole numbers within limits."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongError(
                f"expected a number, but {shown(value)} is {kind_of(value)}; "
                f"write a whole number from {least} to {most}, without quotes"
            )
        if not least <= value <= most:
            raise WrongError(f"{shown(value)} is out of range; write a whole number from {least} to {most}")
        return value

    return read


def share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise WrongError(f"{shown(value)} is no share; write a number from 0 to 1, such as 0.5 for one half")
    return float(value)


def rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1_000_000:  # noqa: PLR2004 - finite
        raise WrongError(f"{shown(value)} is no rate; write a number above 0, such as 20 or 0.5, or null for no limit")
    return float(value)


def duration(value: object) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        example = value if abs(value) < _LONG_DURATION else 10
        raise WrongError(f"{shown(value)} has no unit; write it with one, such as {example}s or {example}m")
    try:
        return durations.parse(text(value))
    except WrongError:
        raise WrongError(f"expected a duration, but {_became(value)}; write 10s, 5m, 1h30m or 7d") from None
    except ValueError:
        raise WrongError(f"{shown(value)} is no duration; write 10s, 5m, 1h30m or 7d, of ten years at most") from None


def positive(value: object) -> timedelta:
    if not (found := duration(value)):
        raise WrongError("no time at all; write at least 1s")
    return found


def clock(value: object) -> time:
    """A local time of day; `24:00` is midnight."""
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found[1] == "24" and found[2] != "00"):
        raise WrongError(f'{shown(value)} is no time of day; write hours and minutes, such as "09:00" or "17:30"')
    return time(int(found[1]) % 24, int(found[2]))


def zone(value: object) -> str:
    try:
        return ZoneInfo(text(value)).key
    except WrongError:
        raise
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as "Europe"
        advice = closest(str(value), available_timezones()) or "an IANA name, such as Europe/Berlin"
        raise WrongError(f"{shown(value)} is no time zone; write {advice}") from None


def days(value: object) -> tuple[str, ...]:
    """Days of the week, in the order of the week: single ones, ranges such as `mon-fri`, or a list of both."""
    chosen = {day for word in words(text)(value) for day in _span(word)}
    return tuple(day for day in WEEKDAYS if day in chosen)


def _span(word: str) -> tuple[str, ...]:
    first, dash, last = word.casefold().partition("-")
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise WrongError(f"{shown(word)} is no day; write {', '.join(WEEKDAYS)}, or a range such as mon-fri")
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return WEEKDAYS[start : end + 1] if start <= end else WEEKDAYS[start:] + WEEKDAYS[: end + 1]


def one_of(known: Collection[str]) -> Callable[[object], str]:
    """A reader of one of the known words."""

    def read(value: object) -> str:
        if text(value) not in known:
            raise WrongError(f"{shown(value)} is not known here{nearest(str(value), known)}")
        return str(value)

    return read


def word_like(known: Collection[str]) -> Callable[[object], str]:
    """A reader of words in capitals, from a set that the vendor may extend; one that looks like a known word
    mistyped is refused."""

    def read(value: object) -> str:
        word = text(value)
        if word not in known and (closest(word.upper(), known) or not _WORD.fullmatch(word)):
            raise WrongError(f"{shown(value)} is not known here{nearest(word.upper(), known)}")
        return word

    return read


def words(reader: Callable[[Any], T]) -> Callable[[object], tuple[T, ...]]:
    """A reader of one value, or of a list of them that is not empty."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            return (reader(value),)
        if not value:
            raise WrongError("an empty list; write at least one, or leave the field out")
        return tuple(_item(reader, index, item) for index, item in enumerate(value))

    return read


def _item(reader: Callable[[Any], T], index: int, item: object) -> T:
    try:
        return reader(item)
    except WrongError as wrong:
        raise WrongError(str(wrong), index) from None


def labels(section: Section) -> dict[str, str]:
    """Lines of text by name, whatever the names."""
    found = {name: section.take(name, line, "") for name in section.fields}
    for name in found:
        try:
            line(name)
        except WrongError as wrong:
            section.wrong(f"the name of this label: {wrong}", name)
    return found


def url(value: object) -> str:
    """An https URL without credentials, query and fragment; http on loopback only. It is never shown: it may hold what
    nobody should read."""
    parts = _split(text(value))
    if parts.query or parts.fragment or str(value).endswith(("?", "#")):
        raise WrongError("the URL has a query or a fragment; write only https://host/path")
    return str(value)


def link(value: object) -> str:
    """A URL for people to follow: with a query and a fragment where needed."""
    _split(line(value))
    return str(value)


def _split(value: str) -> SplitResult:
    if why := explain_bad_url(value):
        raise WrongError(why)
    return urlsplit(value)
