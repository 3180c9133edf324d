"""The heartbeat: only when the work was done, once for each run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.application.heartbeat import beat, begin
from wabawatch.domain.coverage import ShardCoverage
from wabawatch.domain.heartbeat import HeartbeatRules
from wabawatch.errors import DeliveryError

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NONE = timedelta(0)
LONG = timedelta(hours=2)


def coverage(run="r1", shard=0, of=1, answered=10, expected=10, minutes=0):
    at = AT + timedelta(minutes=minutes)
    unread = dict.fromkeys(map(str, range(expected - answered)))
    return ShardCoverage(shard, of, run, at, at, timedelta(minutes=5), expected, unread)


class Memory:
    def __init__(self, *rows):
        self.rows = list(rows)
        self.documents = {}

    def coverages(self):
        return self.rows

    def document(self, name):
        return self.documents.get(name)

    def save_document(self, name, body):
        self.documents[name] = body


class HeartbeatSender:
    def __init__(self, *, broken=False):
        self.sent = []
        self.broken = broken

    def send(self, pulse):
        if self.broken:
            raise DeliveryError("refused")
        self.sent.append(pulse.kind)


def sent(store, *undelivered, shards=1):
    """What a switch is told in so many rounds of notify."""
    switch = HeartbeatSender()
    for age in undelivered or [NONE]:
        beat(store, switch, HeartbeatRules(min_coverage=0.6), age, shards)
    return switch.sent


@pytest.mark.parametrize(
    ("rows", "shards", "undelivered", "kinds"),
    [
        pytest.param([coverage()], 1, NONE, ["success"], id="a full pass is a success"),
        pytest.param([coverage(answered=2)], 1, NONE, ["fail"], id="a pass that read too little is a failure"),
        pytest.param([coverage(expected=0, answered=0)], 1, NONE, ["fail"], id="a pass over nothing is a failure"),
        pytest.param([coverage()], 1, LONG, ["fail"], id="news that nobody gets is a failure"),
        pytest.param([], 1, NONE, [], id="no run is no heartbeat"),
        pytest.param([coverage(of=2)], 2, NONE, [], id="half of the shards are no heartbeat"),
        pytest.param([coverage(of=1)], 2, NONE, [], id="a run of another division is no heartbeat"),
        pytest.param([coverage(of=2), coverage(shard=1, of=2)], 2, NONE, ["success"], id="all shards are"),
        pytest.param(
            [coverage(of=2), coverage(shard=1, of=2, answered=0)], 2, NONE, ["fail"], id="shards count together"
        ),
    ],
)
def test_what_is_said(rows, shards, undelivered, kinds):
    assert sent(Memory(*rows), undelivered, shards=shards) == kinds


def test_each_run_is_said_once():
    store = Memory(coverage())
    assert sent(store, NONE, NONE, NONE) == ["success"]
    store.rows = [coverage("r2", minutes=5)]
    assert sent(store, NONE, NONE) == ["success"]


def test_a_success_needs_a_new_pass_over_every_shard():
    store = Memory(coverage(of=2), coverage(shard=1, of=2))
    assert sent(store, shards=2) == ["success"]
    for run in range(2, 9):
        store.rows[0] = coverage(f"r{run}", of=2, minutes=5 * run)
        assert sent(store, shards=2) == [], "the other shard is never read"
    store.rows[1] = coverage("r8", shard=1, of=2, minutes=40)
    assert sent(store, shards=2) == ["success"]


def test_a_run_goes_from_success_to_failure_and_not_back():
    store = Memory(coverage())
    assert sent(store, NONE, LONG, LONG, NONE) == ["success", "fail"]
    store.rows = [coverage("r2", minutes=5)]
    assert sent(store, NONE) == ["success"]


def test_a_failure_turns_into_the_success_of_its_run_once_the_news_is_delivered():
    assert sent(Memory(coverage()), LONG, LONG, NONE) == ["fail", "success"]


def test_what_could_not_be_sent_is_tried_again():
    store, switch = Memory(coverage()), HeartbeatSender(broken=True)
    with pytest.raises(DeliveryError):
        beat(store, switch, HeartbeatRules(), NONE)
    switch.broken = False
    assert beat(store, switch, HeartbeatRules(), NONE) is not None
    assert switch.sent == ["success"]


def test_a_remembered_pulse_that_cannot_be_read_is_one_too_many_and_never_one_too_few():
    store = Memory(coverage())
    store.documents["heartbeat"] = b"r1 success"
    assert sent(store) == ["success"]


def test_the_start_of_a_run_says_how_much_there_is_to_do_and_is_no_success():
    store, switch = Memory(), HeartbeatSender()
    assert begin(switch, "r1", 12).why == "12 targets to read"
    assert beat(store, switch, HeartbeatRules(), NONE) is None
    assert switch.sent == ["start"]
