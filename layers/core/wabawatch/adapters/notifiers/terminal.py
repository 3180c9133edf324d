"""A message on a terminal, with rich: what broke first, fields in a column, the rest quieter."""

from __future__ import annotations

from typing import Final, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wabawatch.messages.message import FormatTime, Message, ReasonText, Section
from wabawatch.messages.titles import Badge

_STYLES: Final = {
    "CRITICAL": "bold white on red",
    "ERROR": "bold white on dark_orange3",
    "WARNING": "bold black on yellow",
    "INFO": "bold white on blue",
    "RESOLVED": "bold black on green",
    "FLAPPING": "bold white on magenta",
    "TEST": "bold black on cyan",
}


def print_message(message: Message, format_time: FormatTime, stream: TextIO) -> None:
    """Print one message, wrapped to the terminal's width."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False, legacy_windows=False)
    single = len(message.sections) == 1 and not message.hidden_incidents
    console.print(_build_heading(message.badge, message.title))
    if message.note:
        console.print(Padding(Text(message.note, "bold cyan"), (0, 0, 0, 2)))
    for section in message.sections:
        if not single:
            console.print(Padding(_build_heading(section.badge, section.title), (1, 0, 0, 2)))
        console.print(Padding(_build_table(section, format_time), (0, 0, 0, 2 if single else 4)))
    for line in (message.format_footer(format_time), message.truncation_note):
        if line:
            console.print(Padding(Text(line, "dim"), (0, 0, 0, 2)))
    console.print()


def _build_heading(badge: Badge, title: str) -> Text:
    badge_text = (f" {badge.word} ", _STYLES[badge.word])
    return Text.assemble(badge_text, " ", (title.removeprefix(f"{badge.word}: "), "bold"), overflow="fold")


def _build_table(section: Section, format_time: FormatTime) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for field in section.fields:
        table.add_row(field.label, Text(field.format(format_time)))
    for reason in section.reasons:
        _add_reason(table, reason)
    return table


def _add_reason(table: Table, reason: ReasonText) -> None:
    code = f"{reason.code}  " if reason.code else ""
    table.add_row("It was" if reason.label != "Reason" else "Reason", Text.assemble((code, "bold"), reason.text))
    advice = (
        ("Suggested", reason.solution, ""),
        ("Who", reason.who, ""),
        ("To do", reason.action, "bold"),
        ("Guide", reason.link, "underline"),
    )
    for label, text, style in advice:
        if text:
            table.add_row(label, Text(text, style))
