"""`doctor`, and `--stack`: a deployment in which one thing is wrong at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import moto
import msgspec
import pytest

from tests.cli.conftest import FLEET
from tests.template.template import resources
from wabawatch.adapters import stack
from wabawatch.adapters.stack import Subscription
from wabawatch.application.poll import PollTask
from wabawatch.bootstrap import SystemClock, build
from wabawatch.cli import examining
from wabawatch.domain.sharding import shard_of

STACK = "wabawatch"
REGION = "eu-central-1"
TABLE = {
    name: value
    for name, value in resources("AWS::DynamoDB::Table")["WabawatchTable"].items()
    if name in {"BillingMode", "KeySchema", "AttributeDefinitions", "LocalSecondaryIndexes"}
}
QUEUES = ("ShardQueue", "ShardDeadLetterQueue", "ScheduleDeadLetterQueue", "FailedEventQueue")
PARAMETERS = ("ApiKeySecret", "SlackWebhookSecret", "HeartbeatSecret", "BaseUrl", "HistoryDays", "PollEvery")
ALARM = {
    "Namespace": "Wabawatch", "MetricName": "RunsCompleted", "Statistic": "Sum",
    "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1, "Period": 60, "Threshold": 1,
}  # fmt: skip
OUTPUTS = {
    "TableName": {"Ref": "WabawatchTable"},
    "ConfigLocation": {"Fn::Sub": "s3://${ConfigBucket}/config.json"},
    "AlertsTopicArn": {"Ref": "AlertsTopic"},
    "AlarmTopicArns": {"Ref": "MonitorTopic"},
    "PollFunctionName": "wabawatch-poll",
    "ScheduleName": f"{STACK}/{STACK}-poll",
    "DashboardUrl": "https://console.example/dashboard",
}
TEMPLATE = {
    "Parameters": {name: {"Type": "String", "Default": ""} for name in PARAMETERS},
    "Resources": {
        "WabawatchTable": {"Type": "AWS::DynamoDB::Table", "Properties": TABLE},
        "ConfigBucket": {"Type": "AWS::S3::Bucket"},
        "AlertsTopic": {"Type": "AWS::SNS::Topic"},
        "MonitorTopic": {"Type": "AWS::SNS::Topic"},
        **{name: {"Type": "AWS::SQS::Queue"} for name in QUEUES},
    },
    "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
}


class Deployment:
    """A stack as CloudFormation would describe it, whose number the simulator answers for."""

    def __init__(self, site):
        self.site = site
        self.client("secretsmanager").create_secret(Name="wabawatch/key", SecretString=FLEET.numbers[0].key)
        given = {"ApiKeySecret": "wabawatch/key", "BaseUrl": site.server.url, "HistoryDays": "400", "PollEvery": "5m"}
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        self.client("cloudformation").create_stack(
            StackName=STACK, TemplateBody=json.dumps(TEMPLATE), Parameters=parameters
        )
        self.client("scheduler").create_schedule_group(Name=STACK)
        for purpose in ("poll", "notify"):
            self.schedule("create_schedule", "ENABLED", purpose)
        self.client("sqs").create_queue(QueueName="reader")
        for topic in ("AlertsTopic", "MonitorTopic"):
            arn = self.resource(topic)
            self.client("sns").subscribe(
                TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:reader"
            )

    def client(self, service):
        return boto3.client(service, region_name=REGION)

    def resource(self, name):
        found = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=name)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def schedule(self, operation, state, purpose="poll"):
        getattr(self.client("scheduler"), operation)(
            GroupName=STACK,
            Name=f"{STACK}-{purpose}",
            State=state,
            ScheduleExpression="rate(5 minutes)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"arn:aws:lambda:{REGION}:123456789012:function:x", "RoleArn": "arn:aws:iam::1:role/x"},
        )

    def send(self, queue, body="something", **attributes):
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.client("sqs").send_message(QueueUrl=self.resource(queue), MessageBody=body, MessageAttributes=given)

    def unsubscribe(self, topic):
        for one in self.client("sns").list_subscriptions_by_topic(TopicArn=self.resource(topic))["Subscriptions"]:
            self.client("sns").unsubscribe(SubscriptionArn=one["SubscriptionArn"])

    def ring(self, alarm, state="ALARM"):
        self.client("cloudwatch").put_metric_alarm(**{**ALARM, "AlarmName": alarm})
        self.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="test")

    def doctor(self, *arguments):
        return self.site.call("--stack", STACK, "doctor", *arguments)


@pytest.fixture
def deployment(site, monkeypatch):
    """Deployed, and watched once."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    resources_of = stack._resources

    def with_alarms(*given):
        """CloudFormation of moto makes no alarms."""
        names = {"NoRunAlarm": "wabawatch-no-run", "StartedAlarm": "wabawatch-started"}
        return names if given[1] == "AWS::CloudWatch::Alarm" else resources_of(*given)

    monkeypatch.setattr(stack, "_resources", with_alarms)
    with moto.mock_aws():
        found = Deployment(site)
        site.ok("--stack", STACK, "run", "--once")
        yield found


def test_a_deployment_that_is_well_is_told_to_be(deployment):
    examined = deployment.doctor("--send-test")
    assert examined.exit_code == 0, examined.stdout
    assert "poll schedule: on, rate(5 minutes)" in examined.stdout
    assert "1 of 1 target answered" in examined.stdout
    assert "capacity: a run takes 1 of 300 s" in examined.stdout
    assert "alerts took the test" in examined.stdout
    assert "heartbeat: none" in examined.stdout
    assert "rings none yet" in examined.stdout
    deployment.ring("wabawatch-started", "OK")
    assert "alarms: none rings\n" in deployment.doctor().stdout
    assert examined.stdout.endswith("all is well\n")


@pytest.mark.parametrize(
    ("harm", "said", "todo"),
    [
        pytest.param(
            lambda one: one.schedule("update_schedule", "DISABLED"),
            "poll schedule: OFF",
            "enable schedule wabawatch/wabawatch-poll",
            id="the schedule of poll is off",
        ),
        pytest.param(
            lambda one: one.schedule("update_schedule", "DISABLED", "notify"),
            "notify schedule: OFF",
            "enable schedule wabawatch/wabawatch-notify",
            id="the schedule of notify is off",
        ),
        pytest.param(
            lambda one: one.client("scheduler").delete_schedule(GroupName=STACK, Name=f"{STACK}-notify"),
            "notify schedule: it does not exist",
            "deploy again",
            id="a schedule was deleted",
        ),
        pytest.param(
            lambda one: one.client("secretsmanager").delete_secret(SecretId="wabawatch/key"),
            "secretsmanager:wabawatch/key",
            "create the secret",
            id="a secret cannot be read",
        ),
        pytest.param(
            lambda one: one.unsubscribe("AlertsTopic"), "alerts: nobody subscribes", "subscribe", id="nobody is alerted"
        ),
        pytest.param(
            lambda one: one.unsubscribe("MonitorTopic"),
            "the monitor's own alarms: nobody subscribes",
            "subscribe",
            id="nobody hears of its own trouble",
        ),
        pytest.param(
            lambda one: one.send("ShardDeadLetterQueue"),
            "1 message in ShardDeadLetterQueue",
            "doctor --purge",
            id="a dead letter lies there",
        ),
        pytest.param(
            lambda one: one.ring("wabawatch-no-run"),
            "alarms: wabawatch-no-run",
            "https://console.example/dashboard",
            id="an alarm rings",
        ),
    ],
)
def test_one_thing_is_to_do_where(deployment, harm, said, todo):
    harm(deployment)
    examined = deployment.doctor()
    assert examined.exit_code == 1, examined.stdout
    assert said in examined.stdout
    assert todo in examined.stdout.replace("\n", " ")
    assert "1 thing to do" in examined.stdout


def test_a_secret_that_only_the_examiner_can_read_is_to_move(deployment, monkeypatch):
    find = stack.find

    def find_with_prefix(name, clients):
        return msgspec.structs.replace(find(name, clients), secret_prefix="other/")

    monkeypatch.setattr(stack, "find", find_with_prefix)
    deployment.client("secretsmanager").create_secret(Name="wabawatch/keys/a", SecretString=FLEET.numbers[0].key)
    deployment.site.configure(
        targets=[{"id": "a", "api_key": "secretsmanager:wabawatch/keys/a"}], destinations={"c": {"kind": "console"}}
    )
    examined = deployment.doctor("--config", str(deployment.site.config))
    assert "secrets: 1 of 1 can be read" in examined.stdout
    assert "poll may not read it; give it a name that begins with other/keys/" in examined.stdout.replace("\n", " ")


def test_a_subscription_that_nobody_confirmed_is_to_do_though_another_is(deployment, monkeypatch):
    found = [Subscription("sqs", "arn:aws:sqs:::reader", is_confirmed=True)]
    waiting = Subscription("email", "you@example.com", is_confirmed=False)
    monkeypatch.setattr(stack, "subscriptions", lambda _topic, _clients: [*found, waiting])
    examined = deployment.doctor()
    assert examined.exit_code == 1
    assert "alerts: 1 of 2 confirmed" in examined.stdout
    assert "confirms email you@example.com" in examined.stdout.replace("\n", " ")


def test_what_is_on_its_way_or_another_stacks_is_no_fault(deployment):
    deployment.send("ShardQueue")
    deployment.ring("another-no-run")
    deployment.ring("wabawatch-prod-no-run")
    assert deployment.doctor().exit_code == 0


LETTERS = {
    "ShardDeadLetterQueue": ({"body": '{"wabawatch": "shard", "run_id": "r", "shard": 3, "of": 8}'}, "shard 3 of 8"),
    "ScheduleDeadLetterQueue": (
        {"ERROR_CODE": "AccessDenied", "ERROR_MESSAGE": "not allowed to start it"},
        "AccessDenied: not allowed to start it",
    ),
    "FailedEventQueue": (
        {
            "body": json.dumps(
                {
                    "requestContext": {"functionArn": "arn:aws:lambda:r:1:function:wabawatch-notify:$LATEST"},
                    "responsePayload": {"errorType": "StoreError", "errorMessage": "DynamoDB does not answer"},
                }
            )
        },
        "wabawatch-notify: DynamoDB does not answer",
    ),
}


def test_what_lies_in_the_queues_is_said_with_its_cause_and_stays_until_it_is_purged(deployment):
    deployment.send("ShardQueue")  # on its way: no fault, and never deleted
    for queue, (message, _) in LETTERS.items():
        for _ in range(2):
            deployment.send(queue, **message)
    for arguments, code, after in (((), 1, ""), ((), 1, ""), (("--purge",), 0, "; deleted")):
        examined = deployment.doctor(*arguments)
        assert examined.exit_code == code, examined.stdout
        for queue, (_, cause) in LETTERS.items():
            assert f"2 messages in {queue}, {cause}{after}\n" in examined.stdout
    assert "all queues are empty" in deployment.doctor().stdout
    attributes = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.resource("ShardQueue"), AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "1"


def test_purging_needs_a_stack(site):
    done = site.call("doctor", "--purge")
    assert done.exit_code == 64
    assert "--stack NAME" in done.stderr


def test_numbers_that_were_not_read_are_told_with_the_cause(deployment, site):
    site.server.set("*", failure="bad_gateway")
    site.ok("--stack", STACK, "run", "--once")
    examined = deployment.doctor()
    assert examined.exit_code == 1
    assert "0 of 1 target answered; 1 provider_error" in examined.stdout


def test_a_run_that_takes_longer_than_the_interval_is_to_do_by_the_time_that_it_took(deployment, monkeypatch):
    seen = []

    def explain(load):
        seen.append(load)
        return "9 numbers take 400 s (as the latest run took); the interval is 300 s: raise PollConcurrency to 8"

    monkeypatch.setattr(examining, "explain_overload", explain)
    examined = deployment.doctor()
    assert examined.exit_code == 1
    assert "capacity: 9 numbers take 400 s (as the latest run took); the interval is 300 s" in examined.stdout
    assert "raise PollConcurrency to 8" in examined.stdout
    (load,) = seen
    assert (load.numbers, load.polls, load.interval) == (1, 5, timedelta(minutes=5))
    assert timedelta() < load.shard_time < timedelta(minutes=1)


def test_the_json_document_has_the_same_findings(deployment):
    deployment.schedule("update_schedule", "DISABLED")
    found = deployment.site.document("--stack", STACK, "doctor")
    assert found["ok"] is False
    assert [one["subject"] for one in found["findings"] if not one["ok"]] == ["poll schedule"]


def test_a_stack_that_is_not_there_is_a_usage_error_that_names_it(deployment):
    done = deployment.site.call("--stack", "nothing", "status")
    assert done.exit_code == 64
    assert "nothing" in done.stderr


def test_a_stack_that_is_none_of_wabawatch_is_told_to_be(deployment):
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    deployment.client("cloudformation").create_stack(StackName="other", TemplateBody=body)
    done = deployment.site.call("--stack", "other", "status")
    assert done.exit_code == 64
    assert "no stack of Wabawatch" in done.stderr


def test_on_this_machine_a_monitor_that_never_ran_is_told_to_be_started(site):
    examined = site.call("doctor")
    assert examined.exit_code == 1
    assert "last run: there is none" in examined.stdout
    assert "start `wabawatch run`" in examined.stdout
    site.once()
    assert site.call("doctor").exit_code == 0


def test_files_that_others_may_open_or_replace_are_named_with_the_command_that_ends_it(site, tmp_path):
    key = tmp_path / "own" / "key"
    key.parent.mkdir(mode=0o700)
    key.write_text(site.config.read_text())
    key.chmod(0o640)
    site.once()
    state = Path(site.environment["WABAWATCH_STATE"].removeprefix("sqlite:"))
    state.chmod(0o666)
    site.configure(heartbeat={"url": f"file:{key}"})

    def files():
        found = [one for one in site.document("doctor")["findings"] if one["subject"] == "files"]
        return {one["todo"] for one in found if not one["ok"]}

    assert files() == {f"chmod go= {key}", f"chmod go= {state}"}
    state.chmod(0o600)
    key.chmod(0o600)
    key.parent.chmod(0o777)
    assert files() == {f"chmod go-w {key.parent}"}
    key.parent.chmod(0o700)
    assert files() == set()


def test_a_shard_that_is_not_read_is_named_though_the_others_are(site, monkeypatch):
    app = build(site.environment["WABAWATCH_STATE"], str(site.config), site.environment)
    ahead = timedelta(0)
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) + ahead)
    for shard in (0, 1):
        targets = [one for one in app.settings.targets if shard_of(one.id, 2) == shard]
        app.poll(PollTask(f"run-{shard}", targets, shard, 2))
        ahead += timedelta(minutes=11)
    app.close()
    ahead -= timedelta(minutes=11)
    (found,) = [one for one in site.document("doctor")["findings"] if one["subject"] == "whole fleet"]
    assert found["ok"] is False
    assert "shard 0 of 2 (" in found["said"]
    assert "not been read for 11 min" in found["said"]


def test_codes_without_advice_are_named_and_can_be_given_some(site):
    site.server.set("waba:acme-eu", status="BLOCKED", reasons=[{"code": 141999, "description": "never heard of"}])
    site.once()
    found = {one["subject"]: one for one in site.document("doctor")["findings"]}
    assert "141999 (1 number)" in found["runbook"]["said"]
    site.configure(runbook={141999: {"action": "Ask Maria."}})
    assert "runbook" not in {one["subject"] for one in site.document("doctor")["findings"]}


def test_a_row_that_was_set_aside_is_named_with_the_reason(site):
    site.once()
    app = build(site.environment["WABAWATCH_STATE"], str(site.config), site.environment)
    site.server.set("*", status="BLOCKED", reasons=[141006])
    app.poll(PollTask("again", app.settings.targets[:1]))
    (pending,) = app.store.pending(10)
    app.store.set_aside_change(pending, "folding it failed with ZeroDivisionError")
    app.close()
    examined = site.call("doctor")
    assert examined.exit_code == 1
    said = examined.stdout.replace("\n", " ")
    assert "was set aside" in said
    assert "folding it failed with ZeroDivisionError" in said
