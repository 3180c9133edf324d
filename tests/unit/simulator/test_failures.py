"""Every failure, over a real socket."""

import gzip
import http.client
import json
import zlib

import pytest

from wabawatch.simulator import FAILURES

HTTP_FAILURES = {
    "unauthorized": (401, "api key"),
    "unauthorized_says_404": (401, '"http_code":404'),
    "forbidden": (403, '"type":"OAuthException"'),
    "rate_limit": (400, "exceeded the endpoint rate limit"),
    "throttled": (429, "limit reached"),
    "disabled": (400, "has been disabled"),
    "payment_overdue": (400, "payment of the overdue invoices"),
    "bad_request": (400, "GraphMethodException"),
    "not_found": (404, '{"error":"'),
    "rejected": (422, '{"error":"'),
    "server_error": (500, '{"error":"'),
    "bad_gateway": (502, "not available"),
    "bad_gateway_html": (502, "<html>"),
    "unavailable": (503, "httpCode"),
    "html": (200, "<!DOCTYPE html>"),
    "text": (200, "OK"),
    "empty_object": (200, "{}"),
    "empty_list": (200, "[]"),
    "null": (200, "null"),
    "empty_body": (200, ""),
    "not_utf8": (200, "health_status"),
    "redirect": (302, ""),
}


@pytest.mark.parametrize(
    ("kind", "status", "text"), [(kind, *expected) for kind, expected in HTTP_FAILURES.items()], ids=HTTP_FAILURES
)
def test_answers_with_the_status_and_the_text_of_the_failure(server, client, kind, status, text):
    server.set("support-de", failure=kind)
    answered, headers, body = client.get()
    assert (answered, int(headers["Content-Length"])) == (status, len(body))
    assert text in body.decode("utf-8", "replace")


def test_the_two_envelopes_of_the_provider_differ_in_their_case(server, client):
    server.set("support-de", failure="unauthorized")
    snake = json.loads(client.get()[2])["meta"]
    server.set("support-de", failure="disabled")
    camel = json.loads(client.get()[2])["meta"]
    assert set(snake) == {"success", "http_code", "developer_message"}
    assert set(camel) == {"success", "httpCode", "developerMessage"}


def test_graph_s_envelope_has_message_type_and_code(server, client):
    server.set("support-de", failure="forbidden")
    assert {"message", "type", "code"} <= set(json.loads(client.get()[2])["error"])


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        pytest.param("throttled", "30", id="a 429 says when to come back"),
        pytest.param({"kind": "throttled", "retry_after": 7}, "7", id="seconds can be chosen"),
        pytest.param({"kind": "rate_limit", "retry_after": 5}, "5", id="a 400 can say it too"),
        pytest.param("rate_limit", None, id="a 400 does not say it by itself"),
        pytest.param(
            {"kind": "unavailable", "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"},
            "Wed, 21 Oct 2026 07:28:00 GMT",
            id="a date is possible",
        ),
    ],
)
def test_retry_after(server, client, failure, wait):
    server.set("support-de", failure=failure)
    assert client.get()[1]["Retry-After"] == wait


def test_a_redirect_leads_to_another_host_or_the_configured_location(server, client):
    server.set("support-de", failure="redirect")
    assert client.get()[1]["Location"] == "http://elsewhere.invalid/health_status"
    server.set("support-de", failure={"kind": "redirect", "location": f"{server.url}/trap"})
    assert client.get()[1]["Location"] == f"{server.url}/trap"


def test_a_slow_response_is_complete_and_late(server, client):
    server.set("support-de", failure={"kind": "slow", "delay": "30s"})
    connection = client.connect()
    connection.timeout = 0.2
    with pytest.raises(TimeoutError):
        client.get(connection)
    connection.close()
    server.set("support-de", failure={"kind": "slow", "delay": "10ms"})
    assert client.health()["health_status"]["can_send_message"] == "AVAILABLE"


def test_truncated_json_has_a_right_length_and_no_end(server, client):
    server.set("support-de", failure="truncated")
    status, headers, body = client.get()
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_a_short_body_ends_before_its_announced_length(server, client):
    server.set("support-de", failure="short_body")
    with pytest.raises(http.client.IncompleteRead):
        client.get()


def test_a_reset_comes_before_any_byte(server, client):
    server.set("support-de", failure="reset")
    with pytest.raises(ConnectionResetError):
        client.raw()


def test_a_reset_midway_follows_half_an_answer(server, client):
    server.set("support-de", failure="reset_midway")
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        client.get()


def test_reset_reused_fails_once_and_never_on_a_new_connection(server, client):
    connection = client.connect()
    assert client.get(connection)[0] == 200
    server.set("support-de", failure="reset_reused")
    assert client.get()[0] == 200, "a new connection is spared"
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        client.get(connection)
    connection.close()
    again = client.connect()
    assert [client.get(again)[0] for _ in range(2)] == [200, 200], "the second try succeeds"
    again.close()


def test_no_http_sends_bytes_that_are_not_http(server, client):
    server.set("support-de", failure="no_http")
    assert client.raw().startswith(b"220 ")


@pytest.mark.parametrize(
    ("kind", "start", "drip"),
    [
        pytest.param("trickle_headers", b"HTTP/1.1 200 OK\r\n", b"X-Padding: a\r\n", id="headers never end"),
        pytest.param("trickle_body", b"HTTP/1.1 200", b"1\r\n \r\n", id="the body never ends"),
    ],
)
def test_a_trickle_never_ends(server, client, kind, start, drip):
    server.set("support-de", failure={"kind": kind, "every": "1ms"})
    received = client.raw(limit=1000)
    assert received.startswith(start)
    assert received.endswith(drip)
    assert received.count(drip) > 50


def test_an_oversize_body_hides_a_healthy_answer_behind_its_padding(server, client):
    server.set("support-de", failure="oversize")
    body = client.get()[2]
    assert len(body) > 2 * 1024 * 1024
    assert json.loads(body)["health_status"]["can_send_message"] == "AVAILABLE"


def test_a_gzip_bomb_is_small_on_the_wire_and_large_when_opened(server, client):
    server.set("support-de", failure={"kind": "gzip_bomb", "size": 8 * 1024 * 1024 + 3})
    _, headers, body = client.get()
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 50_000
    opened = gzip.decompress(body)
    assert len(opened) > 8 * 1024 * 1024
    assert json.loads(opened)["health_status"]["can_send_message"] == "AVAILABLE"


def test_stacked_gzip_is_small_on_the_wire_and_never_ends_inside(server, client):
    server.set("support-de", failure="stacked_gzip")
    _, headers, body = client.get()
    assert headers["Content-Encoding"] == "gzip, gzip, gzip, gzip"
    assert len(body) < 20_000
    for _ in range(3):
        inner = zlib.decompressobj(wbits=31).decompress(body, 1024 * 1024)
        assert len(inner) == 1024 * 1024
        body = inner
    assert zlib.decompressobj(wbits=31).decompress(body) == b"", "a name without end gives nothing"


def test_an_entity_flood_has_new_entities_in_each_response(server, client):
    server.set("support-de", failure="entity_flood")
    floods = [{entity["id"] for entity in client.health()["health_status"]["entities"]} for _ in range(2)]
    assert [len(flood) for flood in floods] == [1000, 1000]
    assert not floods[0] & floods[1]


def test_a_gzipped_answer_is_a_healthy_one(server, client):
    server.set("support-de", failure="gzip")
    body = client.get()[2]
    assert "health_status" in json.loads(zlib.decompress(body, wbits=31))


def test_a_failure_can_be_limited_to_a_number_of_requests(server, client):
    server.set("support-de", failure={"kind": "bad_gateway", "times": 2})
    assert [client.get()[0] for _ in range(3)] == [502, 502, 200]


def test_a_failure_applies_to_its_number_only_and_ends_with_none(server, client):
    server.set("orders-es", failure="bad_gateway")
    assert client.get()[0] == 200
    server.set("*", failure="forbidden")
    assert client.get()[0] == 403
    server.set("*", failure="none")
    assert client.get()[0] == 200


def test_every_failure_is_tried_here():
    tried = {
        *HTTP_FAILURES, "slow", "truncated", "short_body", "reset", "reset_midway", "reset_reused", "no_http",
        "trickle_headers", "trickle_body", "oversize", "gzip", "gzip_bomb", "stacked_gzip",
        "entity_flood",
    }  # fmt: skip
    assert tried == set(FAILURES)
