"""Standard output: lines and tables for people, with their words for targets and decisions; JSON for programs.

Colours are used on a terminal only, and not with NO_COLOR. Tables are cut to a terminal's width; other outputs get them
whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TextIO

import click
import msgspec
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from wabawatch.cli.target_view import TargetView
from wabawatch.domain.health import AVAILABLE, BLOCKED, LIMITED, NOT_ASKED, UNKNOWN, Failure, Reason
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Matcher
from wabawatch.messages.runbook import cause_of, meaning
from wabawatch.messages.text import humanize_duration, sanitize

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


_TODAY: Final = timedelta(hours=20)
_ID_LONG: Final = 8
_ID_END: Final = 4
_WHYS: Final[Mapping[str, str]] = {
    "up_to_date": "up to date",
    "not_routed": "no route matches",
    "about_itself": "the incident is about this destination",
    "group_wait": "waiting to group related changes (group_wait)",
    "group_interval": "waiting to send the new number of targets (group_interval)",
    "extent_quiet": "small or repeated changes of the number of targets are sent with the next reminder",
    "reasons_interval": "waiting to send the new reasons (group_interval)",
    "reasons_quiet": "new reasons are sent only while the status is BLOCKED",
    "muted_throughout": "muted from start to end",
    "joined_later": "resolved before this destination was configured",
    "working_hours": "waiting for working hours",
    "flapping": "flapping; no updates until it is stable",
    "mass_failure": "most numbers cannot be checked, which is sent instead",
    "acknowledged": "acknowledged: no reminders",
    "retry_wait": "a delivery failed and will be retried",
    "no_more_reminders": "up to date; no reminders for this status",
}
"""Texts for the planner's reasons not to send."""


def decided(why: str) -> str:
    """Return the text of a planner's reason; that of a mute contains its name already."""
    return _WHYS.get(why, why)


def moment(at: datetime, now: datetime) -> str:
    """Format a time in UTC: `09:30:05` if it is within a day, otherwise with the date."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}" if abs(now - at) < _TODAY else f"{at:%Y-%m-%d %H:%M}"


def since_text(since: datetime | None, now: datetime) -> str:
    return "" if since is None else humanize_duration(now - since)


def causes_text(run: Run) -> str:
    """List the causes of failed readings, the most frequent first."""
    return _ranked({cause: count for cause, count in run.causes.items() if cause not in NOT_ASKED})


def skipped_text(run: Run) -> str:
    """Format as `, 40 skipped (key_not_fetched)`, "" if none was; without a cause if the time was over."""
    if not run.skipped:
        return ""
    causes = _ranked({cause: count for cause, count in run.causes.items() if cause in NOT_ASKED})
    return f", {run.skipped} skipped{f' ({causes})' if causes else ''}"


def _ranked(causes: Mapping[str, int]) -> str:
    return ", ".join(sorted(causes, key=lambda cause: (-causes[cause], cause)))


def unread(run: Run) -> str:
    """Format as `, 2 of 12 not read (timeout, unreachable)`, "" if all were read."""
    failed = f", {run.unknown} of {run.expected} not read ({causes_text(run)})" if run.unknown else ""
    return failed + (f", {run.refused} could not be stored" if run.refused else "")


def reason_text(reason: Reason) -> Text:
    """Format a code or cause with its text; without a text use the runbook's."""
    known = cause_of(reason)
    label = known or ("" if reason.code is None else str(reason.code))
    said = meaning(reason) if known else reason.description or meaning(reason)
    return words(f"{label}{': ' if known and said else ' '}{said}".strip())


def why(view: TargetView, *, is_short: bool = False) -> Text:
    """Format the root cause entity and its first reason, or why the target cannot be read; "" for a healthy target.

    `is_short` keeps only the end of long IDs, in which the IDs of a company's entities differ."""
    if view.is_stale:
        return _unread(view)
    if view.unconfirmed is not None and view.entity is None:
        return _missed(view.unconfirmed)
    if view.cause is not None or view.detail:
        return _unread(view)
    if view.entity is not None:
        return _fault(view.entity, view.reasons, is_short=is_short)
    if view.other_problems:
        state = view.other_problems[0]
        entity = named(state.entity_type, state.entity_id, is_short=is_short)
        label = words(f"{entity} {state.capability} ", "dim")
        said = Text("; ") + reason_text(state.reasons[0]) if state.reasons else Text("")
        return label + status_text(state.status or AVAILABLE) + said
    return Text("")


def _missed(failure: Failure) -> Text:
    return words(f"{failure.cause}: {failure.detail or meaning(Reason(description=failure.cause))}") + words(
        "; not confirmed yet", "dim"
    )


def _unread(view: TargetView) -> Text:
    cause = view.unconfirmed.cause if view.unconfirmed else view.cause
    text = words(": ".join(part for part in (cause, view.detail) if part))
    return text + words(f"; was {view.last_known}", "dim") if view.last_known else text


def named(kind: str, name: str, *, is_short: bool = True) -> str:
    """Format an entity as `WABA …3072`, or with its whole ID."""
    return f"{kind} …{name[-_ID_END:]}" if is_short and len(name) > _ID_LONG else f"{kind} {name}"


def _fault(entity: tuple[str, str], reasons: tuple[Reason, ...], *, is_short: bool) -> Text:
    said = words(named(*entity, is_short=is_short), "dim")
    if reasons:
        said = said + Text("  ") + reason_text(reasons[0])
    return said + Text(f" +{len(reasons) - 1} more", "dim") if len(reasons) > 1 else said


def matcher_text(match: Matcher) -> str:
    """Format as `target support-de, status BLOCKED or LIMITED`; `everything` for a matcher without conditions."""
    lists = {
        "target": match.target,
        "entity": match.entity,
        "type": match.entity_type,
        "status": match.status,
        "severity": match.severity,
        "capability": match.capability,
        "reason": tuple(str(code) for code in match.reason_code),
        "label": tuple(f"{key}={value}" for key, value in match.labels.items()),
    }
    parts = [f"{name} {(' and ' if name == 'label' else ' or ').join(said)}" for name, said in lists.items() if said]
    if match.affected_at_least:
        parts.append(f"at least {match.affected_at_least} affected")
    return ", ".join(parts) or "everything"


def codes_text(code: int | None, description: str) -> str:
    """Format as `141006 the text`, from fields of a JSON document."""
    return reason_text(Reason(code, description)).plain
