"""Tables on narrow terminals: what one needs to go on is never cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from wabawatch.cli.output import Listing

HEADINGS = ("INCIDENT", "STATUS", "?SEVERITY", "~WHAT", "?ENTITY", "~WHY", "?NOTE")
WHY = "141010 The business behind this account has not passed verification, which restricts what it may send."
ROW = ("9b5864eeefad", "BLOCKED", "critical", "20 numbers cannot send messages", "BUSINESS 107251540874967", WHY)


def lines(width, note="", rows=1):
    listing = Listing(*HEADINGS)
    for _ in range(rows):
        listing.add_row(*ROW, Text(note))
    out = Console(file=io.StringIO(), width=width or 500, color_system=None)
    out.print(listing.fit(width))
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_each_row_is_one_line_that_fits(width):
    found = lines(width, rows=3)
    assert len(found) == 4
    assert all(len(line) <= width for line in found)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200, None])
def test_what_is_needed_to_go_on_is_whole_at_any_width(width):
    assert lines(width)[1].startswith("9b5864eeefad  BLOCKED  ")


def test_even_where_nothing_fits_the_first_columns_are_there():
    assert lines(40)[1].startswith("9b5864eeefad  BLOCKED  20 numb")


def test_spare_columns_go_from_the_last_one_before_texts_are_cut_to_nothing():
    assert lines(140)[0].split() == ["INCIDENT", "STATUS", "SEVERITY", "WHAT", "ENTITY", "WHY"]
    assert lines(90)[0].split() == ["INCIDENT", "STATUS", "SEVERITY", "WHAT", "WHY"]
    assert lines(60)[0].split() == ["INCIDENT", "STATUS", "WHAT", "WHY"]


def test_what_is_cut_ends_in_an_ellipsis_and_the_widest_is_cut_first():
    assert lines(140)[1].endswith("…")
    assert "20 numbers cannot send messages" in lines(140)[1]


def test_where_there_is_room_nothing_is_cut():
    assert lines(None, "somebody has it")[1] == "  ".join((*ROW, "somebody has it"))


def test_a_spare_column_that_says_nothing_is_left_out():
    assert "NOTE" not in lines(None)[0]
    assert "NOTE" in lines(None, "somebody has it")[0]
