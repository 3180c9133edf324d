"""Plain text: sanitised, truncated at whole characters, counted."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wabawatch.adapters.notifiers.slack_payload import count_json_units, escape_formatting
from wabawatch.adapters.notifiers.sns_payload import to_ascii, to_gsm7
from wabawatch.messages.text import humanize_duration, join_limited, pluralize, sanitize, truncate

HARD = st.text(st.sampled_from('ab &<>_*~`"\\→…ä€[]{}|\u0301\u200d👨👩🇩🇪🏽ش\u202e\x1b\n'), max_size=80) | st.text(
    max_size=80
)


def slack_cost(text):
    return count_json_units(escape_formatting(text))


@given(HARD, st.integers(10, 60))
def test_a_fitted_text_still_fits_when_it_is_escaped_for_slack(text, limit):
    kept = truncate(sanitize(text), limit, slack_cost)
    assert slack_cost(kept) <= limit
    assert kept == sanitize(text) or kept.endswith("…")


@given(HARD, st.integers(10, 60))
@pytest.mark.parametrize("convert", [to_ascii, to_gsm7])
def test_a_fitted_text_still_fits_when_it_is_transliterated(convert, text, limit):
    converted = convert(truncate(sanitize(text), limit, lambda part: len(to_ascii(part))))
    assert len(converted) <= limit
    assert converted.isascii()
    assert converted.isprintable()


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        pytest.param("short", 5, "short", id="what-fits-stays"),
        pytest.param("too long", 5, "too…", id="no-blank-before-the-ellipsis"),
        pytest.param("ab👨‍👩‍👧‍👦cd", 6, "ab…", id="a-joined-emoji-is-not-separated"),
        pytest.param("a🇩🇪🇫🇷🇮🇹", 5, "a🇩🇪…", id="a-flag-is-not-separated"),
        pytest.param("ae\u0301\u0323x", 3, "a…", id="a-letter-keeps-its-marks"),
    ],
)
def test_a_text_is_cut_between_whole_characters(text, limit, kept):
    assert truncate(text, limit) == kept


def test_outside_text_becomes_one_harmless_line():
    assert sanitize("\x1b[31mred\x1b[0m\r\n\u202eturned\u200b \ud800") == "red turned \ufffd"


def test_things_are_counted_and_named():
    assert (pluralize(1, "number"), pluralize(40, "number")) == ("1 number", "40 numbers")
    assert join_limited(iter("ABCD"), 40, 3) == "A, B, C +37 more"
    assert join_limited(iter(()), 2, 3) == "+2 more"
    shown = [humanize_duration(timedelta(seconds=seconds)) for seconds in (0, 45, 420, 7500, 273_600)]
    assert shown == ["0 s", "45 s", "7 min", "2 h 5 min", "3 d 4 h"]
