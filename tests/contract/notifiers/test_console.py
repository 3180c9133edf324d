"""The console: plain lines for a pipe, colours for a terminal unless NO_COLOR forbids them."""

from __future__ import annotations

import io
import os
import re
import time

import pytest

from tests.contract.notifiers.hostile import TEXTS, hostile
from tests.contract.notifiers.notifications import STORIES
from wabawatch.adapters.notifiers.registry import OPTIONS, NotifyContext, build
from wabawatch.errors import DeliveryError

COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Ascii(io.StringIO):
    encoding = "ascii"

    def write(self, text):
        text.encode("ascii")
        return super().write(text)


class Gone(io.StringIO):
    def write(self, _text):
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def shown(stream, notification=STORIES["opened"]):
    build("screen", "console", OPTIONS["console"](), NotifyContext(str, None, stream)).deliver(notification, {})
    return stream.getvalue()


@pytest.mark.parametrize("story", STORIES)
def test_a_terminal_shows_the_same_words_in_colour(story):
    coloured, plain = shown(Terminal(), STORIES[story]), shown(io.StringIO(), STORIES[story])
    words = set(re.findall(r"[\w:/.-]+", COLOUR.sub("", coloured)))
    assert COLOUR.search(coloured)
    assert STORIES[story].id in words
    assert set(re.findall(r"14\d{4}|\d+ h \d+ min|BLOCKED|UNKNOWN|https://\S+", plain)) <= words | {"2 h 5 min"}


def test_no_color_is_obeyed(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search("\x1b\\[[0-9;]*(3[0-7]|4[0-7]|38|48)", shown(Terminal()))


def test_a_pipe_gets_no_terminal_sequences():
    assert "\x1b" not in shown(io.StringIO())


def test_a_terminal_gets_no_sequences_but_ours():
    rest = COLOUR.sub("", shown(Terminal(), hostile(TEXTS["terminal-sequences"])))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", rest)
    assert "evil.example" not in rest.partition("Read on")[0]


def test_nothing_that_looks_like_markup_is_taken_for_it():
    assert "[red]x[/red]" in COLOUR.sub("", shown(Terminal(), hostile("[red]x[/red]")))


@pytest.mark.parametrize("width", ["20", "40", "300"])
def test_any_width_will_do(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    lines = COLOUR.sub("", shown(Terminal(), hostile(TEXTS["families-of-emoji"]))).splitlines()
    assert lines


def test_a_stream_that_knows_only_ascii_gets_the_message_all_the_same():
    assert "AVAILABLE ? BLOCKED" in shown(Ascii())


def test_a_stream_that_is_gone_is_a_failure_of_the_destination():
    with pytest.raises(DeliveryError) as caught:
        shown(Gone())
    assert caught.value.kind == "destination"


def test_a_closed_stream_is_such_a_failure():
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DeliveryError):
        shown(stream)


def test_without_a_stream_it_writes_to_standard_output(capsys):
    build("screen", "console", OPTIONS["console"](), NotifyContext(str, None)).deliver(STORIES["opened"], {})
    assert "Support Germany cannot send messages" in capsys.readouterr().out


def test_the_machines_own_time_stands_beside_utc(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "America/New_York")
    time.tzset()
    assert "2026-03-01 01:00 UTC (20:00 here)" in shown(io.StringIO())
