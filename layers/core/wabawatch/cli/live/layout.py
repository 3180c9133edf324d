"""The live view's state, and its layout: a pure function of the state, the terminal's size and the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wabawatch.cli.output import STYLES, moment, status_text, why, words
from wabawatch.cli.target_view import TargetView, count_statuses, mark_all_stale
from wabawatch.messages.text import humanize_duration, pluralize, sanitize

_MIN_ALERTS: Final = 3
_MAX_FIRST_INCIDENTS: Final = 5
_MIN_TARGETS: Final = 3
MIN_MESSAGE_LINES: Final = 8
"""A message is hidden where there are fewer lines."""


class OpenIncident(msgspec.Struct, frozen=True):
    """A line of the incident list. `action` says who can fix it, and how; `entity` is set for several numbers."""

    id: str
    status: str
    severity: str
    opened_at: datetime
    title: str
    destinations: tuple[str, ...]
    action: str
    entity: str = ""


class Alert(msgspec.Struct, frozen=True):
    """A line of the list of deliveries. `failed` is the error of a failed delivery."""

    at: datetime
    destination: str
    badge: str
    notification_title: str
    failed: str


class LiveState(msgspec.Struct):
    """Everything that the view shows. One thread changes it field by field; another draws it.

    `error` is the latest error that will be retried; `warning` says that results are late or that most targets cannot
    be read; `config_error` says why the last good configuration stays in use; `log_line` is the latest log line."""

    interval: timedelta
    alerts: deque[Alert]
    deployment: str = "wabawatch"
    base_url: str = ""
    targets: tuple[TargetView, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    message: str = ""
    expected: int = 0
    read: int = 0
    passes: int = 0
    took: timedelta | None = None
    unread: str = ""
    pass_started_at: datetime | None = None
    next_at: datetime | None = None
    error: str = ""
    warning: str = ""
    config_error: str = ""
    log_line: str = ""
    ended: bool = False


class LineCounts(msgspec.Struct, frozen=True):
    """The number of lines of each part."""

    targets: int
    incidents: int
    alerts: int
    message: int


def share_lines(lines: int, targets: int, incidents: int, alerts: int, message: int) -> LineCounts:
    """Give each part its minimum, then distribute the rest: targets, incidents, the latest message, alerts."""
    few_alerts = min(alerts, _MIN_ALERTS)
    few_incidents = min(incidents, _MAX_FIRST_INCIDENTS)
    shown = max(min(targets, lines - few_alerts - few_incidents), min(targets, _MIN_TARGETS))
    rest = max(lines - shown - few_alerts - few_incidents, 0)
    more = min(rest, max(incidents - few_incidents, 0))
    rest -= more
    text = message + 2 if message and rest >= MIN_MESSAGE_LINES else 0
    text = min(text, rest)
    return LineCounts(shown, few_incidents + more, few_alerts + min(rest - text, max(alerts - few_alerts, 0)), text)


_MARKS: Final = {
    "CRITICAL": "bold red", "ERROR": "bold dark_orange", "WARNING": "yellow", "INFO": "blue", "RESOLVED": "green",
    "FLAPPING": "magenta", "TEST": "cyan",
}  # fmt: skip
_BAR_AFTER: Final = timedelta(milliseconds=700)
"""A shorter pass gets no progress bar, so that the view does not flicker."""
_FIXED_LINES: Final = 10
"""Lines that are always shown: two of the header, two rules, three headings, two blanks, the footer."""
_MAX_WARNINGS: Final = 3
"""The most severe first; more would leave too little room for the targets."""
_NARROW: Final = 60
"""Narrower terminals show only what is wrong."""
_WIDE: Final = 100
"""From this width on, incidents show what to do."""
_VERY_WIDE: Final = 140
"""From this width on, IDs are shown whole."""


def draw(state: LiveState, size: tuple[int, int], now: datetime) -> RenderableType:
    """Return the view; it has at most as many lines as the terminal."""
    width, height = size
    targets = mark_all_stale(state.targets, now)
    warnings = list(_warnings(state))
    message = state.message.splitlines()
    alerts = list(state.alerts)
    fixed = _FIXED_LINES + len(warnings)
    lines = share_lines(height - fixed, len(targets), len(state.incidents), len(alerts), len(message))
    return Group(
        _header(state, targets, now, is_narrow=width < _NARROW),
        *warnings,
        Rule(style="dim"),
        _targets(targets, lines.targets, now, is_very_wide=width >= _VERY_WIDE),
        Text(""),
        *_incidents(state.incidents, lines.incidents, now, width),
        Text(""),
        *_alerts(alerts, lines.alerts, now, is_narrow=width < _NARROW),
        *_message(message, lines.message),
        Rule(style="dim"),
        _footer(state, now),
    )


def _line(*cells: Text) -> Table:
    """Return one line as wide as the terminal; the first cell gets the room that the others leave."""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in cells[1:]:
        grid.add_column(no_wrap=True, justify="right")
    grid.add_row(*cells)
    return grid


def _header(state: LiveState, targets: Sequence[TargetView], now: datetime, *, is_narrow: bool) -> RenderableType:
    tally = count_statuses(targets)
    health = Text("  ").join(
        Text("● ", STYLES.get(status, "bold yellow")) + Text(f"{count} {sanitize(status)}")
        for status, count in tally.items()
    )
    name = words("wabawatch", "bold")
    if state.deployment != "wabawatch":
        name = name + words(f" {state.deployment}")
    about = (
        f"{pluralize(len(state.targets) or state.expected, 'target')}, read every {humanize_duration(state.interval)}"
    )
    at = f" at {state.base_url.partition('://')[2]}" if state.base_url else ""
    first = _line(health) if is_narrow else _line(name, health)
    return Group(first, _line(words(about + at, "dim"), Text(f"{now:%H:%M:%S} UTC", "dim")))


def _warnings(state: LiveState) -> Iterator[Text]:
    red = "bold red"
    texts = ((state.error, red), (state.warning, red), (state.config_error, red), (state.log_line, "yellow"))
    for text, style in [(text, style) for text, style in texts if text][:_MAX_WARNINGS]:
        line = words(text, style)
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line


def _targets(targets: Sequence[TargetView], max_lines: int, now: datetime, *, is_very_wide: bool) -> RenderableType:
    """Yield the targets, the worst first; the last line counts those that do not fit."""
    hidden = len(targets) - max_lines + 1 if len(targets) > max_lines else 0
    shown = targets[: len(targets) - hidden]
    listing = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    listing.add_column("STATUS", width=9, no_wrap=True)
    listing.add_column("TARGET", width=_name_width(targets), no_wrap=True, overflow="ellipsis")
    listing.add_column("DURATION", width=9, no_wrap=True)
    listing.add_column("WHY", ratio=1, no_wrap=True, overflow="ellipsis")
    for view in shown:
        age = humanize_duration(now - view.since) if view.since else ""
        listing.add_row(
            status_text(view.status), words(view.target.name), Text(age, "dim"), why(view, is_short=not is_very_wide)
        )
    if not hidden:
        return listing
    rest = ", ".join(f"{count} {sanitize(word)}" for word, count in count_statuses(targets[len(shown) :]).items())
    return Group(listing, Text(f"… and {hidden} more: {rest}", "dim", no_wrap=True, overflow="ellipsis"))


def _name_width(targets: Sequence[TargetView]) -> int:
    """Return the width for the names of the whole fleet, so that it does not change with the targets shown."""
    return max(6, min(max((len(view.target.name) for view in targets), default=0), 24))


def _section(title: str, text: str) -> Text:
    heading = Text(no_wrap=True, overflow="ellipsis")
    return heading.append(title, "bold").append(f"  {text}", "dim")


def _incidents(
    incidents: Sequence[OpenIncident], max_lines: int, now: datetime, width: int
) -> Iterator[RenderableType]:
    if not incidents:
        yield _section("Incidents", "none open")
        return
    yield _section("Incidents", f"{len(incidents)} open")
    listing = Table.grid(expand=True, padding=(0, 1, 0, 0))
    listing.add_column(width=9, no_wrap=True)
    listing.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    listing.add_column(no_wrap=True, justify="right")
    for incident in incidents[:max_lines]:
        sent = words(
            f"notified {', '.join(incident.destinations)}  " if incident.destinations else "not notified yet  ", "dim"
        )
        about = (incident.entity, incident.action if width >= _WIDE else "")
        title = words(incident.title) + words("".join(f"  {part}" for part in about if part), "dim")
        age = Text(humanize_duration(now - incident.opened_at), "dim")
        listing.add_row(status_text(incident.status), title, age if width < _NARROW else sent + age)
    yield listing


def _alerts(alerts: Sequence[Alert], max_lines: int, now: datetime, *, is_narrow: bool) -> Iterator[RenderableType]:
    if not alerts:
        yield _section("Alerts", "none so far")
        return
    yield _section("Alerts", "latest first")
    listing = Table.grid(expand=True, padding=(0, 1, 0, 0))
    listing.add_column(no_wrap=True)
    listing.add_column(width=9, no_wrap=True)
    listing.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    listing.add_column(no_wrap=True, justify="right")
    for alert in alerts[:max_lines]:
        text = (
            words(f"NOT delivered: {alert.failed}; ", "red") + words(alert.notification_title)
            if alert.failed
            else words(alert.notification_title)
        )
        listing.add_row(
            Text(moment(alert.at, now), "dim"),
            Text(alert.badge, _MARKS.get(alert.badge, "")),
            text,
            Text("") if is_narrow else words(alert.destination, "dim"),
        )
    yield listing


def _message(lines: Sequence[str], max_lines: int) -> Iterator[RenderableType]:
    if max_lines < MIN_MESSAGE_LINES:
        return
    yield Text("")
    yield _section("Latest message", "as the console shows it")
    for line in lines[: max_lines - 2]:
        text = words(f"  {line}")
        text.no_wrap, text.overflow = True, "ellipsis"
        yield text


def _footer(state: LiveState, now: datetime) -> RenderableType:
    if state.ended:
        return Text(f"stopped at {now:%H:%M:%S} UTC; all results are recorded", "dim")
    if state.pass_started_at is not None and now - state.pass_started_at > _BAR_AFTER:
        return _bar(state, now - state.pass_started_at)
    took = (
        f"the last took {state.took.total_seconds():.1f} s" if state.took is not None else "the first pass is running"
    )
    wait = (
        "reading"
        if state.next_at is None or state.pass_started_at
        else f"next pass in {humanize_duration(state.next_at - now)}"
    )
    text = Text(wait) + Text(f"  {took}", "dim") + Text(state.unread, "yellow")
    return _line(text, Text("Ctrl-C to stop", "dim"))


def _bar(state: LiveState, took: timedelta) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    bar = ProgressBar(total=max(state.expected, 1), completed=state.read)
    grid.add_row(Text("reading"), bar, Text(f"{state.read} of {state.expected}, {humanize_duration(took)}", "dim"))
    return grid
