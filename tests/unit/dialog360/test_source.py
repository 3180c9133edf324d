"""The source over real sockets: what the wire can do, and what must never happen to a key."""

import gzip
import json
import logging
import resource
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.application.ports import Target
from wabawatch.domain.health import Failure, Report, status_of
from wabawatch.simulator.failures import stacked_gzip

MIB = 1024 * 1024
SHORT = timedelta(seconds=0.3)
BODY = json.dumps({"health_status": {"can_send_message": "AVAILABLE"}}).encode()


def chunked(*chunks):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def test_a_healthy_target_is_observed(world, server, key):
    world.clock.fixed = datetime(2026, 3, 1, tzinfo=UTC)
    (observation,) = world.source().observe(world.targets(), until=None)
    assert (observation.target, observation.observed_at) == ("n0", datetime(2026, 3, 1, tzinfo=UTC))
    assert status_of(observation.outcome) == "AVAILABLE"
    (request,) = server.requests
    assert request.head.startswith("GET /health_status HTTP/1.1\r\n")
    assert request.key == f"{key}-n0"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        pytest.param("", "/health_status", id="a-bare-host"),
        pytest.param("/", "/health_status", id="a-slash"),
        pytest.param("/proxy/waba/", "/proxy/waba/health_status", id="a-path"),
    ],
)
def test_the_base_url_of_a_target_goes_before_the_source_s(world, servers, server, path, asked):
    other = servers()
    targets = world.targets(base_url=other.url + path)
    assert isinstance(world.observe(targets)["n0"], Report)
    assert other.requests[0].head.split()[1] == asked
    assert not server.requests


@pytest.mark.parametrize(
    ("actions", "cause"),
    [
        pytest.param(lambda wire: [wire.http(BODY[:20])], "unreadable", id="truncated-json"),
        pytest.param(lambda wire: [wire.http(BODY, Content_Length=9999), "close"], "unreadable", id="a-short-body"),
        pytest.param(
            lambda wire: [wire.http(b"", Content_Length=None, Transfer_Encoding="chunked") + chunked(BODY), "close"],
            "unreadable",
            id="chunks-without-an-end",
        ),
        pytest.param(
            lambda wire: [wire.http(BODY[:9], Content_Length=99), "reset"], "unreachable", id="a-reset-midway"
        ),
        pytest.param(lambda _: ["reset"], "unreachable", id="a-reset-at-once"),
        pytest.param(lambda _: ["close"], "unreachable", id="a-close-at-once"),
        pytest.param(lambda _: [b"HTTP/1.1 200 OK\r\nX: ", "close"], "unreadable", id="a-close-in-the-headers"),
        pytest.param(lambda _: [b"220 mail.example ESMTP\r\n", "close"], "unreadable", id="another-protocol"),
        pytest.param(lambda _: [BODY, "close"], "unreadable", id="a-body-without-headers"),
        pytest.param(lambda wire: [wire.http(b" " * (MIB + 1))], "unreadable", id="a-body-over-the-limit"),
        pytest.param(lambda wire: [wire.http(b" " * 9 * MIB + BODY)], "unreadable", id="a-body-far-over-the-limit"),
        pytest.param(
            lambda wire: [wire.http(gzip.compress(b" " * 64 * MIB), Content_Encoding="gzip")],
            "unreadable",
            id="a-gzip-bomb",
        ),
        pytest.param(
            lambda wire: [wire.http(b"not gzip", Content_Encoding="gzip")],
            "unreadable",
            id="a-compression-that-is-none",
        ),
        pytest.param(
            lambda wire: [wire.http(gzip.compress(BODY)[:-9], Content_Encoding="gzip")],
            "unreadable",
            id="a-compression-without-its-end",
        ),
        pytest.param(
            lambda wire: [wire.http(gzip.compress(BODY) + b"x", Content_Encoding="gzip")],
            "unreadable",
            id="bytes-after-the-compression",
        ),
        pytest.param(
            lambda wire: [wire.http(gzip.compress(b"") * 50_000, Content_Encoding="gzip")],
            "unreadable",
            id="many-members-of-gzip",
        ),
        pytest.param(
            lambda wire: [wire.http(stacked_gzip(1) + b"a" * 2 * MIB, Content_Encoding="gzip")],
            "unreadable",
            id="a-gzip-header-without-end",
        ),
        pytest.param(
            lambda wire: [
                wire.http(b"", Content_Length=None, Transfer_Encoding="gzip, chunked")
                + chunked(gzip.compress(BODY), b"")
            ],
            "unreadable",
            id="a-compressed-transfer",
        ),
        *(
            pytest.param(
                lambda wire, coding=coding: [wire.http(BODY, Content_Encoding=coding)],
                "unreadable",
                id=f"coding-{coding}",
            )
            for coding in (
                "snappy",
                "deflate",
                "br",
                "zstd",
                "x-gzip",
                "compress",
                "none",
                "gzip;q=1",
                "identity, gzip",
            )
        ),
        pytest.param(
            lambda wire: [wire.http(BODY, **{f"X{number}": "a" * 1000 for number in range(100)})],
            "unreadable",
            id="headers-over-the-limit",
        ),
        pytest.param(
            lambda wire: [wire.http(BODY, 500, Content_Length=999), "reset"], "provider_error", id="a-broken-500"
        ),
        pytest.param(lambda wire: [wire.http(b" " * 2 * MIB, 403)], "forbidden", id="a-403-over-the-limit"),
        pytest.param(
            lambda wire: [wire.http(BODY, 403, Content_Encoding="br")], "forbidden", id="a-403-in-another-compression"
        ),
        pytest.param(lambda wire: [wire.http(b"", 204, Content_Length=None)], "unreadable", id="no-content"),
    ],
)
def test_an_answer_that_breaks_is_a_failure_with_its_cause(world, server, wire, actions, cause):
    server.answer = lambda _: actions(wire)
    outcome = world.observe()["n0"]
    assert (outcome.cause, len(server.requests)) == (cause, 1)
    assert outcome.detail


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda wire: [wire.http(b" " * (MIB - len(BODY)) + BODY)], id="as-large-as-allowed"),
        pytest.param(lambda wire: [wire.http(gzip.compress(BODY), Content_Encoding="gzip")], id="gzip"),
        pytest.param(
            lambda wire: [wire.http(gzip.compress(BODY), Content_Encoding=" GZip ")], id="gzip-in-other-letters"
        ),
        pytest.param(
            lambda wire: [
                part for byte in wire.http(gzip.compress(BODY), Content_Encoding="gzip") for part in (bytes([byte]), 0)
            ],
            id="gzip-byte-by-byte",
        ),
        pytest.param(lambda wire: [wire.http(BODY, Content_Encoding="identity")], id="no-compression-by-name"),
        pytest.param(lambda wire: [wire.http(BODY, Content_Encoding="")], id="no-compression-without-a-name"),
        pytest.param(
            lambda wire: [
                b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: br\r\n\r\n"
                + wire.http(gzip.compress(BODY), Content_Encoding="gzip")
            ],
            id="another-compression-in-an-interim-answer",
        ),
        pytest.param(
            lambda wire: [wire.http(gzip.compress(b" " * (MIB - len(BODY)) + BODY), Content_Encoding="gzip")],
            id="gzip-as-large-as-allowed",
        ),
        pytest.param(
            lambda wire: [wire.http(b"", Content_Length=None, Transfer_Encoding="chunked") + chunked(BODY, b"")],
            id="chunked",
        ),
        pytest.param(lambda wire: [wire.http(BODY, Content_Length=None), "close"], id="until-the-connection-closes"),
        pytest.param(lambda wire: [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + wire.healthy()], id="early-hints"),
        pytest.param(lambda wire: [part for byte in wire.healthy() for part in (bytes([byte]), 0)], id="byte-by-byte"),
    ],
)
def test_an_answer_in_an_unusual_form_is_read(world, server, wire, answer):
    server.answer = lambda _: answer(wire)
    assert status_of(world.observe()["n0"]) == "AVAILABLE"


@pytest.mark.parametrize(
    ("body", "encoding", "detail"),
    [
        pytest.param(b" " * 2 * MIB, "identity", "the answer is larger than 1 MiB", id="large"),
        pytest.param(gzip.compress(b" " * 64 * MIB), "gzip", "the answer is larger than 1 MiB", id="large-inside"),
        pytest.param(
            stacked_gzip(1) + b"a" * 2 * MIB, "gzip", "the answer is larger than 1 MiB", id="a-gzip-header-without-end"
        ),
        pytest.param(BODY, "gzip", "the body is not the gzip that Content-Encoding says", id="no-gzip"),
        pytest.param(gzip.compress(BODY)[:-9], "gzip", "the gzip of the body has no end", id="gzip-without-its-end"),
        pytest.param(
            gzip.compress(BODY) * 2, "gzip", "the body goes on after the end of its gzip", id="two-members-of-gzip"
        ),
        pytest.param(BODY, "br", "Content-Encoding br; only gzip is read", id="another-encoding"),
    ],
)
def test_a_body_that_is_not_read_says_why(world, server, wire, body, encoding, detail):
    server.answer = lambda _: [wire.http(body, Content_Encoding=encoding)]
    assert world.observe()["n0"] == Failure("unreadable", detail)


def stacked(layers, *, repeated=False):
    """An answer of so many layers of gzip, listed in one header or each in a header of its own."""
    body = stacked_gzip(layers)
    listed = [b"gzip"] * layers if repeated else [b", ".join([b"gzip"] * layers)]
    encodings = b"".join(b"Content-Encoding: %s\r\n" % coding for coding in listed)
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (encodings, len(body), body)


def in_time(function):
    """What the function returns; a failure where that takes so long that the loop must have been held up."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
    thread.start()
    thread.join(15)
    assert not thread.is_alive(), "the probes' loop is held up"
    return found[0]


@pytest.mark.parametrize("repeated", [False, True], ids=["in-one-header", "in-a-header-each"])
@pytest.mark.parametrize("layers", [2, 4])
def test_stacked_encodings_are_refused_and_hold_up_nobody(world, server, wire, key, layers, repeated):
    answers = {f"{key}-n0": [stacked(layers, repeated=repeated)], f"{key}-n1": [0.2, wire.healthy()]}
    server.answer = lambda request: answers[request.key]
    outcomes = in_time(lambda: world.observe(world.targets(2), timeout=timedelta(seconds=1)))
    assert outcomes["n0"] == Failure("unreadable", "more than one Content-Encoding; only a single gzip is read")
    assert isinstance(outcomes["n1"], Report)


def test_a_pass_can_be_stopped_while_stacked_encodings_come_in(world, server, key):
    server.answer = lambda request: [60] if request.key == f"{key}-n1" else [stacked(4)]
    looks = []
    observations = world.source(timeout=timedelta(seconds=30), concurrency=2).observe(
        world.targets(2), until=None, should_stop=lambda: len(looks) > 2 or looks.append(1)
    )
    assert [one.target for one in in_time(lambda: list(observations))] == ["n0"]


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param(lambda _: [60], id="silence"),
        pytest.param(lambda _: [b"HTTP/1.1 200 ", *[b"a", 0.02] * 1000], id="a-status-line-without-end"),
        pytest.param(lambda _: [b"HTTP/1.1 200 OK\r\n", *[b"X: a\r\n", 0.02] * 1000], id="headers-that-trickle"),
        pytest.param(
            lambda wire: [wire.http(BODY, Content_Length=10**6), *[b" ", 0.02] * 1000], id="a-body-that-trickles"
        ),
        pytest.param(
            lambda _: [b"HTTP/1.1 100 Continue\r\n\r\n", *[b"HTTP/1.1 100 Continue\r\n\r\n", 0.02] * 1000],
            id="interim-answers-without-end",
        ),
        pytest.param(lambda wire: [wire.http(b"", 503, Content_Length=9), 60], id="an-error-without-its-body"),
    ],
)
def test_no_answer_holds_a_probe_beyond_its_time(world, server, wire, stopwatch, actions):
    server.answer = lambda _: actions(wire)
    assert world.observe(timeout=SHORT)["n0"].cause == "timeout"
    assert stopwatch() < 4, "it must be far from the 20 s and more that the server would go on for"


def test_a_host_that_takes_no_connection_is_a_timeout(world):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        filling = [socket.socket() for _ in range(3)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        outcome = world.observe(world.targets(base_url=url), timeout=SHORT)["n0"]
        for one in filling:
            one.close()
    assert (outcome.cause, outcome.detail) == ("timeout", "no connection within 0.3 s")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:1", id="a-port-that-is-closed"),
        pytest.param("http://nowhere.invalid", id="a-name-that-is-not-known"),
        pytest.param("https://127.0.0.1:1", id="a-closed-port-with-tls"),
        pytest.param("http://[", id="no-url"),
        pytest.param("http://127.0.0.1:99999", id="no-port"),
    ],
)
def test_a_host_that_is_not_there_is_unreachable(world, url):
    assert world.observe(world.targets(base_url=url))["n0"].cause == "unreachable"


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "telnet", "smtp"])
def test_only_http_is_spoken(world, server, scheme):
    outcome = world.observe(world.targets(base_url=f"{scheme}://127.0.0.1:{server.port}"))["n0"]
    assert isinstance(outcome, Failure)
    assert server.connections == 0


def test_an_answer_without_tls_where_tls_is_due_is_unreachable(world, servers, wire):
    def speak_plainly(stream):
        stream.sendall(wire.healthy())
        return stream

    plain = servers(wrap=speak_plainly)
    url = plain.url.replace("http:", "https:")
    assert world.observe(world.targets(base_url=url))["n0"].cause == "unreachable"
    assert not plain.requests


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_host_never_hears_of_us(world, server, servers, wire, status):
    elsewhere = servers()
    server.answer = lambda _: [wire.http(b"", status, Location=f"{elsewhere.url}/health_status")]
    outcome = world.observe()["n0"]
    assert outcome.cause == "redirected"
    assert elsewhere.url in outcome.detail
    assert (elsewhere.connections, len(server.requests)) == (0, 1)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"])
def test_a_proxy_of_the_environment_never_gets_the_key(world, server, servers, monkeypatch, name):
    proxy = servers()
    monkeypatch.setenv(name, proxy.url)
    assert isinstance(world.observe()["n0"], Report)
    assert (proxy.connections, len(server.requests)) == (0, 1)


def test_credentials_of_netrc_are_not_sent(world, server, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password pass\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    world.observe()
    assert "authorization" not in server.requests[0].headers


def test_each_key_goes_to_its_own_target_s_host_only(world, servers, key):
    hosts = [servers() for _ in range(3)]
    targets = [Target(f"n{number}", "", f"env:K{number}", base_url=hosts[number % 3].url) for number in range(30)]
    world.targets(30)
    world.observe(targets, concurrency=4)
    for number, host in enumerate(hosts):
        assert {request.key for request in host.requests} == {f"{key}-n{each}" for each in range(number, 30, 3)}


def test_connections_are_kept_within_a_pass_and_for_the_next(world, server):
    source = world.source(concurrency=4)
    for _ in range(3):
        world.observe(world.targets(20), source)
    assert (len(server.requests), server.connections) == (60, 4)


def test_a_kept_connection_that_turns_out_dead_is_replaced_once(world, server, wire):
    source = world.source()
    world.observe(world.targets(), source)
    server.answer = lambda request: ["reset"] if request.turn > 1 else [wire.healthy()]
    assert isinstance(world.observe(world.targets(), source)["n0"], Report)
    assert [(one.connection, one.turn) for one in server.requests] == [(1, 1), (1, 2), (2, 1)]


def test_many_dead_connections_cost_each_probe_one_retry_at_most(world, server, wire):
    source = world.source(concurrency=8)
    server.answer = lambda _: [0.05, wire.healthy()]
    world.observe(world.targets(8), source)
    server.requests.clear()
    server.answer = lambda request: ["reset"] if request.turn > 1 else [wire.healthy()]
    outcomes = world.observe(world.targets(8), source)
    assert all(isinstance(outcome, Report) for outcome in outcomes.values())
    sent = [request.key for request in server.requests]
    assert max(sent.count(one) for one in sent) == 2


def test_a_retry_that_is_reset_too_is_the_last(world, server):
    source = world.source(concurrency=4)
    world.observe(world.targets(4), source)
    server.requests.clear()
    server.answer = lambda _: ["reset"]
    outcomes = world.observe(world.targets(1), source)
    assert outcomes["n0"].cause == "unreachable"
    assert len(server.requests) == 2


def test_a_reset_in_the_middle_of_an_answer_is_not_retried(world, server, wire):
    source = world.source()
    world.observe(world.targets(), source)
    server.answer = lambda _: [wire.http(BODY[:9], Content_Length=99), "reset"]
    assert world.observe(world.targets(), source)["n0"].cause == "unreachable"
    assert len(server.requests) == 2


def test_no_more_probes_are_under_way_than_allowed(world, server, wire):
    server.answer = lambda _: [0.01, wire.healthy()]
    assert len(world.observe(world.targets(50), concurrency=5)) == 50
    assert server.connections == 5


def test_one_target_s_trouble_is_not_another_s(world, server, wire, key):
    trouble = {f"{key}-n1": ["reset"], f"{key}-n2": [60], f"{key}-n3": [b"\0"], f"{key}-n4": [wire.http(b"", 500)]}
    server.answer = lambda request: trouble.get(request.key, [wire.healthy()])
    outcomes = world.observe(world.targets(8), timeout=timedelta(seconds=1))
    assert [name for name, outcome in sorted(outcomes.items()) if isinstance(outcome, Report)] == [
        "n0",
        "n5",
        "n6",
        "n7",
    ]


def test_observations_come_as_they_are_made(world, server, wire, key):
    server.answer = lambda request: [60] if request.key == f"{key}-n0" else [wire.healthy()]
    observations = world.source(concurrency=2).observe(world.targets(10), until=None)
    assert [next(observations).target for _ in range(9)] == [f"n{number}" for number in range(1, 10)]
    observations.close()


def test_a_pass_that_is_left_drops_what_was_under_way(world, server, wire):
    source = world.source()
    server.answer = lambda _: [wire.healthy()] if len(server.requests) == 1 else [0.2, wire.healthy()]
    observations = source.observe(world.targets(5), until=None)
    next(observations)
    observations.close()
    server.answer = lambda _: [wire.healthy("LIMITED")]
    again = [status_of(one.outcome) for one in source.observe(world.targets(5), until=None)]
    assert again == ["LIMITED"] * 5


def test_an_answer_that_waits_while_the_caller_is_busy_is_not_late(world, stopwatch):
    observations = world.source(timeout=SHORT, concurrency=2).observe(world.targets(2), until=None)
    first = next(observations)
    while stopwatch() < 0.8:
        pass
    assert isinstance(first.outcome, Report)
    assert isinstance(next(observations).outcome, Report)


def test_no_probe_starts_after_the_end_of_the_pass(world):
    world.clock.fixed = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    observations = world.source(concurrency=2).observe(world.targets(10), until=world.clock.fixed + SHORT)
    first = next(observations)
    world.clock.fixed += SHORT
    assert 2 <= 1 + len(list(observations)) <= 3
    assert isinstance(first.outcome, Report)


def test_a_pass_without_time_probes_nothing(world, server):
    assert world.observe(world.targets(3), until=datetime(2020, 1, 1, tzinfo=UTC)) == {}
    assert server.connections == 0


def test_a_pass_that_is_stopped_leaves_soon_though_answers_are_outstanding(world, server, stopwatch, key, wire):
    server.answer = lambda request: [60] if request.key == f"{key}-n1" else [wire.healthy()]
    stopped = []
    observations = world.source(timeout=timedelta(seconds=30), concurrency=2).observe(
        world.targets(10), until=None, should_stop=lambda: bool(stopped)
    )
    assert next(observations).target == "n0"
    stopped.append(True)
    assert "n1" not in {one.target for one in observations}
    assert stopwatch() < 10


# --- keys


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("abc\r\nX-Injected: 1", id="a-line-break"),
        pytest.param("abc\n", id="a-line-feed-at-the-end"),
        pytest.param("schlüssel", id="an-umlaut"),
        pytest.param("ключ", id="another-script"),
        pytest.param("a b", id="a-space"),
        pytest.param("a\x00b", id="a-null"),
        pytest.param("", id="nothing"),
        pytest.param("x" * 5000, id="far-too-long"),
        pytest.param("x" * 7, id="too-short"),
        pytest.param("k", id="one-letter"),
    ],
)
def test_a_key_that_cannot_be_one_is_not_sent(world, server, key):
    targets = world.targets()
    world.keys.held = {"env:K0": key}
    outcome = world.observe(targets)["n0"]
    assert outcome.cause == "key_unreadable"
    assert outcome.detail.startswith("env:K0: ")
    assert len(key) < 2 or key not in outcome.detail
    assert server.connections == 0


def test_a_key_of_the_least_length_is_sent(world, server):
    world.keys.held = {"env:K0": "12345678"}
    assert isinstance(world.observe()["n0"], Report)
    assert server.requests[0].key == "12345678"


def test_a_reference_that_leads_nowhere_is_told(world):
    targets = world.targets(2)
    del world.keys.held["env:K0"]
    outcomes = world.observe(targets)
    assert outcomes["n0"] == Failure("key_unreadable", "env:K0: not there")
    assert isinstance(outcomes["n1"], Report)


def test_a_key_that_was_not_fetched_in_time_is_told_as_that_and_its_target_is_not_asked(world, server):
    targets = world.targets(2)
    world.keys.late = {"env:K0"}
    outcomes = world.observe(targets)
    assert outcomes["n0"] == Failure("key_not_fetched", "env:K0: the time was over")
    assert isinstance(outcomes["n1"], Report)
    assert len(server.requests) == 1


def test_keys_may_be_read_for_half_of_the_pass(world):
    world.clock.fixed = began = datetime(2026, 3, 1, tzinfo=UTC)
    world.observe(world.targets(), until=began + timedelta(seconds=100))
    assert not world.keys.is_over()
    world.clock.fixed = began + timedelta(seconds=50)
    assert world.keys.is_over()


def test_a_connection_that_no_descriptor_is_left_for_says_nothing_of_the_target(world, server):
    targets, source = world.targets(2), world.source()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        outcomes = world.observe(targets, source)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {one.cause for one in outcomes.values()} == {"no_descriptors"}
    assert server.connections == 0
    assert all(isinstance(one, Report) for one in world.observe(targets, source).values())


def test_the_keys_of_a_pass_are_read_together(world):
    targets = [*world.targets(3), Target("again", "", "env:K0")]
    world.observe(targets)
    assert world.keys.prefetched == [["env:K0", "env:K1", "env:K2"]]
    assert world.keys.refreshed == []


def test_a_key_that_was_rotated_works_at_once(world, server, wire):
    targets = world.targets(3)
    server.answer = lambda one: [
        wire.healthy() if one.key in ("fresh-key", "good-key") else wire.http({"error": "key"}, 401)
    ]
    world.keys.held = {"env:K0": "old-key-", "env:K1": "good-key", "env:K2": "bad-key-"}
    world.keys.renewed = {"env:K0": "fresh-key"}
    outcomes = world.observe(targets)
    assert {name: getattr(outcome, "cause", "") for name, outcome in outcomes.items()} == {
        "n0": "",
        "n1": "",
        "n2": "unauthorized",
    }
    (refreshed,) = world.keys.refreshed
    assert sorted(refreshed) == ["env:K0", "env:K2"]
    assert [request.key for request in server.requests].count("bad-key-") == 1


def test_a_rotated_key_that_is_refused_too_is_unauthorized(world, server, wire):
    targets = world.targets()
    server.answer = lambda _: [wire.http(b"", 401)]
    world.keys.renewed = {"env:K0": "fresh-key"}
    assert world.observe(targets)["n0"].cause == "unauthorized"
    assert [request.key for request in server.requests][1:] == ["fresh-key"]


def test_a_key_that_is_gone_when_it_is_read_again_is_told(world, server, wire):
    targets = world.targets()
    server.answer = lambda _: [wire.http(b"", 401)]
    world.keys.refresh = lambda *_: world.keys.held.clear()
    assert world.observe(targets)["n0"].cause == "key_unreadable"


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 500])
def test_a_key_that_the_server_echoes_is_nowhere(world, server, wire, key, status, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    server.answer = lambda request: [
        wire.http({"error": request.key}, status, Location=f"/{request.key}", Retry_After=0)
    ]
    source = world.source()
    outcomes = world.observe(world.targets(3), source)
    shown = repr(outcomes) + repr(vars(source)) + caplog.text + "".join(capfd.readouterr())
    assert len(outcomes) == 3
    assert key not in shown


def test_an_error_of_our_own_is_one_target_s_and_keeps_the_key(world, key, monkeypatch, caplog):
    def explode(answer, target, *_):
        if target == "n1":
            raise RuntimeError(f"no idea what {key} means in {answer.body!r}")
        return Report((), {"can_send_message": "AVAILABLE"})

    monkeypatch.setattr("wabawatch.adapters.dialog360.parse_response", explode)
    outcomes = world.observe(world.targets(3))
    assert outcomes["n1"] == Failure("unreadable", "unexpected RuntimeError; see the log")
    assert isinstance(outcomes["n0"], Report)
    assert isinstance(outcomes["n2"], Report)
    assert "the probe of n1 failed with RuntimeError" in caplog.text
    assert key not in caplog.text


def test_an_error_of_our_own_before_the_request_is_one_target_s(world):
    targets = world.targets(2)
    world.keys.held["env:K0"] = None
    outcomes = world.observe(targets)
    assert outcomes["n0"].cause == "unreadable"
    assert isinstance(outcomes["n1"], Report)


# --- pace


def test_requests_per_second_are_kept(world, server):
    source = world.source(requests_per_second=100)
    starts = []
    server.answer = lambda _: (starts.append(time.monotonic()), [b"HTTP/1.1 204 X\r\n\r\n"])[1]
    assert len(world.observe(world.targets(31), source)) == 31
    assert max(starts) - min(starts) > 0.15, "30 gaps of 10 ms, less what may be made up for, and a slow server"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(429, b"", id="429"),
        pytest.param(400, b"You exceeded the endpoint rate limit", id="400-rate-limit"),
    ],
)
def test_a_number_that_is_throttled_holds_up_no_other_and_is_left_alone_itself(world, server, wire, key, status, body):
    throttled = wire.http(body, status, Retry_After=200)
    server.answer = lambda one: [throttled if one.key == f"{key}-n1" else wire.healthy()]
    source, until = world.source(concurrency=2), datetime.now(UTC) + timedelta(seconds=20)
    first = world.observe(world.targets(20), source, until=until)
    assert (len(first), first["n1"].cause) == (20, "throttled")
    assert set(world.observe(world.targets(20), source, until=until)) == first.keys() - {"n1"}
    assert [one.key for one in server.requests].count(f"{key}-n1") == 1


def test_a_few_numbers_that_are_throttled_do_not_hold_up_the_fleet(world, server, wire, key):
    bad = {f"{key}-n{number}" for number in range(0, 40, 4)}
    server.answer = lambda one: [wire.http(b"", 429, Retry_After=200) if one.key in bad else wire.healthy()]
    outcomes = world.observe(world.targets(40), until=datetime.now(UTC) + timedelta(seconds=20), concurrency=1)
    assert len(outcomes) == 40


def test_a_host_that_throttles_several_numbers_is_left_alone_for_as_long_as_it_asks(world, server, wire):
    times = []

    def answer(_):
        times.append(time.monotonic())
        return [wire.http(b"", 429, Retry_After=1) if len(times) <= 3 else wire.healthy()]

    server.answer = answer
    outcomes = world.observe(world.targets(5), concurrency=1)
    assert [getattr(outcome, "cause", "") for outcome in outcomes.values()] == ["throttled"] * 3 + [""] * 2
    assert times[3] - times[2] > 0.8


def test_targets_of_a_host_that_asks_for_more_time_than_there_is_are_skipped(world, server, servers, wire):
    other = servers()
    server.answer = lambda _: [wire.http(b"", 429, Retry_After=200)]
    targets = [*world.targets(6), Target("elsewhere", "", "env:K0", base_url=other.url)]
    outcomes = world.observe(targets, until=datetime.now(UTC) + timedelta(seconds=20), concurrency=1)
    assert set(outcomes) == {"n0", "n1", "n2", "elsewhere"}
    assert isinstance(outcomes["elsewhere"], Report)
    assert len(server.requests) == 3


def test_a_wait_lasts_into_the_next_pass(world, server, wire):
    source = world.source(concurrency=1)
    server.answer = lambda _: [wire.http(b"", 429, Retry_After=200)]
    until = datetime.now(UTC) + timedelta(seconds=20)
    assert set(world.observe(world.targets(5), source, until=until)) == {"n0", "n1", "n2"}
    assert set(world.observe(world.targets(5), source, until=until)) == set()
    assert len(server.requests) == 3


def test_one_number_s_503_with_a_wait_holds_up_no_other(world, server, wire, key):
    server.answer = lambda one: [wire.http(b"", 503, Retry_After=200) if one.key == f"{key}-n0" else wire.healthy()]
    outcomes = world.observe(world.targets(3), concurrency=1)
    assert outcomes["n0"] == Failure("provider_error", "HTTP 503", 200)
    assert [isinstance(outcomes[name], Report) for name in ("n1", "n2")] == [True, True]
