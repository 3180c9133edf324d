from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wabawatch.config.scalars import MAX_DURATION, parse_duration, render_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("10s", timedelta(seconds=10), id="seconds"),
        pytest.param("250ms", timedelta(milliseconds=250), id="milliseconds-are-not-minutes"),
        pytest.param("5m", timedelta(minutes=5), id="minutes"),
        pytest.param("1h30m", timedelta(minutes=90), id="two-units"),
        pytest.param("7d", timedelta(days=7), id="days"),
        pytest.param("90m", timedelta(minutes=90), id="more-than-the-next-unit"),
        pytest.param("0s", timedelta(), id="none-at-all"),
    ],
)
def test_a_duration_is_read_as_written(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "s", "1.5h", "-1s", "1m1h", "1h 30m", " 1s", "1s\n", "1w", "٣s", "4000d", "999999999d"]
)
def test_any_other_form_is_refused(text):
    with pytest.raises(ValueError, match=r"not a duration|longer"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(hours=24), "1d"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(), "0s"),
        (timedelta(milliseconds=1500), "1s500ms"),
    ],
)
def test_a_duration_is_rendered_in_the_shortest_form(duration, expected):
    assert render_duration(duration) == expected


@settings(deadline=None)
@given(st.integers(0, int(MAX_DURATION / timedelta(milliseconds=1))))
def test_what_is_rendered_parses_back(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(render_duration(duration)) == duration
