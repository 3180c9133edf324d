"""The deployed product, from the schedule to the people, told as one story: each test goes on where the last one ended.

The minimal deployment: no configuration file, one number's key and a Slack webhook by the names of their secrets.
"""

import json
import re

import pytest

from tests.e2e.sink import webhook_sink
from tests.e2e.stack import Stack, eventually
from tests.template.template import template
from wabawatch.simulator import Fleet, Number, Scenario, running

NUMBER = Number(id="4930123456", name="Support", waba="102290129340398", business="2729063490586005")


@pytest.fixture(scope="module")
def simulator():
    with running(Scenario(fleet=Fleet((NUMBER,)))) as server:
        yield server


@pytest.fixture(scope="module")
def slack():
    with webhook_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def stack(emulator, simulator, slack):
    secrets = emulator.client("secretsmanager")
    secrets.create_secret(Name="one-number", SecretString=NUMBER.key)
    secrets.create_secret(Name="team-chat", SecretString=json.dumps({"webhook": slack.url}))
    deployed = Stack(emulator, "wabawatch")
    deployed.deploy(
        ApiKeySecret="one-number",
        SlackWebhookSecret="team-chat#webhook",
        AlertEmail="ops@example.com",
        PollEvery="1m",
        BaseUrl=simulator.url,
    )
    return deployed


@pytest.fixture(scope="module")
def subscriber(emulator, stack):
    """A machine's queue, subscribed to the alerts before anything happens."""
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    emulator.client("sns").subscribe(TopicArn=stack.outputs["AlertsTopicArn"], Protocol="sqs", Endpoint=arn)
    return Subscriber(stack, url)


class Subscriber:
    """What came through SNS so far, as the documents that machines get."""

    def __init__(self, stack, url):
        self._stack, self._url = stack, url
        self._documents = []

    @property
    def documents(self):
        envelopes = [json.loads(message["Body"]) for message in self._stack.messages(self._url)]
        self._documents += [json.loads(envelope["Message"]) for envelope in envelopes]
        return self._documents

    @property
    def kinds(self):
        return [document["kind"] for document in self.documents]


def runs(stack):
    return [line for line in stack.log("poll") if line.get("message") == "run finished"]


def wait_for_runs(stack, more):
    wanted = len(runs(stack)) + more
    eventually(lambda: len(runs(stack)) >= wanted, f"{more} more runs by the schedule")


def transitions(emulator, stack):
    """Sequence numbers of the number's transitions, as they lie in the table."""
    pages = emulator.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["TableName"])
    keys = [(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]]
    return [sk for pk, sk in keys if pk.startswith("LOG#")]


def test_the_schedule_watches_a_healthy_number_in_silence(stack, subscriber, slack):
    eventually(lambda: runs(stack), "a run by the schedule")
    assert runs(stack)[0]["expected"] == runs(stack)[0]["answered"] == 1
    wait_for_runs(stack, 1)
    assert slack.messages == []
    assert subscriber.documents == []


def test_a_block_reaches_the_subscriber_and_the_chat_once(stack, subscriber, slack, simulator):
    simulator.set(f"waba:{NUMBER.waba}", status="BLOCKED", reasons=[141006])
    eventually(lambda: subscriber.documents and slack.messages, "both destinations were told of the block")
    wait_for_runs(stack, 2)
    assert subscriber.kinds == ["opened"]
    (incident,) = subscriber.documents[0]["incidents"]
    assert incident["entity"] == {"type": "WABA", "id": NUMBER.waba}
    assert (incident["old"], incident["new"]) == ("AVAILABLE", "BLOCKED")
    assert [reason["code"] for reason in incident["reasons"]] == [141006]
    assert len(slack.messages) == 1
    assert "141006" in slack.texts()[0]


def test_an_update_of_the_stack_with_an_open_incident_loses_and_repeats_nothing(
    emulator, stack, subscriber, slack, simulator
):
    before = sorted(transitions(emulator, stack))
    stack.deploy(
        ApiKeySecret="one-number",
        SlackWebhookSecret="team-chat#webhook",
        AlertEmail="ops@example.com",
        PollEvery="1m",
        BaseUrl=simulator.url,
        LogLevel="DEBUG",
    )
    wait_for_runs(stack, 2)
    assert sorted(transitions(emulator, stack)) == before
    assert subscriber.kinds == ["opened"]
    assert len(slack.messages) == 1


def test_a_recovery_is_told_once_with_its_duration(stack, subscriber, slack, simulator):
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 1 and len(slack.messages) > 1, "both were told of the recovery")
    wait_for_runs(stack, 1)
    assert subscriber.kinds == ["opened", "resolved"]
    (incident,) = subscriber.documents[1]["incidents"]
    assert incident["incident_id"] == subscriber.documents[0]["incident_id"]
    assert incident["duration_seconds"] > 0
    assert len(slack.messages) == 2


def test_two_polls_at_once_record_a_change_once(emulator, stack, subscriber, simulator):
    before = transitions(emulator, stack)
    simulator.set(NUMBER.id, status="LIMITED", reasons=[141010])
    tick = json.dumps({"wabawatch": "poll", "scheduled_at": "2026-01-01T00:00:00Z"})
    for _ in range(4):
        emulator.client("lambda").invoke(
            FunctionName=stack.outputs["PollFunctionName"], InvocationType="Event", Payload=tick
        )
    eventually(lambda: len(subscriber.documents) > 2, "the subscriber was told of the limit")
    wait_for_runs(stack, 1)
    assert len(transitions(emulator, stack)) == len(before) + 1
    assert subscriber.kinds == ["opened", "resolved", "opened"]


def test_without_the_stream_alerts_arrive_by_the_schedule(emulator, stack, subscriber, simulator):
    (mapping,) = emulator.client("lambda").list_event_source_mappings(FunctionName=stack.outputs["NotifyFunctionName"])[
        "EventSourceMappings"
    ]
    emulator.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 3, "the subscriber was told of the recovery")
    assert subscriber.kinds == ["opened", "resolved", "opened", "resolved"]
    emulator.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def test_a_destination_that_fails_is_told_when_it_is_back_and_delays_nobody(stack, subscriber, slack, simulator):
    told = len(slack.messages)
    slack.refuse = True
    simulator.set(NUMBER.id, status="BLOCKED", reasons=[141000])
    eventually(lambda: len(subscriber.documents) > 4, "SNS was told while the chat refused")
    wait_for_runs(stack, 1)
    assert len(slack.messages) == told
    slack.refuse = False
    eventually(lambda: len(slack.messages) > told, "the chat was told when it was back", seconds=240)
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 5, "SNS was told of the recovery")


def test_a_number_that_cannot_be_read_is_told_as_such_and_counted_by_cause(subscriber, simulator):
    simulator.set(NUMBER.id, failure="bad_gateway")
    eventually(lambda: len(subscriber.documents) > 6, "the subscriber was told that nothing can be read")
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 7, "the subscriber was told that it can be read again")


@pytest.mark.parametrize(
    ("function", "event"),
    [
        pytest.param("poll", {"detail-type": "Scheduled Event"}, id="of a wrong shape"),
        pytest.param("poll", {"wabawatch": "notify", "scheduled_at": "2026-01-01T00:00:00Z"}, id="of notify"),
        pytest.param("notify", {"wabawatch": "poll", "scheduled_at": "2026-01-01T00:00:00Z"}, id="of poll"),
    ],
)
def test_an_event_is_refused_and_kept_with_the_reason(emulator, stack, function, event):
    queue = stack.queue("FailedEventQueue")
    emulator.client("lambda").invoke(
        FunctionName=f"{stack.name}-{function}", InvocationType="Event", Payload=json.dumps(event)
    )
    (message,) = eventually(lambda: stack.messages(queue), "the event is in FailedEventQueue", seconds=60)
    kept = json.loads(message["Body"])
    assert kept["requestPayload"] == event
    assert "not an event of this function" in kept["responsePayload"]["errorMessage"]


def test_a_poison_shard_ends_in_its_own_queue_and_stops_nothing(emulator, stack):
    sqs = emulator.client("sqs")
    queue = stack.queue("ShardQueue")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})  # the three tries, sooner
    sqs.send_message(QueueUrl=queue, MessageBody="this is no shard")
    dead = stack.queue("ShardDeadLetterQueue")
    (message,) = eventually(lambda: stack.messages(dead), "the message is in ShardDeadLetterQueue", seconds=60)
    assert message["Body"] == "this is no shard"
    wait_for_runs(stack, 1)


def test_everything_that_the_dashboard_and_the_alarms_watch_was_reported(stack):
    body = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    alarms = [one["Properties"] for one in template()["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    watched = set(re.findall(r'"Wabawatch", "(\w+)"', body)) | {"ProbeFailures"}
    watched |= {one["MetricName"] for one in alarms if one["Namespace"] == "Wabawatch"}
    embedded = [line["_aws"] for name in ("poll", "notify") for line in stack.log(name) if "_aws" in line]
    reported = {metric["Name"] for one in embedded for each in one["CloudWatchMetrics"] for metric in each["Metrics"]}
    dimensions = {
        tuple(sorted(each)) for one in embedded for group in one["CloudWatchMetrics"] for each in group["Dimensions"]
    }
    assert watched - reported - {"HeartbeatSent"} == set()
    assert dimensions == {("service",), ("cause", "service")}


def test_no_secret_is_in_a_log(stack):
    for function in ("poll", "notify"):
        log = stack.raw_log(function)
        assert "run finished" in log or "round finished" in log
        assert NUMBER.key not in log
        assert "secret-part-of-the-url" not in log


def test_nothing_was_denied_to_a_function(stack):
    for function in ("poll", "notify"):
        assert "AccessDenied" not in stack.raw_log(function)
        assert "not authorized" not in stack.raw_log(function)


def test_deleting_leaves_the_table_and_the_bucket_and_nothing_else(emulator, stack):
    outputs = stack.outputs
    stack.delete()
    assert emulator.client("dynamodb").list_tables()["TableNames"] == [outputs["TableName"]]
    buckets = [one["Name"] for one in emulator.client("s3").list_buckets()["Buckets"]]
    assert outputs["ConfigBucket"] in buckets
    assert emulator.client("lambda").list_functions()["Functions"] == []
    assert emulator.client("scheduler").list_schedules()["Schedules"] == []
    assert emulator.client("iam").list_roles()["Roles"] == []
    assert emulator.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert [url.rsplit("/", 1)[-1] for url in emulator.client("sqs").list_queues()["QueueUrls"]] == ["subscriber"]
