"""Standard output: lines and tables for people, JSON documents for programs.

Colours are used on a terminal only, and not with NO_COLOR. Tables are cut to a terminal's width; other outputs get them
whole.
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
from wabawatch.messages.text import sanitize

STYLES: Final = {BLOCKED: "bold red", LIMITED: "yellow", UNKNOWN: "magenta", AVAILABLE: "green"}
_UNLIMITED: Final = 100_000
"""The width without a terminal, in columns: wider than any line."""
_GAP: Final = 2
_READABLE_WIDTH: Final = 24
"""Optional columns are dropped until each elastic column has this width."""
_MIN_WIDTH: Final = 8
"""The least width of an elastic column, in characters."""


def console(file: TextIO | None = None) -> Console:
    """Return a console that interprets no markup."""
    stream = file or sys.stdout
    is_terminal = stream.isatty()
    is_plain = bool(os.environ.get("NO_COLOR")) or not is_terminal
    return Console(
        file=file,
        force_terminal=is_terminal,
        color_system=None if is_plain else "auto",
        width=None if is_terminal else _UNLIMITED,
        markup=False,
        highlight=False,
        emoji=False,
    )


def show(*parts: RenderableType | Listing) -> None:
    """Print for people."""
    out = console()
    width = out.width if out.is_terminal else None
    fitted = [part.fit(width) if isinstance(part, Listing) else part for part in parts]
    if out.is_terminal:
        for part in fitted:
            out.print(part)
        return
    with out.capture() as captured:
        for part in fitted:
            out.print(part)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def document(value: object) -> None:
    """Print a JSON document on one line."""
    click.echo(msgspec.json.encode(value).decode())


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(sanitize(status), STYLES.get(status, "bold yellow"))


def change_text(old: str | None, new: str) -> Text:
    """Describe a transition: `AVAILABLE → BLOCKED`, `first seen LIMITED`, or `BLOCKED, other reasons`."""
    if old is None:
        return Text("first seen ") + status_text(new)
    if old == new:
        return status_text(new) + Text(", other reasons")
    return status_text(old) + Text(" → ") + status_text(new)


def words(text: str, style: str | Style = "") -> Text:
    """Sanitize a text from outside to one line. Spaces at its ends are kept."""
    indent = len(text) - len(text.lstrip(" "))
    after = len(text) - len(text.rstrip(" ")) if text.strip(" ") else 0
    return Text(" " * indent + sanitize(text) + " " * after, style)


def joined(parts: Iterable[Text], between: str = " ") -> Text:
    """Join texts."""
    return Text(between).join(parts)


class Column:
    """A column. `~` before the heading: elastic, cut on a narrow terminal; `?`: optional, dropped there first."""

    def __init__(self, heading: str) -> None:
        self.heading = heading.lstrip("?~")
        self.is_elastic = "~" in heading
        self.is_optional = heading.startswith("?")
        self.cells: list[Text] = []

    @property
    def has_text(self) -> bool:
        return any(cell.plain for cell in self.cells)

    @property
    def natural_width(self) -> int:
        return max(cell.cell_len for cell in (Text(self.heading), *self.cells))

    def cut_to(self, limit: int) -> int:
        """Return the width of the column if elastic columns are cut to the limit."""
        return min(self.natural_width, limit) if self.is_elastic else self.natural_width


class Listing:
    """A table without lines. An optional column without any text is left out."""

    def __init__(self, *headings: str) -> None:
        self._columns = [Column(heading) for heading in headings]

    def add_row(self, *cells: Text | str) -> None:
        for column, cell in zip(self._columns, cells, strict=True):
            column.cells.append(Text(cell) if isinstance(cell, str) else cell)

    def fit(self, width: int | None) -> Table:
        """Return the table for a terminal of this width; None keeps everything."""
        columns = _choose([column for column in self._columns if column.has_text or not column.is_optional], width)
        table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", show_edge=False)
        for column, limit in zip(columns, _widths(columns, width), strict=True):
            table.add_column(column.heading, no_wrap=True, overflow="ellipsis", min_width=limit, max_width=limit)
        for row in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*row)
        return table


def _choose(columns: Sequence[Column], width: int | None) -> list[Column]:
    """Drop optional columns, the last first, until the others are readable."""
    chosen = list(columns)
    optional = [column for column in columns if column.is_optional]
    while width is not None and optional and _total([column.cut_to(_READABLE_WIDTH) for column in chosen]) > width:
        chosen.remove(optional.pop())
    return chosen


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """Return the width of each column; the widest elastic column is cut first, a character at a time."""
    widths = [column.natural_width for column in columns]
    minimums = [column.cut_to(_MIN_WIDTH) for column in columns]
    excess = 0 if width is None else max(_total(widths) - width, 0)
    for _ in range(excess):
        widest = max(range(len(columns)), key=lambda place: (widths[place] > minimums[place], widths[place]))
        widths[widest] = max(widths[widest] - 1, minimums[widest])
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(len(widths) - 1, 0)
