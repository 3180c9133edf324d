"""console: colours and layout in a terminal, plain lines in a pipe. rich itself obeys NO_COLOR."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

import msgspec

from wabawatch.adapters.notifiers.registry import NotifyContext
from wabawatch.application.ports import Receipt
from wabawatch.domain.notification import Notification
from wabawatch.errors import DeliveryError, DeliveryErrorKind
from wabawatch.messages.message import format_lines, map_texts, render_message
from wabawatch.messages.notification import TextLimits
from wabawatch.messages.text import format_utc

_LIMITS: Final = TextLimits(short=80, long=600, names=8, reasons=20, sections=40)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


class Console:
    """Writes to one stream. A stream that is gone is a failed delivery, not a crash."""

    kind = "console"

    def __init__(self, context: NotifyContext) -> None:
        self._context = context

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        stream = self._context.console or sys.stdout
        try:
            _write(notification, stream)
        except (OSError, ValueError) as error:
            trouble = f"the console cannot be written: {type(error).__name__}"
            raise DeliveryError(trouble, DeliveryErrorKind.DESTINATION) from error
        return Receipt(thread)


def _write(notification: Notification, stream: TextIO) -> None:
    message = render_message(notification, _LIMITS)
    if stream.isatty():
        from wabawatch.adapters.notifiers.terminal import print_message  # noqa: PLC0415 - rich is loaded for terminals only

        print_message(map_texts(message, lambda text: _encodable(text, stream)), _format_both_times, stream)
    else:
        stream.write(_encodable("\n".join(format_lines(message, _format_both_times)) + "\n\n", stream))
    stream.flush()


def _encodable(text: str, stream: TextIO) -> str:
    """Replace what the stream's encoding does not know: an arrow must not stop an alert."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _format_both_times(at: datetime) -> str:
    """Write `2026-03-01 09:30 UTC`, and the machine's time beside it where that is another."""
    local = at.astimezone()
    is_same = local.utcoffset() == at.astimezone(UTC).utcoffset()
    return format_utc(at) if is_same else f"{format_utc(at)} ({local:%H:%M} here)"


def build(name: str, options: Options, context: NotifyContext) -> Console:  # noqa: ARG001 - the signature of every notifier
    return Console(context)
