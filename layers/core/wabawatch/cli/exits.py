"""How the program ends: every way out mapped to one exit code and at most one line on standard error.

0 to 3 are what commands return (for `probe` and `status` the monitoring plugins' convention); 64, 70 and 75 come from
sysexits.h; 130 and 141 are what a shell reports for a process that SIGINT or SIGPIPE ended.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Final

import click

from wabawatch.errors import SchemaError, StoreError, WabawatchError, describe_place

OK: Final = 0
FAULTS: Final = 1
"""`doctor` found something to do."""
USAGE: Final = 64
"""A usage or configuration error."""
BUG: Final = 70
LATER: Final = 75
"""State or network is not there for now."""
INTERRUPTED: Final = 130
PIPE: Final = 141
"""Whoever read our output is gone."""


class NotNowError(click.ClickException):
    """Something that may work later: the network, the state, AWS."""

    exit_code = LATER


def guarded(work: Callable[[], object]) -> int:
    """Do the work and return the exit code; what went wrong is said in one line."""
    try:
        done = work()
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last border: a bug ends the program with one line, not with pages
        text, code = _verdict(error)
        click.echo(text, err=True)
        return code
    return done if isinstance(done, int) else OK


def _verdict(error: Exception) -> tuple[str, int]:
    """What is said of it, and the exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return error.format_message(), USAGE
        case click.UsageError():
            return f"{_command(error)}: {error.format_message()}{_help_hint(error)}", USAGE
        case click.ClickException():
            return f"wabawatch: {error.format_message()}", USAGE if error.exit_code == 1 else error.exit_code
        case WabawatchError():
            is_passing = isinstance(error, StoreError) and not isinstance(error, SchemaError)
            return f"wabawatch: {error}", LATER if is_passing else USAGE
    return _bug(error), BUG


def _command(error: click.UsageError) -> str:
    return error.ctx.command_path if error.ctx else "wabawatch"


def _help_hint(error: click.UsageError) -> str:
    return f" (see {error.ctx.command_path} --help)" if error.ctx else ""


def _bug(error: Exception) -> str:
    """Where a bug is, without the exception's text, even with -vv: that may quote a secret."""
    if logging.getLogger("wabawatch").isEnabledFor(logging.DEBUG):
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback, without the error's text, which may quote a secret:\n{frames}{type(error).__name__}"
    return f"wabawatch: unexpected {describe_place(error)}, a bug; run it again with -vv for the traceback"


def discard_output() -> int:
    """Nobody reads any more: let the interpreter's own flush at exit go nowhere, in silence; the exit code for it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return PIPE
