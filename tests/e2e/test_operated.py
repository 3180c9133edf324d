"""The same deployment in the hands of those who run it: its command line, its configuration, and what goes wrong."""

import json

import pytest

from tests.e2e.conftest import NUMBER, SECOND
from tests.e2e.stack import eventually
from tests.template.test_watching import own_metrics


@pytest.fixture(scope="module")
def fleet(stack, simulator, tmp_path_factory):
    """The file of somebody who has two numbers now, with both keys in one secret; the second one's is out of date."""
    stack.emulator.client("secretsmanager").create_secret(
        Name="wabawatch/keys/fleet", SecretString=json.dumps({"support": NUMBER.key, "sales": SECOND.key[::-1]})
    )
    references = {name: f"secretsmanager:wabawatch/keys/fleet#{name}" for name in ("support", "sales")}
    targets = [{"id": name, "name": name.title(), "api_key": key} for name, key in references.items()]
    path = tmp_path_factory.mktemp("configuration") / "fleet.yaml"
    plain = {"source": {"base_url": simulator.url}, "targets": targets, "policy": {"group_wait": "1s"}}
    path.write_text(json.dumps(plain))
    return path


def test_the_doctor_finds_nothing_to_do_and_reaches_every_destination(stack, subscriber, slack):
    stack.wait_for_runs(1)
    notified = len(subscriber.documents), len(slack.messages)
    examined = stack.wabawatch("doctor", "--send-test")
    assert examined.returncode == 0, examined.stdout
    assert "schedule: on, rate(1 minute)" in examined.stdout
    assert "secrets: 2 of 2 can be read" in examined.stdout
    assert "coverage: 1 of 1" in examined.stdout
    eventually(
        lambda: (len(subscriber.documents), len(slack.messages)) == (notified[0] + 1, notified[1] + 1),
        "both tests came",
    )


def test_an_uploaded_configuration_is_worked_by_from_the_next_run_on(stack, subscriber, fleet):
    pushed = stack.wabawatch("config", "push", str(fleet))
    assert pushed.returncode == 0, pushed.stderr
    eventually(lambda: stack.runs()[-1]["expected"] == 2, "a run over both numbers")
    eventually(
        lambda: subscriber.heard("TARGET", "sales") == ["opened"], "the subscriber was told that one key is refused"
    )
    examined = stack.wabawatch("doctor")
    assert examined.returncode == 1
    assert "1 of 2 targets answered; 1 unauthorized" in examined.stdout


def test_a_rotated_key_works_without_a_deployment(stack, subscriber):
    both = json.dumps({"support": NUMBER.key, "sales": SECOND.key})
    stack.emulator.client("secretsmanager").put_secret_value(SecretId="wabawatch/keys/fleet", SecretString=both)
    notified = ["opened", "resolved"]
    eventually(
        lambda: subscriber.heard("TARGET", "sales") == notified, "the subscriber was told that the number is read again"
    )


def test_a_bad_configuration_is_told_while_the_last_good_one_goes_on(stack, subscriber, fleet):
    bucket = stack.outputs["ConfigBucket"]
    stack.emulator.client("s3").put_object(Bucket=bucket, Key="config.json", Body=b'{"targets": "all of them"}')
    about = ("MONITOR", "configuration")
    eventually(lambda: subscriber.heard(*about) == ["opened"], "the subscriber was told of the configuration")
    stack.wait_for_runs(1)
    assert (stack.runs()[-1]["expected"], stack.runs()[-1]["answered"]) == (2, 2)
    assert stack.wabawatch("config", "push", str(fleet)).returncode == 0
    notified = ["opened", "resolved"]
    eventually(lambda: subscriber.heard(*about) == notified, "the subscriber was told that it is good again")


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
    stack.wait_for_runs(1)


def test_what_the_dashboard_and_the_alarms_watch_was_reported_and_nothing_else(stack):
    lines = [line["_aws"] for name in ("poll", "notify") for line in stack.log(name) if "_aws" in line]
    embedded = [line for line in lines if line["Timestamp"] / 1000 > stack.deployed_at]
    reported = {metric["Name"] for one in embedded for each in one["CloudWatchMetrics"] for metric in each["Metrics"]}
    dimensions = {
        tuple(sorted(each)) for one in embedded for group in one["CloudWatchMetrics"] for each in group["Dimensions"]
    }
    rare = {"ShardsDropped", "TopicsUnheard"}  # of a fleet that is cut into shards, and of a topic without subscribers
    assert reported | rare == own_metrics() | rare | {"ProbeFailures"}
    assert dimensions == {("deployment", "service"), ("cause", "deployment", "service")}


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
