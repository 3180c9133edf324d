"""console: a person reads it in a terminal, or a pipe takes it as plain lines.

Colours and layout only where the stream is a terminal; NO_COLOR is obeyed by rich itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from wabawatch.adapters.notifiers import plain
from wabawatch.adapters.notifiers.context import NotifyContext
from wabawatch.application.ports import Receipt
from wabawatch.domain.notification import Notification
from wabawatch.domain.pen import Pen, Room
from wabawatch.domain.telling import tell
from wabawatch.errors import DeliveryError, DeliveryErrorKind
from wabawatch.messages.text import utc

_ROOM = Room(short=80, long=600, names=8, reasons=20, passages=40)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


class Console:
    """Writes to one stream. A stream that is gone is a failed delivery, not a crash."""

    kind = "console"

    def __init__(self, world: NotifyContext) -> None:
        self._world = world

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        stream = self._world.console or sys.stdout
        try:
            self._write(notification, stream)
        except (OSError, ValueError) as error:
            said = f"the console cannot be written: {type(error).__name__}"
            raise DeliveryError(said, DeliveryErrorKind.DESTINATION) from error
        return Receipt(thread)

    def _write(self, notification: Notification, stream: TextIO) -> None:
        telling = tell(notification, Pen(_ROOM, escape=_writable(stream), when=_both_times))
        if stream.isatty():
            from wabawatch.adapters.notifiers.terminal import show  # noqa: PLC0415 - rich is loaded for terminals only

            show(telling, stream)
        else:
            stream.write(_encodable("\n".join(plain.lines(telling)) + "\n\n", stream))
        stream.flush()


def _writable(stream: TextIO) -> Callable[[str], str]:
    return lambda text: _encodable(text, stream)


def _encodable(text: str, stream: TextIO) -> str:
    """The text as far as the stream's encoding goes: an arrow must not stop an alert."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _both_times(at: datetime) -> str:
    """`2026-03-01 09:30 UTC`, and the machine's time beside it where that is another."""
    local = at.astimezone()
    same = local.utcoffset() == at.astimezone(UTC).utcoffset()
    return utc(at) if same else f"{utc(at)} ({local:%H:%M} here)"


def build(name: str, options: Options, world: NotifyContext) -> Console:  # noqa: ARG001 - the signature of every notifier
    return Console(world)
