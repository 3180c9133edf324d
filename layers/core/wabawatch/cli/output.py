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
from rich.table import Table
from rich.text import Text

from wabawatch.domain.health import AVAILABLE, BLOCKED, LIMITED, UNKNOWN
from wabawatch.domain.phrases import clean

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


def show(*parts: RenderableType) -> None:
    """Print for people."""
    out = console()
    if out.is_terminal:
        for part in parts:
            out.print(part)
        return
    with out.capture() as captured:
        for part in parts:
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


def table(*headings: str) -> Table:
    """A table without lines; a heading with `~` before it marks a column that is cut where room is short."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for heading in headings:
        elastic = heading.startswith("~")
        made.add_column(
            heading.lstrip("~"), no_wrap=True, overflow="ellipsis", ratio=None, min_width=8 if elastic else None
        )
    return made


def joined(parts: Iterable[Text], between: str = " ") -> Text:
    return Text(between).join(parts)
