import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from tests.functions.conftest import NUMBERS
from wabawatch.errors import ConfigurationError, StoreError, WabawatchError

NOW = datetime.now(UTC).isoformat()
TICK = {"wabawatch": "poll", "scheduled_at": NOW}


def message(body, name="m1", receives=1):
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": name, "body": text, "attributes": {"ApproximateReceiveCount": str(receives)}}


def ago(**length):
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


def shard(index=0, of=1, scheduled_at="", run_id="r"):
    """A message that was sent just now, or when it says."""
    due = scheduled_at or ago(seconds=0)
    return {"wabawatch": "shard", "run_id": run_id, "scheduled_at": due, "shard": index, "of": of}


def store_of(poll):
    return poll.module.serverless().application.store


def failing_store(poll, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(type(store_of(poll)), "snapshots", fails)


def test_a_tick_polls_the_fleet_and_its_report_and_metrics_carry_the_run(function):
    poll = function("poll")
    done = poll(TICK)
    assert {name: done[name] for name in ("expected", "answered", "unknown", "skipped")} == {
        "expected": 4,
        "answered": 4,
        "unknown": 0,
        "skipped": 0,
    }
    assert poll.log[-1]["message"] == "run finished"
    assert poll.log[-1]["run_id"] == done["run_id"]
    assert f'"run_id":"{done["run_id"]}"' in next(line for line in poll.text.splitlines() if '"_aws"' in line)


def test_the_metrics_count_by_status_and_by_cause_and_never_name_a_target(function, simulator):
    simulator.set(NUMBERS[1].id, status="LIMITED", reasons=[141010])
    simulator.set(NUMBERS[2].id, status="BLOCKED", reasons=[141000])
    simulator.set(NUMBERS[3].id, failure="bad_gateway")
    poll = function("poll")
    poll(TICK)
    found = poll.metrics()
    assert {name: value[0] for name, value in found.values.items()} == {
        "StatusAvailable": 1,
        "StatusLimited": 1,
        "StatusBlocked": 1,
        "StatusUnknown": 1,
        "RunsCompleted": 1,
        "UnknownShare": 25,
        "ProbeFailures": 1,
    }
    assert found.sets == {("deployment", "service"), ("cause", "deployment", "service")}
    assert found.dimensions == {"service": "poll", "cause": "provider_error", "deployment": "wabawatch-prod"}


def test_codes_that_the_runbook_does_not_know_are_counted(function, simulator):
    simulator.set(NUMBERS[1].id, status="LIMITED", reasons=[141010])
    simulator.set(NUMBERS[2].id, status="BLOCKED", reasons=[{"code": 141999, "description": "never heard of"}])
    poll = function("poll")
    poll(TICK)
    (line,) = [line for line in poll.log if "runbook" in line["message"]]
    assert line["codes"] == {"141999": 1}


def test_no_key_is_in_what_it_logs_and_prints(function, simulator):
    simulator.set(NUMBERS[0].id, failure="unauthorized")
    poll = function("poll", POWERTOOLS_LOG_LEVEL="DEBUG")
    poll(TICK)
    assert "run finished" in poll.text
    assert [number.id for number in NUMBERS if number.key in poll.text] == []


@pytest.mark.parametrize(
    "reference", ["env:AWS_SECRET_ACCESS_KEY", "env:AWS_DEFAULT_REGION", "file:/proc/self/environ"]
)
@pytest.mark.parametrize("last", ["a good one", "none"])
def test_who_writes_the_configuration_gets_nothing_of_the_roles(function, environment, simulator, reference, last):
    """The configuration says where a key is sent, so a variable or a file of the function would be sent there."""
    poll = function("poll")
    if last == "a good one":
        poll(TICK)
    path = Path(environment["WABAWATCH_CONFIG"])
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"targets": [{"id": "x", "name": "X", "api_key": reference}]}))
    simulator.forget_requests()
    if last == "a good one":
        assert poll(TICK)["answered"] == len(NUMBERS)
        assert simulator.requests()["unknown_key"] == 0
    else:
        with pytest.raises(ConfigurationError, match=r"targets\[0\]\.api_key: variables"):
            poll(TICK)
        assert simulator.requests()["total"] == 0


def test_before_its_deadline_it_starts_no_probe_and_tells_what_it_skipped(function, simulator):
    poll = function("poll")
    assert poll(TICK, seconds_left=19)["skipped"] == 4
    assert poll.metrics().values["RunsCompleted"] == [0]
    assert simulator.requests()["total"] == 0


def test_what_the_package_itself_logs_is_structured_and_carries_the_run(function):
    poll = function("poll")
    run_id = poll(TICK, seconds_left=19)["run_id"]
    (warning,) = [line for line in poll.log if line["level"] == "WARNING"]
    assert "were not probed" in warning["message"]
    assert warning["run_id"] == run_id


def test_of_a_batch_only_the_poison_shard_goes_back(function):
    poll = function("poll")
    records = [message("this is no shard", "poison"), message(shard(), "good")]
    assert poll({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    (error,) = poll.errors()
    assert error["message_id"] == "poison"
    assert "not a shard message" in error["reason"]
    assert poll.log[-1]["message"] == "run finished"
    assert poll.log[-1]["answered"] == 4


def test_a_shard_older_than_the_interval_is_dropped_and_counted(function, simulator):
    poll = function("poll")
    assert poll({"Records": [message(shard(scheduled_at="2026-01-01T00:00:00Z"))]}) == {"batchItemFailures": []}
    assert "dropped" in poll.log[-1]["message"]
    assert (poll.log[-1]["level"], poll.log[-1]["shard"], poll.log[-1]["of"]) == ("WARNING", 0, 1)
    assert simulator.requests()["total"] == 0
    assert poll.metrics().values["ShardsDropped"] == [1]


def test_a_shard_that_is_read_counts_as_not_dropped(function):
    poll = function("poll")
    poll({"Records": [message(shard())]})
    assert poll.metrics().values["ShardsDropped"] == [0]


@pytest.mark.parametrize("every", ["rate(1 minute)", "rate(5 minutes)"])
def test_a_shard_that_always_fails_is_an_error_each_time_until_it_is_a_dead_letter(function, monkeypatch, every):
    poll = function("poll", WABAWATCH_POLL_INTERVAL=every)
    failing_store(poll, monkeypatch, StoreError("DynamoDB table t: cancelled"))
    for receives, age in ((1, 2), (2, 182), (3, 362)):
        body = shard(scheduled_at=ago(seconds=age))
        with pytest.raises(WabawatchError, match="DynamoDB table t: cancelled"):
            poll({"Records": [message(body, receives=receives)]})
    assert len(poll.errors()) == 3


def test_a_retry_is_dropped_once_a_later_run_has_read_the_shard(function, simulator):
    poll = function("poll", WABAWATCH_POLL_INTERVAL="rate(1 minute)")
    old = shard(scheduled_at=ago(minutes=3), run_id="old")
    poll({"Records": [message(shard(run_id="new"))]})
    read = simulator.requests()["total"]
    assert poll({"Records": [message(old, receives=2)]}) == {"batchItemFailures": []}
    assert simulator.requests()["total"] == read
    assert poll.metrics().values["ShardsDropped"] == [1]


def test_a_retry_is_read_while_no_later_run_has_read_the_shard(function, simulator):
    poll = function("poll", WABAWATCH_POLL_INTERVAL="rate(1 minute)")
    old = shard(scheduled_at=ago(minutes=3), run_id="old")
    for receives in (2, 3):
        poll({"Records": [message(old, receives=receives)]})
        assert simulator.requests()["total"] == len(NUMBERS) * (receives - 1)


@pytest.mark.parametrize("every", ["rate(1 minute)", "rate(5 minutes)"])
def test_a_retry_is_read_while_later_runs_failed_to_read_the_shard_too(function, monkeypatch, every):
    poll = function("poll", WABAWATCH_POLL_INTERVAL=every)
    failing_store(poll, monkeypatch, StoreError("DynamoDB table t: cancelled"))
    with pytest.raises(WabawatchError):
        poll({"Records": [message(shard(run_id="new"))]})
    assert store_of(poll).coverages()[0].run_id == "new"
    with pytest.raises(WabawatchError):
        poll({"Records": [message(shard(scheduled_at=ago(minutes=6), run_id="old"), receives=3)]})


def test_of_an_unexpected_error_only_its_place_is_logged_and_raised(function, monkeypatch):
    poll = function("poll")
    failing_store(poll, monkeypatch, KeyError("a secret"))
    with pytest.raises(WabawatchError, match=r"unexpected KeyError at test_poll_function.py:\d+") as raised:
        poll({"Records": [message(shard())]})
    assert "a secret" not in str(raised.value) + poll.text


def test_what_a_pass_read_is_recorded_with_the_interval(function, simulator):
    simulator.set(NUMBERS[1].id, failure="bad_gateway")
    poll = function("poll", WABAWATCH_POLL_INTERVAL="rate(1 minute)")
    poll(TICK)
    (row,) = store_of(poll).coverages()
    assert (row.shard, row.of, row.expected, row.interval) == (0, 1, 4, timedelta(minutes=1))
    assert row.unread == {NUMBERS[1].id: None}
    (run,) = store_of(poll).runs(1)
    assert run.interval == timedelta(minutes=1)


def test_the_shard_that_was_read_longest_ago_goes_first(function):
    poll = function("poll", WABAWATCH_SHARD_QUEUE_URL="https://queue", WABAWATCH_SHARD_SIZE="1")
    sent = []
    poll.module.serverless()._send = sent.extend
    of = poll(TICK)["shards"]
    assert [one.shard for one in sent] == [*range(of)]
    for place in (1, 0):
        poll({"Records": [message(shard(place, of))]})
    sent.clear()
    poll(TICK)
    assert [one.shard for one in sent] == [*range(2, of), 1, 0]


def test_a_fleet_too_large_for_one_run_is_cut_and_its_shards_read_every_number_once(function, simulator):
    with mock_aws():
        sqs = boto3.client("sqs", "eu-central-1")
        url = sqs.create_queue(QueueName="shards")["QueueUrl"]
        poll = function("poll", WABAWATCH_SHARD_QUEUE_URL=url, WABAWATCH_SHARD_SIZE="1")
        shards = poll(TICK | {"scheduled_at": ago(seconds=0)})["shards"]
        bodies = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [one["Body"] for one in batch]
        assert len(bodies) == shards > 1
        assert simulator.requests()["total"] == 0
        for body in bodies:
            assert poll({"Records": [message(body)]}) == {"batchItemFailures": []}
        rows = store_of(poll).coverages()
    assert [(row.shard, row.of) for row in rows] == [(place, shards) for place in range(shards)]
    assert simulator.requests()["total"] == len(NUMBERS)
    finished = [line for line in poll.log if line["message"] == "run finished"]
    assert sum(line["answered"] for line in finished) == len(NUMBERS)
    assert len({line["run_id"] for line in finished}) == 1


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"detail-type": "Scheduled Event"}, id="of a wrong shape"),
        pytest.param({"wabawatch": "notify", "scheduled_at": NOW}, id="of notify"),
        pytest.param({"Records": []}, id="of no records"),
        pytest.param(["poll"], id="that is a list"),
    ],
)
def test_an_event_is_refused_with_one_clear_line(function, event):
    poll = function("poll")
    with pytest.raises(ConfigurationError, match="not an event of this function"):
        poll(event)
    (error,) = poll.errors()
    assert "not an event of this function" in error["reason"]
    assert len(poll.text.splitlines()) == 1


def test_a_deployment_without_its_table_says_which_variable_is_missing(function, monkeypatch):
    poll = function("poll")
    monkeypatch.delenv("WABAWATCH_STATE")
    with pytest.raises(ConfigurationError, match="WABAWATCH_STATE"):
        poll(TICK)
    assert "WABAWATCH_STATE" in poll.errors()[0]["reason"]


def test_state_that_cannot_be_reached_is_told_in_one_clear_line(function, tmp_path):
    (tmp_path / "state.db").mkdir()
    poll = function("poll")
    with pytest.raises(StoreError):
        poll(TICK)
    (error,) = poll.errors()
    assert str(tmp_path / "state.db") in error["reason"]
    assert len(poll.text.splitlines()) == 1


def test_a_shard_that_is_never_read_is_told_though_the_others_are_read_in_every_run(function, monkeypatch):
    sharded = {"WABAWATCH_SHARD_QUEUE_URL": "https://queue", "WABAWATCH_SHARD_SIZE": "1"}
    poll, notify = function("poll", **sharded), function("notify", **sharded)
    ahead = timedelta(0)
    monkeypatch.setattr("wabawatch.bootstrap.SystemClock.now", lambda _: datetime.now(UTC) + ahead)
    of = poll.module.serverless().application.shards

    def run():
        due = (datetime.now(UTC) + ahead).isoformat()
        for place in range(of - 1):
            poll({"Records": [message(shard(place, of, due, run_id=f"run-{ahead}"))]}, seconds_left=3600)
        notify({"wabawatch": "notify", "scheduled_at": due}, seconds_left=3600)

    run()
    assert "Part of the fleet is not read" not in notify.text
    for _ in range(3):
        ahead += timedelta(minutes=4)
        run()
    assert "Part of the fleet is not read" in notify.text
    assert f"shard {of - 1} of {of}" in notify.text
