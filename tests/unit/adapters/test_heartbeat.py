"""The dead-man's switch, over a real loopback server."""

import pytest

from tests.contract.notifiers.server import Server, http, reset, silence, trickle
from wabawatch.adapters.http import HttpHeartbeatSender
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.errors import DeliveryError

SUCCESS = HeartbeatPing("r1", "success", "12 of 12 targets answered")
START = HeartbeatPing("r1", "start", "12 targets to read")
FAILURE = HeartbeatPing("r1", "fail", "3 of 12 targets answered")


@pytest.fixture
def server():
    found = Server([http(200, b"OK")])
    yield found
    found.close()


def switch(server):
    return HttpHeartbeatSender(lambda: f"{server.url}/ping/hidden-uuid/", timeout=0.3)


@pytest.mark.parametrize(
    ("pulse", "path"),
    [
        pytest.param(SUCCESS, "/ping/hidden-uuid", id="success goes to the address itself"),
        pytest.param(START, "/ping/hidden-uuid/start", id="so does the start of a run"),
        pytest.param(FAILURE, "/ping/hidden-uuid/fail", id="failure goes below it"),
    ],
)
def test_a_pulse_is_sent_with_its_reason_as_a_note(server, pulse, path):
    switch(server).send(pulse)
    (request,) = server.requests
    assert request.path == path
    assert request.body.decode() == f"run r1: {pulse.why}"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(302, Location="/elsewhere"), id="a redirect is no success, and is not followed"),
        pytest.param(http(404, b"not found"), id="an address that nobody knows"),
        pytest.param(http(500), id="a server in trouble"),
        pytest.param(silence, id="no answer"),
        pytest.param(reset, id="a connection that breaks"),
        pytest.param(trickle, id="an answer that trickles"),
    ],
)
def test_a_pulse_that_was_not_taken_is_an_error_without_the_address(server, answer, caplog):
    caplog.set_level("DEBUG")
    server.answers = [answer]
    with pytest.raises(DeliveryError, match="the heartbeat ") as caught:
        switch(server).send(SUCCESS)
    assert "hidden-uuid" not in f"{caught.value!r} {caught.value.__context__!r} {caplog.text}"
    assert len(server.requests) == 1
