"""What each answer means for a delivery, for every notifier that speaks HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.notifiers.harness import OVER_HTTP
from tests.contract.notifiers.notifications import STORIES
from tests.contract.notifiers.server import flood, http, reset, silence, trickle
from wabawatch.application.ports import SubscriptionCounts
from wabawatch.errors import DeliveryError

ANYTHING = STORIES["opened"]
overall = pytest.mark.parametrize("kind", OVER_HTTP)


@overall
def test_an_acceptance_is_a_receipt_that_hands_the_thread_back(bench, kind):
    assert bench(kind).deliver(ANYTHING, {"ts": "1"}).thread == {"ts": "1"}


@overall
@pytest.mark.parametrize("asked", ["Wed, 21 Oct 2015 07:28:00 -0000", "soon", "999999999999"])
def test_an_acceptance_is_one_whatever_its_headers_say(bench, kind, asked):
    one = bench(kind)
    one.server.answers[:] = [one.accepted.replace(b"\r\n\r\n", f"\r\nRetry-After: {asked}\r\n\r\n".encode(), 1)]
    one.deliver(ANYTHING)


@overall
@pytest.mark.parametrize("status", [401, 403, 404, 405, 410])
def test_a_refusal_lasts_until_somebody_acts(bench, kind, status):
    error = refused(bench(kind), status)
    assert (error.kind, error.retry_after) == ("destination", None)


@overall
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_message_that_is_refused_says_nothing_of_the_next_one(bench, kind, status):
    one = bench(kind)
    error = refused(one, status, **({"code": "InvalidParameter"} if kind == "sns" else {}))
    assert (error.kind, error.retry_after) == ("message", None)


def refused(bench, status, **given):
    """What comes of a delivery that is answered with this status, which asks for a wait as well."""
    bench.server.answers[:] = [bench.refusal(status, Retry_After="37", **given)]
    with pytest.raises(DeliveryError) as caught:
        bench.deliver(ANYTHING)
    return caught.value


@overall
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_worth_another_try(bench, kind, status):
    one = bench(kind)
    one.server.answers[:] = [one.refusal(status)]
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert not caught.value.permanent
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
        pytest.param("Wed, 21 Oct 2015 07:28:00 -0000", 0.0, id="a-date-without-a-zone-is-in-utc"),
        pytest.param("Wed, 21 Oct 20155555 07:28:00 GMT", None, id="a-date-that-cannot-be-says-nothing"),
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
    assert caught.value.kind == "destination" or kind == "sns"
    assert other.server.requests == []


@pytest.mark.parametrize("kind", ["slack", "webhook"])
def test_no_more_of_a_redirect_is_read_than_of_any_answer(bench, kind):
    one = bench(kind, patience=1.0)
    one.server.answers[:] = [endless_redirect]
    with pytest.raises(DeliveryError, match="redirect") as caught:
        one.deliver(ANYTHING)
    assert caught.value.kind == "destination"


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
    assert not caught.value.permanent


@overall
def test_a_destination_that_is_not_there_is_worth_another_try(bench, kind):
    one = bench(kind)
    one.close()
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert not caught.value.permanent


@pytest.mark.parametrize("word", ["invalid_token", "no_service", "channel_is_archived", "action_prohibited"])
@pytest.mark.parametrize("status", [200, 400, 403, 404, 410])
def test_slack_has_words_for_what_only_people_can_help(bench, word, status):
    one = bench("slack", answers=[http(status, word.encode())])
    with pytest.raises(DeliveryError, match=word) as caught:
        one.deliver(ANYTHING)
    assert caught.value.kind == "destination"
    assert len(one.server.requests) == 1


def test_a_page_that_is_not_slacks_is_no_acceptance(bench):
    with pytest.raises(DeliveryError) as caught:
        bench("slack", answers=[http(200, b"<html>Please log in</html>")]).deliver(ANYTHING)
    assert not caught.value.permanent


@pytest.mark.parametrize("body", [b"invalid_payload", b"invalid_blocks", b"msg_blocks_too_long"])
def test_what_slack_does_not_understand_is_said_in_plain_text(bench, body):
    one = bench("slack", answers=[http(400, body), http(200, b"ok")])
    one.deliver(ANYTHING)
    assert len(one.server.requests) == 2
    assert "blocks" not in one.sent
    assert "141006" in one.sent["text"]


@pytest.mark.parametrize("word", ["invalid_payload", "msg_blocks_too_long", "no_text"])
@pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
def test_slack_has_words_for_a_message_that_it_does_not_want(bench, word, status):
    one = bench("slack", answers=[http(status, word.encode())])
    with pytest.raises(DeliveryError, match=word) as caught:
        one.deliver(ANYTHING)
    assert caught.value.kind == "message"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        pytest.param("AuthorizationError", 403, "destination", id="no-permission-lasts"),
        pytest.param("NotFound", 404, "destination", id="no-topic-lasts"),
        pytest.param("InvalidParameter", 400, "message", id="a-bad-parameter-is-of-the-message"),
        pytest.param("KMSAccessDenied", 400, "destination", id="no-use-of-the-key-lasts"),
        pytest.param("InvalidClientTokenId", 403, "destination", id="a-bad-credential-lasts"),
        pytest.param("Throttled", 400, "passing", id="throttling-passes"),
        pytest.param("ThrottlingException", 400, "passing", id="throttling-by-its-other-name-passes"),
        pytest.param("KMSThrottling", 400, "passing", id="throttling-of-the-key-passes"),
        pytest.param("ExpiredToken", 403, "passing", id="an-expired-credential-is-renewed"),
        pytest.param("InternalError", 500, "passing", id="their-own-failure-passes"),
        pytest.param("EndpointDisabled", 400, "destination", id="what-nobody-knows-under-400-is-of-the-topic"),
    ],
)
def test_sns_says_by_its_code_whether_it_passes(bench, code, status, kind):
    one = bench("sns")
    one.server.answers[:] = [one.refusal(status, code=code)]
    with pytest.raises(DeliveryError, match=code) as caught:
        one.deliver(ANYTHING)
    assert caught.value.kind == kind


def test_the_subscriptions_of_a_topic_are_counted(bench):
    counts = {"SubscriptionsConfirmed": 2, "SubscriptionsPending": 1, "SubscriptionsDeleted": 3}
    entries = "".join(f"<entry><key>{name}</key><value>{count}</value></entry>" for name, count in counts.items())
    found = f"<GetTopicAttributesResult><Attributes>{entries}</Attributes></GetTopicAttributesResult>"
    body = f"<GetTopicAttributesResponse>{found}</GetTopicAttributesResponse>".encode()
    one = bench("sns", answers=[http(200, body, Content_Type="text/xml")])
    assert one.notifier.count_subscriptions() == SubscriptionCounts(2, 1, 3)


def test_subscriptions_that_cannot_be_counted_fail_as_a_delivery_does(bench):
    one = bench("sns")
    one.server.answers[:] = [one.refusal(403, code="AuthorizationError")]
    with pytest.raises(DeliveryError, match="AuthorizationError") as caught:
        one.notifier.count_subscriptions()
    assert caught.value.kind == "destination"


def test_an_answer_of_sns_that_is_no_xml_is_worth_another_try(bench):
    with pytest.raises(DeliveryError) as caught:
        bench("sns", answers=[http(502, b"<html>Bad gateway")]).deliver(ANYTHING)
    assert not caught.value.permanent
