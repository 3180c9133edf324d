"""What goes to standard output: lines and tables for people, documents for machines.

Colours only on a terminal, and none at all with NO_COLOR; tables are cut to a terminal's width, and never elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
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


_GAP: Final = 2
_READABLE: Final = 24
"""What spare columns are left out for: so many characters of each text that can be cut."""
_LEAST: Final = 8
"""So many characters of a text are left where there is no spare column any more."""


class Column:
    """`~` before a heading: cut where room is short; `?`: left out before anything is cut to nothing."""

    def __init__(self, heading: str) -> None:
        self.heading = heading.lstrip("?~")
        self.is_elastic = "~" in heading
        self.is_spare = heading.startswith("?")
        self.cells: list[Text] = []

    @property
    def is_said(self) -> bool:
        return any(cell.plain for cell in self.cells)

    @property
    def natural(self) -> int:
        return max(cell.cell_len for cell in (Text(self.heading), *self.cells))

    def cut_to(self, most: int) -> int:
        return min(self.natural, most) if self.is_elastic else self.natural


class Listing:
    """Rows under headings, each a word in capitals, with its marks. A spare column without any text is left out."""

    def __init__(self, *headings: str) -> None:
        self._columns = [Column(one) for one in headings]

    def add_row(self, *cells: Text | str) -> None:
        for column, cell in zip(self._columns, cells, strict=True):
            column.cells.append(Text(cell) if isinstance(cell, str) else cell)

    def fitted(self, width: int | None) -> Table:
        """The table for a terminal of so many characters; None: everything, whole."""
        columns = _chosen([one for one in self._columns if one.is_said or not one.is_spare], width)
        widths = _widths(columns, width)
        made = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", show_edge=False)
        for column, room in zip(columns, widths, strict=True):
            made.add_column(column.heading, no_wrap=True, overflow="ellipsis", min_width=room, max_width=room)
        for row in zip(*(one.cells for one in columns), strict=True):
            made.add_row(*row)
        return made


def _chosen(columns: Sequence[Column], width: int | None) -> list[Column]:
    """All, or without as many spare columns, the last one first, as it takes."""
    chosen = list(columns)
    spare = [one for one in columns if one.is_spare]
    while width is not None and spare and _sum([one.cut_to(_READABLE) for one in chosen]) > width:
        chosen.remove(spare.pop())
    return chosen


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """What each column gets: the widest of those that can be cut is cut first, a character at a time."""
    widths = [one.natural for one in columns]
    least = [one.cut_to(_LEAST) for one in columns]
    excess = 0 if width is None else max(_sum(widths) - width, 0)
    for _ in range(excess):
        widest = max(range(len(columns)), key=lambda place: (widths[place] > least[place], widths[place]))
        widths[widest] = max(widths[widest] - 1, least[widest])
    return widths


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(len(widths) - 1, 0)
