"""How a command ends: exit codes, errors as one line on standard error, and signals.

0 to 3 are returned by commands (`probe` and `status` follow the convention of monitoring plugins); 64, 70 and 75 are
from sysexits.h; 130 and 141 are what a shell reports for a process that SIGINT or SIGPIPE ended.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, Final, Self

import click

from wabawatch.errors import SchemaError, StoreError, UnavailableError, WabawatchError, describe_place

OK: Final = 0
FAULTS: Final = 1
"""`doctor` found problems."""
USAGE: Final = 64
"""A usage or configuration error."""
BUG: Final = 70
LATER: Final = 75
"""The state or the network is temporarily unavailable."""
INTERRUPTED: Final = 130
PIPE: Final = 141
"""The reader of standard output has closed it."""


class TemporaryError(click.ClickException):
    """A temporary failure, for example of the network, the state store or AWS."""

    exit_code = LATER


def run_and_exit_code(run: Callable[[], object]) -> int:
    """Run a command and return its exit code; print an error as one line."""
    try:
        result = run()
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost border: a bug ends the program with one line
        text, code = _describe(error)
        click.echo(text, err=True)
        return code
    return result if isinstance(result, int) else OK


def _describe(error: Exception) -> tuple[str, int]:
    """Return the text and the exit code of an error."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return error.format_message(), USAGE
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "wabawatch"
            hint = f" (see {command} --help)" if error.ctx else ""
            return f"{command}: {error.format_message()}{hint}", USAGE
        case click.ClickException():
            return f"wabawatch: {error.format_message()}", USAGE if error.exit_code == 1 else error.exit_code
        case WabawatchError():
            is_temporary = isinstance(error, StoreError | UnavailableError) and not isinstance(error, SchemaError)
            return f"wabawatch: {error}", LATER if is_temporary else USAGE
    return _describe_bug(error), BUG


def _describe_bug(error: Exception) -> str:
    """Return the place of a bug. The exception's text is left out, even with -vv: it may contain a secret."""
    if logging.getLogger("wabawatch").isEnabledFor(logging.DEBUG):
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (without the error's text, which may contain a secret):\n{frames}{type(error).__name__}"
    return f"wabawatch: unexpected {describe_place(error)}, a bug; for the traceback, run it again with -vv"


def discard_output() -> int:
    """Send standard output to /dev/null, so that the interpreter's flush at exit succeeds. Return the exit code."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return PIPE


class Stop:
    """A stop request, set by SIGINT and SIGTERM while the context is entered; a second signal raises KeyboardInterrupt.

    `after` sets it after that time."""

    def __init__(self, after: timedelta | None = None) -> None:
        self._requested = threading.Event()
        self._after = after
        self._timer: threading.Timer | None = None
        self._previous_handlers: dict[int, Any] = {}
        self.interrupted = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous_handlers[number] = signal.signal(number, self._on_signal)
        if self._after is not None:
            self._timer = threading.Timer(self._after.total_seconds(), self._requested.set)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self._requested.set()

    def __call__(self) -> bool:
        """Return whether a stop was requested."""
        return self._requested.is_set()

    def wait(self, seconds: float | None) -> bool:
        """Wait until a stop is requested, at most so many seconds. Return whether it was requested."""
        return self._requested.wait(seconds)
