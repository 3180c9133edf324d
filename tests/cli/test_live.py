"""The live view: what it draws for which terminal, and how it leaves one."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from collections import deque
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from rich.console import Console

from wabawatch.application.ports import Target
from wabawatch.cli.live.layout import Alert, LiveState, OpenIncident, draw
from wabawatch.cli.target_view import TargetView
from wabawatch.domain.health import Reason

NOW = datetime(2026, 3, 1, 3, 5, tzinfo=UTC)
PAYMENT = Reason(141006, "A payment for this WhatsApp Business account failed.")


def blocked(name):
    return TargetView(
        Target(name, name, "env:K"), "BLOCKED", NOW - timedelta(minutes=7), ("WABA", "165428023919564"), (PAYMENT,)
    )


def healthy(name):
    return TargetView(Target(name, name, "env:K"), "AVAILABLE", NOW - timedelta(days=3, hours=4))


def live_state(count=12, bad=2, **changes):
    views = [blocked(f"Bad {n:04}") for n in range(bad)] + [healthy(f"Good {n:04}") for n in range(count - bad)]
    incidents = [
        OpenIncident(f"{n:012}", "BLOCKED", "critical", NOW - timedelta(minutes=7), f"Bad {n:04} cannot send messages",
                     ("ops",), "the account's owner, billing: Add a valid payment method")
        for n in range(bad)
    ]  # fmt: skip
    alerts = [Alert(NOW, "ops", "CRITICAL", f"Bad {n:04} cannot send messages", "") for n in range(bad)]
    found = LiveState(
        timedelta(minutes=5),
        alerts=deque(alerts),
        base_url="https://waba-v2.360dialog.io",
        targets=tuple(views),
        incidents=tuple(incidents),
        message="[CRITICAL] Bad 0000 cannot send messages\n  Status: AVAILABLE → BLOCKED\n" + "  more\n" * 10,
        expected=count,
        next_at=NOW + timedelta(minutes=4),
        took=timedelta(seconds=1.2),
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def lines(state, width, height):
    out = Console(file=io.StringIO(), width=width, height=height, color_system=None, markup=False, highlight=False)
    out.print(draw(state, (width, height), NOW))
    return out.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 59, 80, 110, 200])
@pytest.mark.parametrize("height", [24, 50, 100])
@pytest.mark.parametrize(("targets", "bad"), [(1, 0), (1, 1), (12, 3), (1000, 300)])
def test_the_picture_fits_the_terminal(width, height, targets, bad):
    found = lines(
        live_state(targets, bad, error="the state is locked " * 9, config_error="a line too long " * 9), width, height
    )
    assert len(found) <= height
    assert all(len(line) <= width for line in found)


@pytest.mark.parametrize("width", [40, 80])
def test_the_worst_come_first_and_those_without_room_are_counted(width):
    found = lines(live_state(1000, 300), width, 24)
    first = next(line for line in found if "Bad" in line)
    assert first.startswith("BLOCKED   Bad 0000")
    (rest,) = [line for line in found if line.startswith("… and")]
    assert rest.startswith(("… and 99", "… and 98"))
    assert "BLOCKED" in rest


def test_even_the_smallest_terminal_shows_what_is_wrong():
    assert any(line.startswith("BLOCKED   Bad 0000") for line in lines(live_state(), 80, 10)[:9])


def test_at_eighty_columns_the_reason_comes_before_the_end_of_the_line():
    (line,) = [line for line in lines(live_state(bad=1), 80, 40) if line.startswith("BLOCKED") and "WABA" in line]
    assert "WABA …9564  141006 A payment for" in line


def test_incidents_that_hit_as_many_numbers_are_told_apart_by_their_entity():
    twins = tuple(
        OpenIncident(
            name, "BLOCKED", "critical", NOW, "20 numbers cannot send messages", ("ops",), "", f"BUSINESS …{name}"
        )
        for name in ("4967", "0579")
    )
    found = "\n".join(lines(live_state(incidents=twins), 80, 40))
    assert "20 numbers cannot send messages  BUSINESS …4967" in found
    assert "20 numbers cannot send messages  BUSINESS …0579" in found


def test_a_pass_that_takes_long_has_a_bar_and_one_that_does_not_has_none():
    def footer(since):
        return lines(live_state(pass_started_at=NOW - since, read=400, expected=1000), 80, 40)[-1]

    assert "400 of 1000" in footer(timedelta(seconds=2))
    assert "400 of 1000" not in footer(timedelta(seconds=0.2))


def test_when_the_next_pass_comes_and_what_the_last_one_missed_is_said():
    footer = lines(live_state(unread=", 4 of 12 not read (timeout)"), 110, 40)[-1]
    assert "next pass in 4 min  the last took 1.2 s, 4 of 12 not read (timeout)" in footer


def read_until(name, minutes_ago, stale_at):
    """A healthy number whose latest reading stands until an instant."""
    return msgspec.structs.replace(healthy(name), last_read_at=NOW - timedelta(minutes=minutes_ago), stale_at=stale_at)


def test_a_number_becomes_unknown_while_nothing_is_read_though_nothing_else_happens():
    stopped = read_until("Good 1", 12, NOW - timedelta(minutes=1))
    fresh = read_until("Good 2", 3, NOW + timedelta(minutes=1))
    found = lines(live_state(targets=(fresh, stopped), incidents=()), 110, 40)
    assert "● 1 UNKNOWN  ● 1 AVAILABLE" in found[0]
    targets = [line for line in found if "Good" in line]
    assert targets[0].startswith("UNKNOWN   Good 1")
    assert "not read for 12 min; was AVAILABLE" in targets[0]
    assert targets[1].startswith("AVAILABLE Good 2")


def test_while_most_of_the_fleet_cannot_be_read_a_line_says_so():
    said = "90 of 100 targets could not be read by the last run"
    assert lines(live_state(warning=said), 80, 40)[2] == said
    assert (
        len(
            lines(
                live_state(1000, 300, warning=said * 9, error=said * 9, config_error=said * 9, log_line=said * 9),
                80,
                24,
            )
        )
        <= 24
    )


def test_a_delivery_that_failed_is_no_alert_like_the_others():
    failed = deque([Alert(NOW, "ops", "CRITICAL", "Bad 0000 cannot send messages", "HTTP 503")])
    assert any("NOT delivered: HTTP 503; Bad 0000" in line for line in lines(live_state(alerts=failed), 110, 40))


def test_hostile_names_stay_on_their_line():
    hostile = TargetView(Target("a", "\x1b[2Jevil\nname [red]x[/red]", "env:K"), "BLOCKED")
    found = lines(live_state(targets=(hostile,)), 80, 40)
    (line,) = [line for line in found if "evil" in line]
    assert line.startswith("BLOCKED   evil name [red]x[/red]")
    assert "\x1b" not in "".join(found)


def test_on_a_terminal_the_view_has_a_screen_of_its_own_and_leaves_its_last_picture(site):
    out = on_a_terminal(site, {})
    begun, _, left = out.partition("\x1b[?1049h")[2].partition("\x1b[?1049l")
    assert "Support Germany" in begun
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")
    assert "stopped at " in left
    assert "Support Germany cannot send messages" in left
    assert "\x1b[1;31m" in left


def test_no_color_is_obeyed_on_a_terminal(site):
    assert "\x1b[1;31m" not in on_a_terminal(site, {"NO_COLOR": "1"})


def on_a_terminal(site, extra):
    """All that `run` wrote to a terminal until Ctrl-C."""
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wabawatch", "run"],
        env={**os.environ, **site.environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **extra},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while b"next pass in" not in seen:
        seen += os.read(ours, 65_536)
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(ours, 65_536):
            seen += chunk
    except OSError:  # how a terminal ends whose other side is closed
        pass
    assert process.wait(timeout=30) == 0
    os.close(ours)
    return seen.decode()
