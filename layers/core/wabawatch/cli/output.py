"""What goes to standard output: lines and tables for people, documents for machines.

Colours only on a terminal, and none at all with NO_COLOR; tables are cut to a terminal's width, and never elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

import click
import msgspec
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text

from wabawatch.cli.listing import Listing
from wabawatch.domain.health import AVAILABLE, BLOCKED, LIMITED, UNKNOWN
from wabawatch.messages.text import clean

STYLES: Final = {BLOCKED: "bold red", LIMITED: "yellow", UNKNOWN: "magenta", AVAILABLE: "green"}
_UNCUT: Final = 100_000
"""Columns where there is no terminal: wider than any line."""


def console(file: TextIO | None = None) -> Console:
    """A console that interprets nothing in what it prints."""
    stream = file or sys.stdout
    is_terminal = stream.isatty()
    plain = bool(os.environ.get("NO_COLOR")) or not is_terminal
    return Console(
        file=file,
        force_terminal=is_terminal,
        color_system=None if plain else "auto",
        width=None if is_terminal else _UNCUT,
        markup=False,
        highlight=False,
        emoji=False,
    )


def show(*parts: RenderableType | Listing) -> None:
    """Print for people."""
    out = console()
    width = out.width if out.is_terminal else None
    fitted = [part.fitted(width) if isinstance(part, Listing) else part for part in parts]
    if out.is_terminal:
        for part in fitted:
            out.print(part)
        return
    with out.capture() as captured:
        for part in fitted:
            out.print(part)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def document(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(msgspec.json.encode(value).decode())


def status_text(status: str) -> Text:
    return Text(clean(status), STYLES.get(status, "bold yellow"))


def words(text: str, style: str | Style = "") -> Text:
    """Text with outside words in it: harmless, on one line; the spaces at its ends stay."""
    indent = len(text) - len(text.lstrip(" "))
    after = len(text) - len(text.rstrip(" ")) if text.strip(" ") else 0
    return Text(" " * indent + clean(text) + " " * after, style)


def joined(parts: Iterable[Text], between: str = " ") -> Text:
    return Text(between).join(parts)
