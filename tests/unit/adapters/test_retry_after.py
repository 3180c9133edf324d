"""The wait that a server asks for."""

from datetime import UTC, datetime

import pytest

from wabawatch.adapters.http_rules import parse_retry_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("37", 37.0, id="seconds"),
        pytest.param(" 37 ", 37.0, id="seconds with space around them"),
        pytest.param("9" * 5000, 86_400.0, id="more digits than Python converts are a day"),
        pytest.param("Sun, 01 Mar 2026 12:01:00 GMT", 60.0, id="a date"),
        pytest.param("Sun, 01 Mar 2026 12:01:00 -0000", 60.0, id="a date without a zone is in UTC"),
        pytest.param("Sun, 01 Mar 2026 12:01:00", 60.0, id="a date that names no zone is in UTC"),
        pytest.param("Sun, 01 Mar 2026 13:01:00 +0100", 60.0, id="a date in another zone"),
        pytest.param("Sun, 01 Mar 2026 11:00:00 GMT", 0.0, id="a date that has passed"),
        pytest.param("Sun, 01 Mar 2036 12:00:00 GMT", 86_400.0, id="a date years ahead"),
        pytest.param("Sun, 99 Mar 2026 12:00:00 GMT", None, id="a day that cannot be"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2359", 86_400.0, id="the end of time"),
        pytest.param("soon", None, id="a word"),
        pytest.param("-5", None, id="a negative number"),
        pytest.param("1.5", None, id="a fraction"),
        pytest.param("", None, id="nothing"),
        pytest.param("\u0663", None, id="a digit of another script"),
    ],
)
def test_a_wait_is_read_from_either_form_of_the_header(header, seconds):
    assert parse_retry_after(header, NOW) == seconds
