"""A server, or a resolver, that hangs: the exchange ends with its time, and others are not delayed."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.contract.notifiers.notifications import STORIES
from tests.contract.notifiers.server import http
from wabawatch.errors import DeliveryError

ANYTHING = STORIES["opened"]
PATIENCE = 0.3
posting = pytest.mark.parametrize("kind", ["slack", "webhook"])


class Resolver:
    """Hangs for the hosts in `hanging` until it is released; knows that a host has many addresses."""

    def __init__(self):
        self.hanging = set()
        self.addresses = {}
        self.asked = []
        self.released = threading.Event()
        self._ask = socket.getaddrinfo

    def __call__(self, host, port, *given, **options):
        self.asked.append(host)
        if host in self.hanging:
            self.released.wait(30)
        found = self._ask("127.0.0.1", port, *given, **options)
        return found * self.addresses.get(host, 1)


@pytest.fixture
def resolver(monkeypatch):
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.released.set()


@pytest.fixture
def full_backlog():
    """A port where nobody accepts, and no more connections wait."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


def hook(bench, kind, host, port=None):
    """A notifier whose address is at this host, which only the resolver of the test knows."""
    one = bench(kind, patience=PATIENCE)
    one.secrets.values["HOOK"] = f"http://{host}:{port or one.server.port}/hook"
    return one


@pytest.fixture(autouse=True)
def every_host_is_this_machine(monkeypatch):
    monkeypatch.setattr("wabawatch.application.addresses.is_loopback", lambda _: True)
    monkeypatch.setattr("wabawatch.adapters.notifiers.http.is_loopback", lambda _: True)


@posting
def test_a_resolver_that_hangs_is_given_up(bench, kind, resolver):
    resolver.hanging.add("hangs.test")
    with pytest.raises(DeliveryError, match="no answer within") as caught:
        hook(bench, kind, "hangs.test").deliver(ANYTHING)
    assert caught.value.kind == "passing"
    assert not resolver.released.is_set()


@posting
def test_many_addresses_where_nobody_accepts_share_one_time(bench, kind, resolver, full_backlog):
    resolver.addresses["many.test"] = 8
    with pytest.raises(DeliveryError, match="no answer within") as caught:
        hook(bench, kind, "many.test", full_backlog).deliver(ANYTHING)
    assert caught.value.kind == "passing"


def test_a_server_that_hangs_again_and_again_is_not_asked_for_ever_and_stops_no_other(bench, resolver):
    resolver.hanging.add("again.test")
    one = hook(bench, "webhook", "again.test")
    errors = [failure(one) for _ in range(6)]
    assert resolver.asked.count("again.test") == 4
    assert ["hang" in str(error) for error in errors] == [False] * 4 + [True] * 2
    assert {error.kind for error in errors} == {"passing"}
    hook(bench, "webhook", "well.test").deliver(ANYTHING)

    resolver.released.set()
    for thread in threading.enumerate():
        if thread.name == "http-exchange":
            thread.join(10)
    one.deliver(ANYTHING)


def failure(bench):
    with pytest.raises(DeliveryError) as caught:
        bench.deliver(ANYTHING)
    return caught.value


def late_body(connection, closing):
    """The status at once, and a body that trickles for longer than anybody waits."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n")
    while not closing.wait(0.02):
        connection.sendall(b"x")


def cut_body(connection, _closing):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\nok")


@pytest.mark.parametrize("answer", [late_body, cut_body])
def test_where_the_status_is_enough_a_body_that_does_not_end_is_no_failure(bench, answer):
    bench("webhook", answers=[answer], patience=PATIENCE).deliver(ANYTHING)


def test_where_the_body_decides_one_that_does_not_end_is_worth_another_try(bench):
    assert failure(bench("slack", answers=[late_body], patience=PATIENCE)).kind == "passing"


def test_no_more_of_a_body_is_kept_than_anybody_reads(bench):
    one = bench("slack", answers=[http(500, b"x" * 100_000)])
    assert "HTTP 500" in str(failure(one))
    assert len(one.notifier._client.post(one.secrets.values["HOOK"], b"", {}).body) == 4096


def test_the_process_can_end_while_an_exchange_hangs(bench, resolver):
    resolver.hanging.add("daemon.test")
    failure(hook(bench, "webhook", "daemon.test"))
    hanging = [thread for thread in threading.enumerate() if thread.name == "http-exchange"]
    assert hanging
    assert all(thread.daemon for thread in hanging)
