"""The picture that the live view shows: pure, from a scene, a size and an instant to lines that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wabawatch.cli.output import STYLES, status_text, words
from wabawatch.cli.picture import Picture, aged_all, counts
from wabawatch.cli.scene import MESSAGE_NEEDS, Alert, OpenIncident, Scene, share_out
from wabawatch.cli.wording import moment, why
from wabawatch.messages.text import clean, humanize_duration, pluralize

_MARKS: Final = {
    "CRITICAL": "bold red", "ERROR": "bold dark_orange", "WARNING": "yellow", "INFO": "blue", "RESOLVED": "green",
    "FLAPPING": "magenta", "TEST": "cyan",
}  # fmt: skip
_BAR_AFTER: Final = timedelta(milliseconds=700)
"""A pass that is over sooner gets no bar: a calm picture does not flicker."""
_FRAME: Final = 10
"""Lines that are always there: two of the header, two rules, three headings, two blanks, the footer."""
_MOST_WARNINGS: Final = 3
"""The worst first; more of them would push out what they are about."""
_NARROW: Final = 60
"""Below, there is room for what is wrong, and for little else."""
_WIDE: Final = 100
"""From here on there is room for what to do."""
_ROOMY: Final = 140
"""From here on there is room for whole ids."""


def draw(scene: Scene, size: tuple[int, int], now: datetime) -> RenderableType:
    """At most as many lines as the terminal has."""
    width, height = size
    pictures = aged_all(scene.pictures, now)
    warnings = list(_warnings(scene))
    message = scene.message.splitlines()
    alerts = list(scene.alerts)
    fixed = _FRAME + len(warnings)
    rooms = share_out(height - fixed, len(pictures), len(scene.incidents), len(alerts), len(message))
    return Group(
        _header(scene, pictures, now, is_narrow=width < _NARROW),
        *warnings,
        Rule(style="dim"),
        _targets(pictures, rooms.targets, now, is_roomy=width >= _ROOMY),
        Text(""),
        *_incidents(scene.incidents, rooms.incidents, now, width),
        Text(""),
        *_alerts(alerts, rooms.alerts, now, is_narrow=width < _NARROW),
        *_message(message, rooms.message),
        Rule(style="dim"),
        _footer(scene, now),
    )


def _line(*cells: Text) -> Table:
    """One line over the whole width: the first cell takes what the others leave."""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in cells[1:]:
        grid.add_column(no_wrap=True, justify="right")
    grid.add_row(*cells)
    return grid


def _header(scene: Scene, pictures: Sequence[Picture], now: datetime, *, is_narrow: bool) -> RenderableType:
    tally = counts(pictures)
    health = Text("  ").join(
        Text("● ", STYLES.get(status, "bold yellow")) + Text(f"{count} {clean(status)}")
        for status, count in tally.items()
    )
    name = words("wabawatch", "bold")
    if scene.deployment != "wabawatch":
        name = name + words(f" {scene.deployment}")
    about = (
        f"{pluralize(len(scene.pictures) or scene.expected, 'target')}, read every {humanize_duration(scene.interval)}"
    )
    at = f" at {scene.base_url.partition('://')[2]}" if scene.base_url else ""
    first = _line(health) if is_narrow else _line(name, health)
    return Group(first, _line(words(about + at, "dim"), Text(f"{now:%H:%M:%S} UTC", "dim")))


def _warnings(scene: Scene) -> Iterator[Text]:
    red = "bold red"
    said = ((scene.trouble, red), (scene.warning, red), (scene.stale, red), (scene.note, "yellow"))
    for text, style in [(text, style) for text, style in said if text][:_MOST_WARNINGS]:
        line = words(text, style)
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line


def _targets(pictures: Sequence[Picture], room: int, now: datetime, *, is_roomy: bool) -> RenderableType:
    """The worst first; the last line counts those that found no room."""
    hidden = len(pictures) - room + 1 if len(pictures) > room else 0
    shown = pictures[: len(pictures) - hidden]
    listing = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    listing.add_column("STATUS", width=9, no_wrap=True)
    listing.add_column("TARGET", width=_name_width(pictures), no_wrap=True, overflow="ellipsis")
    listing.add_column("FOR", width=9, no_wrap=True)
    listing.add_column("WHY", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in shown:
        age = humanize_duration(now - one.since) if one.since else ""
        listing.add_row(
            status_text(one.status), words(one.target.name), Text(age, "dim"), why(one, is_short=not is_roomy)
        )
    if not hidden:
        return listing
    rest = ", ".join(f"{count} {clean(word)}" for word, count in counts(pictures[len(shown) :]).items())
    return Group(listing, Text(f"… and {hidden} more: {rest}", "dim", no_wrap=True, overflow="ellipsis"))


def _name_width(pictures: Sequence[Picture]) -> int:
    """Of the whole fleet, so that the columns stand still while targets come and go."""
    return max(6, min(max((len(one.target.name) for one in pictures), default=0), 24))


def _section(title: str, said: str) -> Text:
    heading = Text(no_wrap=True, overflow="ellipsis")
    return heading.append(title, "bold").append(f"  {said}", "dim")


def _incidents(incidents: Sequence[OpenIncident], room: int, now: datetime, width: int) -> Iterator[RenderableType]:
    if not incidents:
        yield _section("Incidents", "none is open")
        return
    yield _section("Incidents", f"{len(incidents)} open")
    listing = Table.grid(expand=True, padding=(0, 1, 0, 0))
    listing.add_column(width=9, no_wrap=True)
    listing.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    listing.add_column(no_wrap=True, justify="right")
    for one in incidents[:room]:
        notified = words(f"told {', '.join(one.notified)}  " if one.notified else "nobody told yet  ", "dim")
        about = (one.entity, one.todo if width >= _WIDE else "")
        title = words(one.title) + words("".join(f"  {part}" for part in about if part), "dim")
        age = Text(humanize_duration(now - one.opened_at), "dim")
        listing.add_row(status_text(one.status), title, age if width < _NARROW else notified + age)
    yield listing


def _alerts(alerts: Sequence[Alert], room: int, now: datetime, *, is_narrow: bool) -> Iterator[RenderableType]:
    if not alerts:
        yield _section("Alerts", "none so far")
        return
    yield _section("Alerts", "the latest first")
    listing = Table.grid(expand=True, padding=(0, 1, 0, 0))
    listing.add_column(no_wrap=True)
    listing.add_column(width=9, no_wrap=True)
    listing.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    listing.add_column(no_wrap=True, justify="right")
    for one in alerts[:room]:
        said = (
            words(f"NOT delivered: {one.failed}; ", "red") + words(one.headline) if one.failed else words(one.headline)
        )
        listing.add_row(
            Text(moment(one.at, now), "dim"),
            Text(one.mark, _MARKS.get(one.mark, "")),
            said,
            Text("") if is_narrow else words(one.destination, "dim"),
        )
    yield listing


def _message(lines: Sequence[str], room: int) -> Iterator[RenderableType]:
    if room < MESSAGE_NEEDS:
        return
    yield Text("")
    yield _section("The latest message", "as the console gets it")
    for line in lines[: room - 2]:
        text = words(f"  {line}")
        text.no_wrap, text.overflow = True, "ellipsis"
        yield text


def _footer(scene: Scene, now: datetime) -> RenderableType:
    if scene.ended:
        return Text(f"ended at {now:%H:%M:%S} UTC; everything that was read is recorded", "dim")
    if scene.passing_since is not None and now - scene.passing_since > _BAR_AFTER:
        return _bar(scene, now - scene.passing_since)
    took = (
        f"the last took {scene.took.total_seconds():.1f} s" if scene.took is not None else "the first one is under way"
    )
    wait = (
        "reading"
        if scene.next_at is None or scene.passing_since
        else f"next pass in {humanize_duration(scene.next_at - now)}"
    )
    said = Text(wait) + Text(f"  {took}", "dim") + Text(scene.unread, "yellow")
    return _line(said, Text("Ctrl-C ends it", "dim"))


def _bar(scene: Scene, took: timedelta) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    bar = ProgressBar(total=max(scene.expected, 1), completed=scene.read)
    grid.add_row(Text("reading"), bar, Text(f"{scene.read} of {scene.expected}, {humanize_duration(took)}", "dim"))
    return grid
