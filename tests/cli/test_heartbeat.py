"""The heartbeat, from a run of the command line to a switch."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


def test_the_heartbeat_is_sent_once_for_each_run_and_a_switch_that_is_away_stops_nothing(site):
    with pings() as server:
        site.configure(heartbeat={"url": server.url})
        site.once(times=2)
        site.server.set("*", failure="unauthorized")
        site.once()
    assert server.paths == ["/ping/start", "/ping"] * 2 + ["/ping/start", "/ping/fail"]
    assert site.once()["targets"]["unknown"] == 3


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("Retry-After", "Wed, 21 Oct 2015 07:28:00 -0000", id="a date without a zone"),
        pytest.param("Retry-After", "9" * 5000, id="a number without end"),
        pytest.param("Content-Encoding", "gzip", id="an encoding that it is not in"),
        pytest.param("Location", "https://[", id="a place that cannot be"),
    ],
)
def test_whatever_the_switch_answers_beside_a_success_is_a_success(site, header, value):
    with pings(**{header: value}) as server:
        site.configure(heartbeat={"url": server.url})
        site.once(times=2)
    assert server.paths == ["/ping/start", "/ping"] * 2


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://[", id="a broken host"),
        pytest.param("https://hc.example.test:99999/hidden", id="a port that cannot be"),
        pytest.param("http://hc.example.test/hidden", id="an unencrypted one"),
        pytest.param("http://169.254.169.254/latest/hidden", id="the metadata service"),
        pytest.param("hidden", id="no address at all"),
        pytest.param("https://hc.example.test/hidden\tx", id="a control character"),
    ],
)
def test_a_secret_that_is_no_address_of_a_switch_stops_no_run_and_is_told_in_one_line(site, url, monkeypatch):
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *given, **_: asked.append(given) or [])
    monkeypatch.setenv("SWITCH", url)
    site.configure(heartbeat={"url": "env:SWITCH"})
    done = site.call("run", "--once", "--json")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stderr.splitlines() if "heartbeat" in line]
    assert len(lines) == 2, done.stderr  # at the start of the pass, and after it
    assert all("https" in line and "hidden" not in line for line in lines)
    assert not [given for given in asked if given[0] != "127.0.0.1"]


def test_an_error_that_nobody_expected_of_the_switch_stops_no_run(site, monkeypatch):
    monkeypatch.setattr("wabawatch.adapters.http.HttpHeartbeatSender.send", broken)
    site.configure(heartbeat={"url": "https://hc.example.test/hidden"})
    done = site.call("run", "--once", "--json")
    assert done.exit_code == 0, done.output
    assert "the heartbeat could not be sent: RuntimeError" in done.stderr
    assert "hidden" not in done.stderr


def broken(*_):
    raise RuntimeError("https://hc.example.test/hidden")


@contextmanager
def pings(**headers):
    """A switch that takes everything, and answers with these headers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pings) as server:
        server.paths, server.headers = [], headers
        server.url = f"http://127.0.0.1:{server.server_port}/ping"
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server
        finally:
            server.shutdown()


class Pings(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.paths.append(self.path)
        self.send_response(200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass
