import json
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from tests.functions.conftest import NUMBERS
from wabawatch.application.errors import ConfigurationError, StoreError

NOW = datetime.now(UTC).isoformat()
TICK = {"wabawatch": "poll", "scheduled_at": NOW}


def message(body, name="m1"):
    return {"messageId": name, "body": body if isinstance(body, str) else json.dumps(body)}


def shard(index=0, of=1, scheduled_at=NOW):
    return {"wabawatch": "shard", "run_id": "r", "scheduled_at": scheduled_at, "shard": index, "of": of}


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
    assert found.sets == {("service",), ("cause", "service")}
    assert found.dimensions == {"service": "poll", "cause": "provider_error"}


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


def test_a_shard_older_than_the_interval_is_dropped(function, simulator):
    poll = function("poll")
    assert poll({"Records": [message(shard(scheduled_at="2026-01-01T00:00:00Z"))]}) == {"batchItemFailures": []}
    assert "dropped" in poll.log[-1]["message"]
    assert simulator.requests()["total"] == 0


def test_a_fleet_too_large_for_one_run_is_cut_and_its_shards_read_every_number_once(function, simulator):
    with mock_aws():
        sqs = boto3.client("sqs", "eu-central-1")
        url = sqs.create_queue(QueueName="shards")["QueueUrl"]
        poll = function("poll", WABAWATCH_SHARD_QUEUE_URL=url, WABAWATCH_SHARD_SIZE="1")
        shards = poll(TICK)["shards"]
        bodies = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [one["Body"] for one in batch]
        assert len(bodies) == shards > 1
        assert simulator.requests()["total"] == 0
        for body in bodies:
            assert poll({"Records": [message(body)]}) == {"batchItemFailures": []}
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
