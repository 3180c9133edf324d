"""Deadlines: a probe's time is its own, and not what the caller does meanwhile."""

from datetime import timedelta

import pytest

from wabawatch.adapters.dialog360.transport import Transport

SHORT = timedelta(seconds=0.3)


@pytest.fixture
def transport():
    transport = Transport(SHORT, 4)
    yield transport
    transport.close()


def finished(transport):
    while not (answers := transport.wait(1.0)):
        pass
    return answers


def test_a_request_is_not_late_because_its_caller_was_busy(transport, server, stopwatch):
    transport.start(f"{server.url}/health_status", "key", "token")
    while stopwatch() < 0.8:
        pass
    ((token, answer),) = finished(transport)
    assert (token, answer.status, answer.error) == ("token", 200, None)


def test_a_request_that_is_late_is_given_up_and_the_next_one_works(transport, server, wire):
    server.answer = lambda _: [60]
    transport.start(f"{server.url}/health_status", "key", "token")
    assert finished(transport)[0][1].error.cause == "timeout"
    assert not transport.is_busy
    server.answer = lambda _: [wire.healthy()]
    transport.start(f"{server.url}/health_status", "key", "token")
    assert finished(transport)[0][1].status == 200


def test_what_is_abandoned_gives_no_answer(transport, server):
    transport.start(f"{server.url}/health_status", "key", "token")
    transport.abandon()
    assert not transport.is_busy
    assert transport.wait(0.2) == []
