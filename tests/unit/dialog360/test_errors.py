"""Answers that are not health: the HTTP status decides on the cause, the text is shown."""

import json
from html import escape
from urllib.parse import quote

import pytest

from wabawatch.domain.health import CAUSES, Failure

SNAKE = {"meta": {"success": False, "http_code": 404, "developer_message": "Some text"}}
CAMEL = {"meta": {"success": False, "httpCode": 404, "developerMessage": "Some text"}}
GRAPH = {"error": {"message": "Some text", "type": "OAuthException", "code": 190, "fbtrace_id": "A"}}


def said(text):
    return {"meta": {"success": False, "http_code": 400, "developer_message": text}}


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        pytest.param(401, said("Invalid api key"), "unauthorized", id="401-is-unauthorized"),
        pytest.param(401, said("Your key has expired"), "unauthorized", id="401-expired-is-unauthorized"),
        pytest.param(401, SNAKE, "unauthorized", id="401-that-says-404-inside-is-unauthorized"),
        pytest.param(401, said("The channel has been disabled"), "unauthorized", id="401-is-decided-by-its-status"),
        pytest.param(402, "", "payment_required", id="402-is-payment"),
        pytest.param(403, GRAPH, "forbidden", id="403-is-forbidden"),
        pytest.param(403, said("rate limit"), "forbidden", id="403-is-decided-by-its-status"),
        pytest.param(404, {"error": "No such path"}, "not_found", id="404-is-not-found"),
        pytest.param(429, "", "throttled", id="429-is-throttled"),
        pytest.param(400, said("exceeded the endpoint rate limit"), "throttled", id="400-rate-limit-is-throttled"),
        pytest.param(400, "RATE-LIMIT hit", "throttled", id="400-rate-limit-otherwise-written-is-throttled"),
        pytest.param(
            400, {"error": {"message": "Application request limit reached"}}, "throttled", id="400-from-graph"
        ),
        pytest.param(400, {"error": "Too many requests"}, "throttled", id="400-too-many-is-throttled"),
        pytest.param(400, said("Channel 1 has been disabled"), "disabled", id="400-disabled-is-disabled"),
        pytest.param(400, {"error": "Number Has Been Disabled."}, "disabled", id="400-disabled-in-another-envelope"),
        pytest.param(400, said("waiting for payment"), "payment_required", id="400-payment-is-payment"),
        pytest.param(400, said("Overdue invoices"), "payment_required", id="400-overdue-is-payment"),
        pytest.param(400, "There is an unpaid INVOICE", "payment_required", id="400-invoice-is-payment"),
        pytest.param(
            400, said("disabled: overdue invoices"), "payment_required", id="400-disabled-for-debt-is-payment"
        ),
        pytest.param(400, said("Unknown field"), "rejected", id="400-otherwise-is-rejected"),
        pytest.param(400, "", "rejected", id="400-without-text-is-rejected"),
        pytest.param(400, {"docs": None}, "rejected", id="400-of-no-known-form-is-rejected"),
        pytest.param(405, "", "rejected", id="405-is-rejected"),
        pytest.param(408, "", "rejected", id="408-is-rejected"),
        pytest.param(410, said("rate limit"), "rejected", id="410-is-decided-by-its-status"),
        pytest.param(422, "", "rejected", id="422-is-rejected"),
        pytest.param(451, "", "rejected", id="451-is-rejected"),
        pytest.param(500, {"error": "Internal"}, "provider_error", id="500-is-the-provider-s"),
        pytest.param(502, "The API is not available", "provider_error", id="502-is-the-provider-s"),
        pytest.param(503, said("payment"), "provider_error", id="503-is-decided-by-its-status"),
        pytest.param(504, "", "provider_error", id="504-is-the-provider-s"),
        pytest.param(599, "", "provider_error", id="599-is-the-provider-s"),
        *(
            pytest.param(code, "", "redirected", id=f"{code}-is-redirected")
            for code in (300, 301, 302, 303, 304, 307, 308)
        ),
        pytest.param(200, {}, "unreadable", id="200-empty-object-is-unreadable"),
        pytest.param(200, "", "unreadable", id="200-empty-body-is-unreadable"),
        pytest.param(200, "null", "unreadable", id="200-null-is-unreadable"),
        pytest.param(200, "true", "unreadable", id="200-true-is-unreadable"),
        pytest.param(200, '"AVAILABLE"', "unreadable", id="200-a-word-is-unreadable"),
        pytest.param(200, [{"can_send_message": "AVAILABLE"}], "unreadable", id="200-a-list-is-unreadable"),
        pytest.param(200, "OK", "unreadable", id="200-text-is-unreadable"),
        pytest.param(200, "<html><body>Sign in</body></html>", "unreadable", id="200-html-is-unreadable"),
        pytest.param(
            200, '{"health_status": {"can_send_message": "AVAIL', "unreadable", id="200-truncated-is-unreadable"
        ),
        pytest.param(200, {"health_status": {}}, "unreadable", id="200-empty-wrapper-is-unreadable"),
        pytest.param(200, {"health_status": "AVAILABLE"}, "unreadable", id="200-wrapper-of-text-is-unreadable"),
        pytest.param(
            200, {"health_status": {"entities": [{"id": "1"}]}}, "unreadable", id="200-no-status-is-unreadable"
        ),
        pytest.param(200, SNAKE, "unreadable", id="200-with-an-error-inside-is-unreadable"),
        pytest.param(200, b"\xff\xfe\x00", "unreadable", id="200-bytes-are-unreadable"),
        pytest.param(
            200,
            b'{"can_send_message": "\xff\xff"}',
            "unreadable",
            id="200-with-a-status-that-cannot-be-decoded-is-unreadable",
        ),
        pytest.param(204, "", "unreadable", id="204-is-unreadable"),
        pytest.param(101, "", "unreadable", id="101-is-unreadable"),
        pytest.param(999, "", "unreadable", id="999-is-unreadable"),
    ],
)
def test_the_status_decides_on_the_cause(read, status, body, cause):
    failure = read(body, status)
    assert isinstance(failure, Failure)
    assert failure.cause == cause
    assert cause in CAUSES


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(SNAKE, "Some text", id="360dialog-s-older-envelope"),
        pytest.param(CAMEL, "Some text", id="360dialog-s-newer-envelope"),
        pytest.param(GRAPH, "Some text", id="graph-s-envelope"),
        pytest.param({"error": "Some text"}, "Some text", id="a-plain-error"),
        pytest.param({"message": "Some text"}, "Some text", id="a-plain-message"),
        pytest.param({"detail": "Some text"}, "Some text", id="a-plain-detail"),
        pytest.param("Some text\n", "Some text", id="text"),
        pytest.param({"meta": {"developer_message": ""}, "error": "Some text"}, "Some text", id="an-empty-envelope"),
        pytest.param({"meta": None, "error": []}, '{"meta": null, "error": []}', id="an-envelope-nobody-knows"),
        pytest.param(
            "<!DOCTYPE html><html><head><style>b {c: d}</style><script>if (a < b) x();</script>"
            "<title>Bad\n gateway</title>"
            "</head><body><!-- hidden > --><h1 class='x'>502 &lt;Oops&gt;</h1></body></html>",
            "Bad gateway 502 <Oops>",
            id="html-without-its-markup",
        ),
        pytest.param("  <p>Some <b>text", "Some text", id="html-that-does-not-end"),
        pytest.param("a\x1b[31mb\x00c\u202ed\x7f", "a\\x1b[31mb\\x00c\\u202ed\\x7f", id="control-characters-escaped"),
        pytest.param(b"caf\xe9", "caf\ufffd", id="bytes-that-are-not-utf-8"),
    ],
)
def test_the_text_is_shown(read, body, detail):
    assert read(body, 500).detail == f"HTTP 500: {detail}"


def test_a_long_text_is_cut_on_characters(read):
    detail = read("ü😀" * 1000, 500).detail
    assert len(detail) == 300
    assert set(detail[len("HTTP 500: ") : -1]) == {"ü", "😀"}
    assert detail.endswith("…")


def test_a_text_as_long_as_allowed_is_not_cut(read):
    assert read("x" * (300 - len("HTTP 500: ")), 500).detail.endswith("xx")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("30", 30, id="seconds"),
        pytest.param(" 30 ", 30, id="seconds-with-space"),
        pytest.param("0", 0, id="at-once"),
        pytest.param("9" * 500, 86_400, id="for-ever-is-a-day"),
        pytest.param("Sun, 01 Mar 2026 12:02:00 GMT", 120, id="a-date"),
        pytest.param("Sunday, 01-Mar-26 12:02:00 GMT", 120, id="a-date-of-old-form"),
        pytest.param("Sun, 01 Mar 2026 11:00:00 GMT", 0, id="a-date-that-is-over"),
        pytest.param("Fri, 01 Jan 2100 00:00:00 GMT", 86_400, id="a-date-far-off-is-a-day"),
        pytest.param("", None, id="nothing"),
        pytest.param("-5", None, id="less-than-nothing"),
        pytest.param("soon", None, id="a-word"),
        pytest.param("1.5", None, id="a-fraction"),
        pytest.param("\u0663", None, id="a-digit-of-another-script"),
        pytest.param("Sun, 99 Xyz 2026 12:02:00 GMT", None, id="no-date"),
    ],
)
def test_the_wait_that_was_asked_for_is_read(read, value, seconds):
    assert read("", 429, {"retry-after": value}).retry_after == seconds


def test_a_redirect_says_where_it_would_have_led(read):
    detail = read("", 302, {"location": "https://elsewhere.invalid/x"}).detail
    assert detail == "HTTP 302: not followed to https://elsewhere.invalid/x"


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(lambda key: key, id="as-it-is"),
        pytest.param(str.upper, id="in-capitals"),
        pytest.param(lambda key: "".join(f"\\u00{ord(letter):02x}" for letter in key), id="escaped-as-json"),
        pytest.param(lambda key: f"{'x' * 285}{key}", id="where-the-text-is-cut"),
        pytest.param(lambda key: key * 2000, id="a-thousand-times"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{}", id="text"),
        pytest.param('{{"meta": {{"developer_message": "{}"}}}}', id="envelope"),
        pytest.param('{{"unknown": "{}"}}', id="json"),
        pytest.param("<html>{}</html>", id="html"),
        pytest.param("<a href='{0}'>x</a><b>{0}</b>", id="markup"),
    ],
)
def test_the_key_is_in_no_detail(read, key, body, spelling):
    for status in (200, 401, 500):
        detail = read(body.format(spelling(key)), status).detail
        assert key[:8].lower() not in detail.lower()


@pytest.mark.parametrize("odd", ["a/b+c==&<d>", "a.b*c(d)", "eightlet", '"quoted"'])
def test_a_key_with_signs_is_in_no_detail(read, odd):
    for body in (odd, json.dumps({"error": odd}), escape(odd), quote(odd, safe=""), f"<p>{escape(odd)}</p>"):
        detail = read(body, 500, key=odd).detail
        assert "[key]" in detail
        assert odd not in detail.replace("[key]", "")


@pytest.mark.parametrize("short", ["k", "ED", "BLOCKED"])
def test_a_key_too_short_to_be_one_garbles_no_text(read, short):
    assert read("It is BLOCKED.", 500, key=short).detail == "HTTP 500: It is BLOCKED."


def test_the_key_in_a_redirect_is_hidden(read, key):
    assert key not in read("", 307, {"location": f"http://elsewhere.invalid/?{key}"}).detail


@pytest.mark.parametrize(
    ("status", "broken", "cause"),
    [
        pytest.param(0, "unreachable", "unreachable", id="no-answer-is-the-transport-s"),
        pytest.param(200, "unreadable", "unreadable", id="a-broken-success-is-the-transport-s"),
        pytest.param(200, "unreachable", "unreachable", id="a-reset-success-is-the-transport-s"),
        pytest.param(401, "unreadable", "unauthorized", id="a-broken-401-is-the-status-s"),
        pytest.param(502, "unreachable", "provider_error", id="a-reset-502-is-the-status-s"),
        pytest.param(503, "timeout", "timeout", id="a-503-that-trickles-is-a-timeout"),
    ],
)
def test_an_answer_that_is_not_whole(read, status, broken, cause):
    body = {"health_status": {"can_send_message": "AVAILABLE"}}
    assert read(body, status, broken=Failure(broken, "why")).cause == cause
