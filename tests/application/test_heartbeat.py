"""The heartbeat: only when the work was done, once for each run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.application.errors import DeliveryError
from wabawatch.application.heartbeat import beat, begin
from wabawatch.domain.heartbeat import Vital
from wabawatch.domain.runs import Run

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NONE = timedelta(0)


def run(name="r1", shard=0, of=1, answered=10, expected=10, minutes=0, *, finished=True):
    at = AT + timedelta(minutes=minutes)
    return Run(name, shard, of, at, at if finished else None, expected, answered, expected - answered)


class Memory:
    def __init__(self, *runs):
        self.kept = list(runs)
        self.documents = {}

    def runs(self, limit):
        return self.kept[:limit]

    def document(self, name):
        return self.documents.get(name)

    def save_document(self, name, body):
        self.documents[name] = body


class Switch:
    def __init__(self, *, broken=False):
        self.sent = []
        self.broken = broken

    def send(self, pulse):
        if self.broken:
            raise DeliveryError("refused")
        self.sent.append(pulse.kind)


@pytest.mark.parametrize(
    ("runs", "undelivered", "sent"),
    [
        pytest.param([run()], NONE, ["success"], id="a full pass is a success"),
        pytest.param([run(answered=2)], NONE, ["fail"], id="a pass that read too little is a failure"),
        pytest.param([run(expected=0, answered=0)], NONE, ["fail"], id="a pass over nothing is a failure"),
        pytest.param([run()], timedelta(hours=2), ["fail"], id="news that nobody gets is a failure"),
        pytest.param([], NONE, [], id="no run is no heartbeat"),
        pytest.param([run(finished=False)], NONE, [], id="a run that has not ended is no heartbeat"),
        pytest.param([run(shard=0, of=2)], NONE, [], id="half of the shards are no heartbeat"),
        pytest.param([run(shard=0, of=2), run(shard=1, of=2)], NONE, ["success"], id="all shards are"),
        pytest.param([run(shard=0, of=2), run(shard=1, of=2, answered=0)], NONE, ["fail"], id="shards count together"),
        pytest.param([run("r2", minutes=5, answered=0), run("r1")], NONE, ["fail"], id="the latest run counts"),
    ],
)
def test_what_is_said(runs, undelivered, sent):
    switch = Switch()
    beat(Memory(*runs), switch, Vital(min_coverage=0.6), undelivered)
    assert switch.sent == sent


def test_each_run_is_said_once():
    store, switch = Memory(run()), Switch()
    for _ in range(3):
        beat(store, switch, Vital(), NONE)
    store.kept.insert(0, run("r2", minutes=5))
    beat(store, switch, Vital(), NONE)
    assert switch.sent == ["success", "success"]


def test_what_could_not_be_sent_is_tried_again():
    store, switch = Memory(run()), Switch(broken=True)
    with pytest.raises(DeliveryError):
        beat(store, switch, Vital(), NONE)
    switch.broken = False
    assert beat(store, switch, Vital(), NONE) is not None
    assert switch.sent == ["success"]


def test_the_start_of_a_run_says_how_much_there_is_to_do_and_is_no_success():
    store, switch = Memory(), Switch()
    assert begin(switch, "r1", 12).why == "12 targets to read"
    assert beat(store, switch, Vital(), NONE) is None
    assert switch.sent == ["start"]
