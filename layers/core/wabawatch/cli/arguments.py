"""The types of arguments: durations, instants, labels."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Line breaks too, and bytes that were no UTF-8, which Python hands over as halves of surrogate pairs."""


class Duration(click.ParamType[timedelta]):
    """`90s`, `5m`, `1h30m`, `2d`; longer than nothing."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401
        if isinstance(value, timedelta):
            return value
        span = read_duration(value)
        if span is None or not span:
            self.fail(f"{value!r} is not a duration; write 30s, 5m, 1h30m or 2d", param, ctx)
        return span


class Instant(click.ParamType[datetime]):
    """An ISO 8601 date or time (UTC where no zone is given), or how long ago: `2h`. `ahead`: how far ahead."""

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._sign = 1 if ahead else -1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401
        if isinstance(value, datetime):
            return value
        span = read_duration(value)
        if span is not None:
            return datetime.now(UTC) + self._sign * span
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-03-01T09:30Z, 2026-03-01 or 2h", param, ctx)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def read_duration(text: str) -> timedelta | None:
    """`1h30m` as a duration; None for what is none."""
    from wabawatch.config.durations import parse  # noqa: PLC0415 - help needs no configuration

    try:
        return parse(text)
    except ValueError:
        return None


class Line(click.ParamType[str]):
    """One line of text for colleagues, without control characters: it is stored, and shown in many places."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        if _CONTROL.search(value):
            self.fail("holds a control character or a line break; write one line of plain text", param, ctx)
        return str(value)


class Pair(click.ParamType[tuple[str, str]]):
    """As in `KEY=VALUE`."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:  # noqa: ANN401
        if isinstance(value, tuple):
            return value
        key, equals, word = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is no label; write team=support", param, ctx)
        Line().convert(value, param, ctx)
        return key, word
