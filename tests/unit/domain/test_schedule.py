from datetime import UTC, datetime, time

import pytest

from wabawatch.domain.policy import WEEKDAYS, Weekly

BERLIN = "Europe/Berlin"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(days, start, end, zone=BERLIN):
    return Weekly(
        WEEKDAYS if days == "daily" else tuple(days.split()), time.fromisoformat(start), time.fromisoformat(end), zone
    )


NIGHT = weekly("daily", "23:00", "05:00")
OFFICE = weekly("mon tue wed thu fri", "09:00", "17:00")


@pytest.mark.parametrize(
    ("span", "at", "until"),
    [
        pytest.param(OFFICE, "2026-07-01T07:00", "2026-07-01T15:00", id="begins at nine in summer"),
        pytest.param(OFFICE, "2026-07-01T06:59", None, id="not a minute earlier"),
        pytest.param(OFFICE, "2026-07-01T15:00", None, id="ends at five"),
        pytest.param(OFFICE, "2026-12-01T08:00", "2026-12-01T16:00", id="begins an hour of UTC later in winter"),
        pytest.param(OFFICE, "2026-07-04T10:00", None, id="not on a Saturday"),
        pytest.param(NIGHT, "2026-07-01T21:30", "2026-07-02T03:00", id="before midnight"),
        pytest.param(NIGHT, "2026-07-02T02:59", "2026-07-02T03:00", id="after midnight"),
        pytest.param(
            weekly("sat", "22:00", "02:00"),
            "2026-07-04T23:30",
            "2026-07-05T00:00",
            id="a Saturday's span lasts into Sunday",
        ),
        pytest.param(
            weekly("sat", "22:00", "02:00"), "2026-07-03T23:30", None, id="a Saturday's span does not begin on Friday"
        ),
        pytest.param(
            weekly("daily", "08:00", "08:00"),
            "2026-07-01T06:00",
            "2026-07-02T06:00",
            id="the same time twice is a whole day",
        ),
        pytest.param(
            NIGHT, "2026-03-29T02:30", "2026-03-29T03:00", id="a night in spring ends at five, an hour shorter"
        ),
        pytest.param(NIGHT, "2026-03-28T22:00", "2026-03-29T03:00", id="and begins as ever"),
        pytest.param(
            NIGHT, "2026-10-25T03:30", "2026-10-25T04:00", id="a night in autumn ends at five, an hour longer"
        ),
        pytest.param(NIGHT, "2026-10-24T21:00", "2026-10-25T04:00", id="and begins as ever in autumn"),
        pytest.param(
            weekly("sun", "02:00", "03:00"),
            "2026-10-25T00:00",
            "2026-10-25T02:00",
            id="an hour that comes twice is taken whole",
        ),
        pytest.param(
            weekly("sun", "02:00", "03:00"),
            "2026-10-25T01:30",
            "2026-10-25T02:00",
            id="and its second half belongs to it",
        ),
        pytest.param(
            weekly("sun", "02:30", "02:45"),
            "2026-10-25T01:40",
            "2026-10-25T01:45",
            id="a quarter in the hour that comes twice ends at its second end",
        ),
        pytest.param(
            weekly("sun", "01:00", "02:30"),
            "2026-03-29T01:15",
            "2026-03-29T01:30",
            id="an end that does not exist is as long after midnight as ever",
        ),
        pytest.param(
            weekly("sun", "02:15", "02:45"),
            "2026-03-29T01:20",
            "2026-03-29T01:45",
            id="a span in the hour that does not exist is moved, not lost",
        ),
        pytest.param(
            weekly("sun", "02:30", "04:00"), "2026-03-29T01:30", "2026-03-29T02:00", id="a start that does not exist"
        ),
        pytest.param(
            weekly("daily", "00:00", "06:00", "Asia/Kolkata"),
            "2026-07-01T18:30",
            "2026-07-02T00:30",
            id="a zone half an hour off",
        ),
        pytest.param(weekly("", "00:00", "06:00"), "2026-07-01T01:00", None, id="no day at all"),
    ],
)
def test_when_a_span_ends_that_holds(span, at, until):
    assert span.holds_until(utc(at)) == (utc(until) if until else None)


@pytest.mark.parametrize(
    ("span", "after", "start"),
    [
        pytest.param(OFFICE, "2026-07-01T06:00", "2026-07-01T07:00", id="today"),
        pytest.param(OFFICE, "2026-07-01T07:00", "2026-07-02T07:00", id="tomorrow, once it has begun"),
        pytest.param(OFFICE, "2026-07-03T16:00", "2026-07-06T07:00", id="after the weekend"),
        pytest.param(OFFICE, "2026-03-27T16:00", "2026-03-30T07:00", id="after the weekend of the change to summer"),
        pytest.param(OFFICE, "2026-10-23T16:00", "2026-10-26T08:00", id="after the weekend of the change to winter"),
        pytest.param(weekly("mon", "09:00", "09:05"), "2026-07-06T07:00", "2026-07-13T07:00", id="next week"),
    ],
)
def test_when_the_next_span_begins(span, after, start):
    assert span.next_start(utc(after)) == utc(start)
