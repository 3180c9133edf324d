"""What each answer means for a delivery, for every notifier that speaks HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.notifiers.benches import OVER_HTTP
from tests.contract.notifiers.server import flood, http, reset, silence, trickle
from tests.contract.notifiers.stories import STORIES
from wabawatch.application.errors import DeliveryError

ANYTHING = STORIES["opened"]
overall = pytest.mark.parametrize("kind", OVER_HTTP)


@overall
def test_an_acceptance_is_a_receipt_that_hands_the_thread_back(bench, kind):
    assert bench(kind).deliver(ANYTHING, {"ts": "1"}).thread == {"ts": "1"}


@overall
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422])
def test_a_refusal_lasts_until_somebody_acts(bench, kind, status):
    one = bench(kind)
    one.server.answers[:] = [one.refusal(status)]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert caught.value.lasting
    assert caught.value.retry_after is None


@overall
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_worth_another_try(bench, kind, status):
    one = bench(kind)
    one.server.answers[:] = [one.refusal(status)]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert not caught.value.lasting
    assert caught.value.retry_after is None


@overall
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_was_asked_for_is_handed_on(bench, kind, status):
    one = bench(kind)
    one.server.answers[:] = [one.refusal(status, Retry_After="37")]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert caught.value.retry_after == 37


@overall
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param("soon", None, id="words-say-nothing"),
        pytest.param("-5", None, id="a-negative-wait-says-nothing"),
        pytest.param("1.5", None, id="a-fraction-is-no-http"),
        pytest.param("٣", None, id="digits-of-another-script-say-nothing"),
        pytest.param("999999999999", 86_400.0, id="a-wait-of-ages-is-a-day"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", 0.0, id="a-date-that-has-passed-is-now"),
    ],
)
def test_an_odd_wait_does_no_harm(bench, kind, asked, expected):
    one = bench(kind)
    one.server.answers[:] = [one.refusal(429, Retry_After=asked)]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert caught.value.retry_after == expected


@overall
def test_a_wait_may_be_a_date(bench, kind):
    later = datetime.now(UTC) + timedelta(hours=1)
    one = bench(kind)
    one.server.answers[:] = [one.refusal(429, Retry_After=f"{later:%a, %d %b %Y %H:%M:%S GMT}")]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert 3_000 < caught.value.retry_after <= 3_600


@overall
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(bench, kind, status):
    other = bench(kind)
    one = bench(kind)
    one.server.answers[:] = [one.refusal(status, Location=f"{other.server.url}/elsewhere")]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert caught.value.lasting or kind == "sns"
    assert other.server.requests == []


@pytest.mark.parametrize("kind", ["slack", "webhook"])
def test_no_more_of_a_redirect_is_read_than_of_any_answer(bench, kind):
    one = bench(kind, patience=1.0)
    one.server.answers[:] = [endless_redirect]
    with pytest.raises(DeliveryError, match="redirect") as caught:
        one.deliver(ANYTHING)
    assert caught.value.lasting


def endless_redirect(connection, closing):
    connection.sendall(b"HTTP/1.1 302 Said\r\nLocation: http://127.0.0.1:9/elsewhere\r\n\r\n")
    flood(connection, closing)


@overall
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reset, id="a-reset"),
        pytest.param(b"", id="no-answer-at-all"),
        pytest.param(b"\x00\xff garbage \r\n\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut", id="an-answer-that-breaks-off"),
        pytest.param(silence, id="silence"),
        pytest.param(trickle, id="an-answer-that-trickles"),
        pytest.param(flood, id="an-answer-without-end"),
    ],
)
def test_whatever_breaks_is_worth_another_try(bench, kind, answer):
    if kind == "sns" and answer in (trickle, flood):
        pytest.skip("botocore's timeouts are those of single reads; AWS does not trickle")
    if kind != "slack" and isinstance(answer, bytes) and answer.startswith(b"HTTP"):
        pytest.skip("the status is enough")
    with pytest.raises(DeliveryError) as caught:
        bench(kind, answers=[answer], patience=0.4).deliver(ANYTHING)
    assert not caught.value.lasting


@overall
def test_a_destination_that_is_not_there_is_worth_another_try(bench, kind):
    one = bench(kind)
    one.close()
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert not caught.value.lasting


@pytest.mark.parametrize("word", ["invalid_token", "no_service", "channel_is_archived", "action_prohibited"])
@pytest.mark.parametrize("status", [200, 400, 403, 404, 410])
def test_slack_has_words_for_what_only_people_can_help(bench, word, status):
    one = bench("slack", answers=[http(status, word.encode())])
    with pytest.raises(DeliveryError, match=word) as caught:
        one.deliver(ANYTHING)
    assert caught.value.lasting
    assert len(one.server.requests) == 1


def test_a_page_that_is_not_slacks_is_no_acceptance(bench):
    with pytest.raises(DeliveryError) as caught:
        bench("slack", answers=[http(200, b"<html>Please log in</html>")]).deliver(ANYTHING)
    assert not caught.value.lasting


@pytest.mark.parametrize("body", [b"invalid_payload", b"invalid_blocks", b"msg_blocks_too_long"])
def test_what_slack_does_not_understand_is_said_in_plain_text(bench, body):
    one = bench("slack", answers=[http(400, body), http(200, b"ok")])
    one.deliver(ANYTHING)
    assert len(one.server.requests) == 2
    assert "blocks" not in one.sent
    assert "141006" in one.sent["text"]


@pytest.mark.parametrize(
    ("code", "status", "lasting"),
    [
        pytest.param("AuthorizationError", 403, True, id="no-permission-lasts"),
        pytest.param("NotFound", 404, True, id="no-topic-lasts"),
        pytest.param("InvalidParameter", 400, True, id="a-bad-parameter-lasts"),
        pytest.param("KMSAccessDenied", 400, True, id="no-use-of-the-key-lasts"),
        pytest.param("InvalidClientTokenId", 403, True, id="a-bad-credential-lasts"),
        pytest.param("Throttled", 400, False, id="throttling-passes"),
        pytest.param("ThrottlingException", 400, False, id="throttling-by-its-other-name-passes"),
        pytest.param("KMSThrottling", 400, False, id="throttling-of-the-key-passes"),
        pytest.param("ExpiredToken", 403, False, id="an-expired-credential-is-renewed"),
        pytest.param("InternalError", 500, False, id="their-own-failure-passes"),
    ],
)
def test_sns_says_by_its_code_whether_it_passes(bench, code, status, lasting):
    one = bench("sns")
    one.server.answers[:] = [one.refusal(status, code=code)]
    with pytest.raises(DeliveryError, match=code) as caught:
        one.deliver(ANYTHING)
    assert caught.value.lasting is lasting


def test_an_answer_of_sns_that_is_no_xml_is_worth_another_try(bench):
    with pytest.raises(DeliveryError) as caught:
        bench("sns", answers=[http(502, b"<html>Bad gateway")]).deliver(ANYTHING)
    assert not caught.value.lasting
