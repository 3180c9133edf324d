"""What the functions take for an event, and what they refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from wabawatch.domain.sharding import BUCKETS, parse_shard_entity_id, shard_entity_id, shard_of, shards_for
from wabawatch.errors import ConfigurationError, QueueError
from wabawatch.lambda_events import (
    LambdaMonitor,
    NotifyEvent,
    PollEvent,
    ShardMessage,
    read_environment,
    read_event,
    read_shard,
)

AT = "2026-03-01T12:00:00Z"
SHARD = {"wabawatch": "shard", "run_id": "r", "scheduled_at": AT, "shard": 1, "of": 4}


def test_each_function_knows_its_own_event():
    assert isinstance(read_event({"wabawatch": "poll", "scheduled_at": AT}, PollEvent), PollEvent)
    assert isinstance(read_event({"wabawatch": "notify", "scheduled_at": AT}, NotifyEvent), NotifyEvent)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param({"wabawatch": "notify", "scheduled_at": AT}, PollEvent, id="another function's"),
        pytest.param({"wabawatch": "poll"}, PollEvent, id="without its time"),
        pytest.param({"wabawatch": "poll", "scheduled_at": "noon"}, PollEvent, id="with a wrong time"),
        pytest.param({}, NotifyEvent, id="empty"),
        pytest.param([], NotifyEvent, id="a list"),
        pytest.param("poll", PollEvent, id="a text"),
        pytest.param(None, PollEvent, id="nothing"),
    ],
)
def test_an_event_is_refused_that_is(event, kind):
    with pytest.raises(ConfigurationError, match="not an event of this function"):
        read_event(event, kind)


def test_a_shard_message_comes_back_as_it_went():
    shard = read_shard(msgspec.json.encode(SHARD).decode())
    assert read_shard(msgspec.json.encode(shard).decode()) == shard
    assert isinstance(shard, ShardMessage)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("{", id="truncated"),
        pytest.param("[]", id="a list"),
        pytest.param(msgspec.json.encode(SHARD | {"shard": 4}).decode(), id="beyond the last"),
        pytest.param(msgspec.json.encode(SHARD | {"of": "four"}).decode(), id="of a wrong type"),
        pytest.param(msgspec.json.encode(SHARD | {"wabawatch": "poll"}).decode(), id="of another kind"),
    ],
)
def test_a_shard_message_is_refused_that_is(body):
    with pytest.raises(ConfigurationError, match="not a shard message"):
        read_shard(body)


def test_the_environment_is_read():
    found = read_environment(
        {"WABAWATCH_STATE": "dynamodb:t", "WABAWATCH_SHARD_SIZE": "10", "WABAWATCH_POLL_INTERVAL": "rate(1 hour)"}
    )
    assert (found.state, found.shard_size, found.poll_interval) == ("dynamodb:t", 10, timedelta(hours=1))


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "WABAWATCH_STATE"),
        ({"WABAWATCH_STATE": "dynamodb:t", "WABAWATCH_SHARD_SIZE": "many"}, "WABAWATCH_SHARD_SIZE"),
        ({"WABAWATCH_STATE": "dynamodb:t", "WABAWATCH_POLL_INTERVAL": "often"}, "WABAWATCH_POLL_INTERVAL"),
    ],
)
def test_a_bad_deployment_names_the_variable(variables, named):
    with pytest.raises(ConfigurationError, match=named):
        read_environment(variables)


@pytest.mark.parametrize("targets", [1, 2000, 2001, 100_000])
def test_every_target_is_in_exactly_one_shard(targets):
    of = shards_for(targets, 2000)
    assert 1 <= of <= BUCKETS
    shards = [shard_of(f"number-{index}", of) for index in range(1000)]
    assert set(shards) <= set(range(of))
    assert len(set(shards)) == of


def refusing(**_):
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "hidden"}}, "SendMessageBatch")


def unreachable(**_):
    raise EndpointConnectionError(endpoint_url="https://sqs.invalid")


@pytest.mark.parametrize(
    ("send", "said"),
    [
        pytest.param(lambda **given: {"Failed": given["Entries"][:1]}, "1 of 2 messages", id="takes not all"),
        pytest.param(refusing, "ThrottlingException", id="refuses"),
        pytest.param(unreachable, "EndpointConnectionError", id="cannot be reached"),
    ],
)
def test_no_error_of_the_configuration_is_a_shard_queue_that(tmp_path, monkeypatch, send, said):
    config = {"targets": [{"id": one, "api_key": "ssm:/a"} for one in "ab"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    serverless = LambdaMonitor(
        {
            "WABAWATCH_STATE": f"sqlite:{tmp_path / 'state.db'}",
            "WABAWATCH_CONFIG": str(tmp_path / "config.json"),
            "WABAWATCH_SHARD_QUEUE_URL": "https://sqs.invalid/shards",
            "WABAWATCH_SHARD_SIZE": "1",
        }
    )
    monkeypatch.setattr("wabawatch.lambda_events.aws_client", lambda _: SimpleNamespace(send_message_batch=send))
    with pytest.raises(QueueError, match=said) as raised:
        serverless.poll(PollEvent(datetime.now(UTC)), datetime.now(UTC) + timedelta(minutes=1))
    assert "hidden" not in str(raised.value)
    serverless.application.close()


def test_under_which_name_a_shard_tells_of_the_monitor_says_which_one_it_is():
    assert shard_entity_id(3, 8) == "~shard-3-8"
    assert parse_shard_entity_id("~shard-3-8") == (3, 8)
    assert [parse_shard_entity_id(name) for name in ("sight-3-8", "~shard-3", "~shard-", "n1")] == [None] * 4
