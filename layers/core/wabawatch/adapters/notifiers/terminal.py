"""A telling on a terminal, with rich: what broke first, facts in a column, the rest quieter."""

from __future__ import annotations

from typing import Final, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wabawatch.domain.telling import Explanation, Passage, Telling
from wabawatch.messages.titles import Mark

_STYLES: Final = {
    "CRITICAL": "bold white on red",
    "ERROR": "bold white on dark_orange3",
    "WARNING": "bold black on yellow",
    "INFO": "bold white on blue",
    "RESOLVED": "bold black on green",
    "FLAPPING": "bold white on magenta",
    "TEST": "bold black on cyan",
}


def show(telling: Telling, stream: TextIO) -> None:
    """Print one message, wrapped to the terminal's width."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False, legacy_windows=False)
    single = len(telling.passages) == 1 and not telling.more
    console.print(_headed(telling.mark, telling.headline))
    if telling.note:
        console.print(Padding(Text(telling.note, "bold cyan"), (0, 0, 0, 2)))
    for passage in telling.passages:
        if not single:
            console.print(Padding(_headed(passage.mark, passage.title), (1, 0, 0, 2)))
        console.print(Padding(_table(passage), (0, 0, 0, 2 if single else 4)))
    for line in (" · ".join(telling.footer), telling.cut_note):
        if line:
            console.print(Padding(Text(line, "dim"), (0, 0, 0, 2)))
    console.print()


def _headed(mark: Mark, title: str) -> Text:
    return Text.build(
        (f" {mark.word} ", _STYLES[mark.word]), " ", (title.removeprefix(f"{mark.word}: "), "bold"), overflow="fold"
    )


def _table(passage: Passage) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for fact in passage.facts:
        table.add_row(fact.label, Text(fact.text))
    for reason in passage.reasons:
        _explain(table, reason)
    return table


def _explain(table: Table, reason: Explanation) -> None:
    code = f"{reason.code}  " if reason.code else ""
    table.add_row("It was" if reason.label != "Reason" else "Reason", Text.build((code, "bold"), reason.text))
    advised = (
        ("Suggested", reason.solution, ""),
        ("Who", reason.who, ""),
        ("To do", reason.action, "bold"),
        ("Read on", reason.link, "underline"),
    )
    for label, text, style in advised:
        if text:
            table.add_row(label, Text(text, style))
