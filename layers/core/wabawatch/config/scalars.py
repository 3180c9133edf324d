"""Readers for single values: each returns the value its field needs or raises FieldError with what to write instead.

Durations are written as people do: `250ms`, `10s`, `5m`, `1h30m`, `7d`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from wabawatch.application.credentials import FORMS, SCHEMES, explain_bad_reference, explain_bad_url
from wabawatch.config.walker import FieldError, closest, kind_of, nearest, shown
from wabawatch.domain.policy import WEEKDAYS

MAX_DURATION: Final = timedelta(days=3650)

DURATION: Final = r"^(?=[0-9])(?:[0-9]{1,9}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m)?(?:[0-9]{1,9}s)?(?:[0-9]{1,9}ms)?$"
"""The form, for editors."""
_FORM: Final = re.compile(
    r"(?=\d)" + "".join(rf"(?:(\d{{1,9}}(?:\.\d{{1,9}})?){unit})?" for unit in ("d", "h", "m", "s", "ms")), re.ASCII
)
_UNITS: Final = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)


def parse_duration(text: str, *, fractions: bool = False) -> timedelta:
    """Parse a duration; the longest unit comes first, and `1.5s` needs `fractions`. Raises ValueError for any other
    form, and for more than ten years."""
    found = _FORM.fullmatch(text)
    if found is None or ("." in text and not fractions):
        raise ValueError("not a duration")
    parts = [
        (float(amount) if "." in amount else int(amount)) * unit
        for amount, (_, unit) in zip(found.groups("0"), _UNITS, strict=True)
    ]
    if max(parts) > MAX_DURATION or (total := sum(parts, timedelta())) > MAX_DURATION:
        raise ValueError("longer than ten years")
    return total


def render_duration(duration: timedelta) -> str:
    """The shortest text that parses back, to the millisecond; `0s` for none."""
    parts: list[str] = []
    rest = duration
    for letter, unit in _UNITS:
        amount, rest = divmod(rest, unit)
        if amount:
            parts.append(f"{amount}{letter}")
    return "".join(parts) or "0s"


ID: Final = r"^[A-Za-z0-9._-]{1,64}$(?!\n)"
LINE: Final = r"^(?! *$)[^\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]{1,200}$(?!\n)"
CAPABILITY: Final = r"^can_[a-z0-9_]{1,60}$(?!\n)"
CLOCK: Final = r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)$(?!\n)"
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_WORD: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_LONG_DURATION: Final = 10**6
_MOST_REQUESTS: Final = 1_000_000


def read_any_text(value: object) -> str:
    """Read a text with any characters."""
    if not isinstance(value, str):
        quoted = f'; put it in quotes: "{shown(value)}"' if isinstance(value, bool | int | float) else ""
        raise FieldError(f"expected a text, but {_became(value)}{quoted or '; write one text'}")
    if not value.strip():
        raise FieldError("empty; write a text, or leave the field out")
    return value


def read_text(value: object) -> str:
    """Read a text without control characters."""
    text = read_any_text(value)
    if _UNREADABLE.search(text):
        raise FieldError("the text holds a control character, or half of one; remove it")
    return text


def _became(value: object) -> str:
    is_short = isinstance(value, bool | int | float)
    return f"{shown(value)} is {kind_of(value)}" if is_short else f"this is {kind_of(value)}"


def read_line(value: object) -> str:
    """Read a text of one line, at most 200 characters long."""
    line = read_text(value)
    if not re.search(LINE, line):
        raise FieldError("expected one line of at most 200 characters; shorten it")
    return line


def read_label_name(value: object) -> str:
    try:
        return read_line(value)
    except FieldError as error:
        raise FieldError(f"the name of this label: {error}") from None


def read_identifier(value: object) -> str:
    text = read_text(value)
    if not re.search(ID, text):
        raise FieldError(
            f"{shown(value)} is not an id; write letters, digits, dots, underscores and dashes only, at most 64"
        )
    return text


def read_capability(value: object) -> str:
    text = read_text(value)
    if not re.search(CAPABILITY, text):
        raise FieldError(
            f"{shown(value)} is not a capability; write can_send_message, or another name that begins with can_"
        )
    return text


def read_share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FieldError(f"{shown(value)} is not a share; write a number from 0 to 1, such as 0.5 for one half")
    return float(value)


def read_positive_share(value: object) -> float:
    share = read_share(value)
    if not share:
        raise FieldError("0 would stop the monitor at every failed reading; write a number above 0, such as 0.5")
    return share


def read_rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST_REQUESTS:
        raise FieldError(f"{shown(value)} is not a rate; write a number above 0, such as 20 or 0.5, or null for none")
    return float(value)


def read_duration(value: object) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        example = value if abs(value) < _LONG_DURATION else 10
        raise FieldError(f"{shown(value)} has no unit; write it with one, such as {example}s or {example}m")
    if not isinstance(value, str):
        raise FieldError(f"expected a duration, but {_became(value)}; write 10s, 5m, 1h30m or 7d")
    try:
        return parse_duration(value)
    except ValueError:
        text = f"{shown(value)} is not a duration; write 10s, 5m, 1h30m or 7d, of ten years at most"
        raise FieldError(text) from None


def read_positive_duration(value: object) -> timedelta:
    duration = read_duration(value)
    if not duration:
        raise FieldError("must be at least 1s")
    return duration


def read_clock(value: object) -> time:
    """Read a local time of day; `24:00` is midnight."""
    if not isinstance(value, str) or not re.search(CLOCK, value):
        raise FieldError(f'{shown(value)} is not a time of day; write hours and minutes, such as "09:00" or "17:30"')
    return time(int(value[:2]) % 24, int(value[3:]))


def read_zone(value: object) -> str:
    name = read_text(value)
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as "Europe"
        advice = closest(name, available_timezones()) or "an IANA name, such as Europe/Berlin"
        raise FieldError(f"{shown(value)} is not a time zone; write {advice}") from None


def read_days(value: object) -> tuple[str, ...]:
    """Read a day of the week, or a range such as `mon-fri`."""
    word = read_text(value)
    first, dash, last = word.casefold().partition("-")
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise FieldError(f"{shown(word)} is not a day; write {', '.join(WEEKDAYS)}, or a range such as mon-fri")
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return WEEKDAYS[start : end + 1] if start <= end else WEEKDAYS[start:] + WEEKDAYS[: end + 1]


def read_one_of(known: Collection[str]) -> Callable[[object], str]:
    """Make a reader of one of the known words."""

    def read(value: object) -> str:
        word = read_text(value)
        if word not in known:
            raise FieldError(f"{shown(value)} is not known here{nearest(word, known)}")
        return word

    return read


def read_word_like(known: Collection[str]) -> Callable[[object], str]:
    """Make a reader of words in capitals, from a set that the vendor may extend; a misspelt known word is refused."""

    def read(value: object) -> str:
        word = read_text(value)
        if word not in known and (closest(word.upper(), known) or not _WORD.fullmatch(word)):
            raise FieldError(f"{shown(value)} is not known here{nearest(word.upper(), known)}")
        return word

    return read


def read_url(value: object) -> str:
    """Read an https URL without credentials, query and fragment; http on loopback only. It is never shown: it may hold
    a secret."""
    url = read_text(value)
    if why := explain_bad_url(url):
        raise FieldError(why)
    if "?" in url or "#" in url:
        raise FieldError("the URL has a query or a fragment; write only https://host/path")
    return url


def read_link(value: object) -> str:
    """Read a URL for people to follow: with a query and a fragment where needed."""
    link = read_line(value)
    if why := explain_bad_url(link):
        raise FieldError(why)
    return link


def read_reference(value: object) -> str:
    """Read a reference to a secret. The message never holds any of the value, which may be the secret itself."""
    if not isinstance(value, str):
        raise FieldError(f"expected a secret reference, but this is {kind_of(value)}; write {FORMS}")
    if why := explain_bad_reference(value):
        raise FieldError(why)
    return value


def read_reference_or_url(value: object) -> str:
    """Read a reference, or an https URL that is not a secret in itself."""
    if isinstance(value, str) and value.partition(":")[0] in SCHEMES:
        return read_reference(value)
    try:
        return read_url(value)
    except FieldError as error:
        raise FieldError(f"{error}; store a URL that holds a secret, and write {FORMS}") from None
