"""`doctor --verify-aws`: each check shown to prove and to find, and that nothing is left behind."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import moto
import msgspec
import pytest
import yaml

from tests.cli.scripted_aws import REGION, Denied, ScriptedAws, client
from wabawatch.adapters.cloudformation import Stack
from wabawatch.bootstrap import build
from wabawatch.cli.verify_aws import topics
from wabawatch.cli.verify_aws.check import Account, Check, Outcome, Pause, Timer, proven, run_checks
from wabawatch.cli.verify_aws.verification import ACTIONS, CHECKS
from wabawatch.domain.coverage import ShardCoverage
from wabawatch.errors import ConfigurationError

STACK = "wabawatch"
NOW = datetime.now(UTC).replace(microsecond=0)
POLL, NOTIFY = f"{STACK}-poll", f"{STACK}-notify"
DOCS = Path(__file__).parents[2] / "docs/verify-aws.md"
BY_NAME = {check.name: check for check in CHECKS}


class FakeTimer(Timer):
    """Time passes by sleeping alone."""

    def __init__(self):
        self.at = 0.0
        super().__init__(lambda: self.at, self.pass_time)

    def pass_time(self, seconds):
        self.at += seconds


class Verification:
    """A deployment in moto's SNS and SQS; all else answers by the script."""

    def __init__(self, folder):
        topics = {
            name: client("sns").create_topic(Name=f"{STACK}-{name}")["TopicArn"] for name in ("alerts", "monitor")
        }
        config = {
            "targets": [{"id": "one", "api_key": "secretsmanager:wabawatch/keys#one"}],
            "destinations": {"alerts": {"kind": "sns", "topic_arn": topics["alerts"]}, "chat": {"kind": "console"}},
        }
        self.topics = topics
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        self.config = folder / "config.yaml"
        outputs = {
            "TableName": "state",
            "MonitorTopicArn": topics["monitor"],
            "PollFunctionName": POLL,
            "NotifyFunctionName": NOTIFY,
            "ScheduleName": f"{STACK}/{POLL}",
        }
        self.stack = Stack(STACK, "CREATE_COMPLETE", outputs, {"WABAWATCH_POLL_INTERVAL": "5m"})
        self.application = build(f"sqlite:{folder / 'state.db'}", str(self.config), {}, resolve=False)
        self.application.clock = SimpleNamespace(now=lambda: NOW)
        self.timer = FakeTimer()
        self.aws = ScriptedAws(well())
        self.account = Account(self.stack, self.application, self.aws.client, self.timer)

    def run(self, name, **script):
        """One check's results, with what the script answers otherwise."""
        self.aws.script |= {key.replace("_", ":", 1): value for key, value in script.items()}
        with closing(run_checks([BY_NAME[name]], self.account, self.timer)) as running:
            return list(running)

    def finding(self, name, **script):
        """The one thing that is not proven."""
        (found,) = [one for one in self.run(name, **script) if one.outcome is not Outcome.PROVEN]
        assert found.todo
        return found

    def left_behind(self):
        sns, sqs = client("sns"), client("sqs")
        found = [one["TopicArn"] for one in sns.list_topics()["Topics"] if "-verify-" in one["TopicArn"]]
        found += [one["Endpoint"] for one in sns.list_subscriptions()["Subscriptions"] if "-verify-" in one["Endpoint"]]
        return found + sqs.list_queues(QueueNamePrefix=f"{STACK}-verify-").get("QueueUrls", [])

    def subscribe(self, topic, protocol, endpoint):
        sns = client("sns")
        return sns.subscribe(TopicArn=self.topics[topic], Protocol=protocol, Endpoint=endpoint)["SubscriptionArn"]


def alarm(name, **more):
    found = {
        "AlarmName": name,
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:{name}",
        "ActionsEnabled": True,
        "StateValue": "OK",
        "Namespace": "Wabawatch",
        "MetricName": "SecondsSinceCompleteRun",
        "Dimensions": [{"Name": "deployment", "Value": STACK}, {"Name": "service", "Value": "notify"}],
        "TreatMissingData": "breaching",
    }
    return found | more


def composite(name, rule, topic, **more):
    return {
        "AlarmName": name, "AlarmRule": rule, "AlarmActions": [topic], "ActionsEnabled": True, "StateValue": "OK",
    } | more  # fmt: skip


def resource(logical, kind, physical):
    return {
        "LogicalResourceId": logical, "ResourceType": kind, "PhysicalResourceId": physical,
        "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE",
    }  # fmt: skip


def mapping(source, **more):
    return {
        "UUID": "0c7f1b9e-0000-4000-8000-000000000001",
        "EventSourceArn": source,
        "State": "Enabled",
        "LastProcessingResult": "OK",
    } | more


QUEUE, STREAM = f"arn:aws:sqs:{REGION}:1:ShardQueue", f"arn:aws:dynamodb:{REGION}:1:table/state/stream/now"


def self_tested(purpose, **more):
    found = {
        "function": purpose, "architecture": "aarch64", "versions": {"pycurl": "PycURL/7 OpenSSL/3"},
        "tried": [{"name": "the configuration"}], "secrets": 1, "secrets_in_all": 1, "delivered": [],
    }  # fmt: skip
    return {"StatusCode": 200, "Payload": found | more}


def measured(**values):
    """Answers GetMetricData: by label, when there was one."""

    def answer(request):
        labels = [one["Id"] for one in request["MetricDataQueries"]]
        at = {label: values.get(label) for label in labels}
        return {
            "MetricDataResults": [
                {"Id": label, "Timestamps": [when] if when else [], "Values": [1.0] if when else []}
                for label, when in at.items()
            ]
        }

    return answer


def report(init):
    line = (
        f"REPORT RequestId: 1 Duration: 812.30 ms Billed Duration: 900 ms Memory Size: 512 MB Init Duration: {init} ms"
    )
    return {"events": [{"message": line, "timestamp": 1}]}


LAYER = f"arn:aws:lambda:{REGION}:123456789012:layer:CoreLayer:7"


def made(days):
    """As Lambda writes when a layer was made."""
    return f"{NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%S}.000+0000"


def well():
    """What AWS answers about a deployment that is well."""
    recovery = {"PointInTimeRecoveryStatus": "ENABLED", "EarliestRestorableDateTime": NOW}
    backups = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
    return {
        "cloudformation:ListStackResources": {
            "StackResourceSummaries": [resource("NoRunAlarm", "AWS::CloudWatch::Alarm", f"{STACK}-no-run")]
        },
        "cloudformation:DescribeStacks": {
            "Stacks": [
                {"StackName": STACK, "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE",
                 "EnableTerminationProtection": True}
            ]
        },
        "scheduler:ListSchedules": {"Schedules": [{"Name": POLL}, {"Name": NOTIFY}]},
        "scheduler:GetSchedule": {"State": "ENABLED", "ScheduleExpression": "rate(5 minutes)"},
        "cloudwatch:GetMetricData": measured(poll=NOW - timedelta(minutes=4), notify=NOW - timedelta(minutes=2)),
        "cloudwatch:DescribeAlarms": {"MetricAlarms": [alarm(f"{STACK}-no-run")], "CompositeAlarms": []},
        "cloudwatch:ListMetrics": {
            "Metrics": [
                {"Namespace": "Wabawatch", "MetricName": "SecondsSinceCompleteRun",
                 "Dimensions": alarm("")["Dimensions"][::-1]}
            ]
        },
        "lambda:ListEventSourceMappings": lambda request: {
            "EventSourceMappings": [mapping(QUEUE if request["FunctionName"] == POLL else STREAM)]
        },
        "lambda:GetFunctionConfiguration": {"Architectures": ["arm64"], "Layers": [{"Arn": LAYER}]},
        "lambda:GetLayerVersionByArn": {
            "CreatedDate": made(3), "CompatibleArchitectures": ["arm64"],
        },
        "lambda:GetAccountSettings": {
            "AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}
        },
        "lambda:Invoke": lambda request: self_tested(request["FunctionName"].rpartition("-")[2]),
        "dynamodb:DescribeContinuousBackups": {"ContinuousBackupsDescription": backups},
        "dynamodb:DescribeTimeToLive": {
            "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        },
        "dynamodb:DescribeTable": {
            "Table": {"DeletionProtectionEnabled": True, "StreamSpecification": {"StreamEnabled": True}}
        },
        "dynamodb:DescribeLimits": {"TableMaxWriteCapacityUnits": 40_000},
        "logs:FilterLogEvents": report("412.50"),
        "ssm:GetServiceSetting": {"ServiceSetting": {"SettingValue": "false"}},
        "sns:GetSMSAttributes": {"attributes": {"MonthlySpendLimit": "1"}},
        "sns:GetSMSSandboxAccountStatus": {"IsInSandbox": False},
    }  # fmt: skip


@pytest.fixture
def verification(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto.mock_aws():
        found = Verification(tmp_path)
        yield found
        found.application.close()
        found.aws.close()


# --- what AWS says about itself

ALONE = [
    "schedules", "event sources", "table", "protection", "layer", "metrics", "functions", "cold start",
    "quota: Lambda", "quota: DynamoDB", "quota: Parameter Store", "quota: Secrets Manager", "quota: SMS", "leftovers",
]  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_a_deployment_that_is_well_is_proven_to_be(verification, name):
    results = verification.run(name)
    assert results
    assert [one for one in results if one.outcome is not Outcome.PROVEN] == []


NO_RECOVERY = {"ContinuousBackupsStatus": "ENABLED"}
FOUND = [
    ("schedules", {"scheduler_ListSchedules": {"Schedules": [{"Name": POLL}]}}, "schedule of notify does not exist"),
    (
        "schedules",
        {
            "scheduler_ListSchedules": {"Schedules": [{"Name": POLL}, {"Name": NOTIFY}]},
            "scheduler_GetSchedule": lambda asked: {
                "State": "DISABLED" if asked["Name"] == POLL else "ENABLED", "ScheduleExpression": "rate(5 minutes)",
            },
        },
        "the schedule of poll is off",
    ),
    ("schedules", {"cloudwatch_GetMetricData": measured(poll=NOW)}, "notify was not started"),
    (
        "schedules",
        {"cloudwatch_GetMetricData": measured(poll=NOW - timedelta(minutes=16), notify=NOW)},
        "poll was last started 16 min ago",
    ),
    ("schedules", {"cloudwatch_GetMetricData": measured(poll=NOW, notify=NOW, dropped=NOW)}, "dropped 1 invocation"),
    (
        "event sources",
        {
            "lambda_ListEventSourceMappings": lambda asked: {
                "EventSourceMappings": [mapping(QUEUE)] if asked["FunctionName"] == POLL
                else [mapping(STREAM, State="Disabled")]
            }
        },
        "the table's stream does not start notify: Disabled",
    ),
    (
        "event sources",
        {
            "lambda_ListEventSourceMappings": lambda asked: {
                "EventSourceMappings": [] if asked["FunctionName"] == POLL
                else [mapping(STREAM)]
            }
        },
        "the shard queue does not start poll",
    ),
    (
        "event sources",
        {
            "lambda_ListEventSourceMappings": lambda asked: {
                "EventSourceMappings": [mapping(QUEUE)] if asked["FunctionName"] == POLL
                else [mapping(STREAM, LastProcessingResult="PROBLEM: Function call failed")]
            }
        },
        "PROBLEM: Function call failed",
    ),
    (
        "table",
        {"dynamodb_DescribeContinuousBackups": {"ContinuousBackupsDescription": NO_RECOVERY}},
        "point-in-time recovery of the table is off",
    ),
    (
        "table",
        {"dynamodb_DescribeTimeToLive": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}},
        "old rows are never removed",
    ),
    ("table", {"dynamodb_DescribeTable": {"Table": {"DeletionProtectionEnabled": True}}}, "the table has no stream"),
    (
        "table",
        {"dynamodb_DescribeTable": {"Table": {"StreamSpecification": {"StreamEnabled": True}}}},
        "no deletion protection",
    ),
    (
        "protection",
        {
            "cloudformation_DescribeStacks": {
                "Stacks": [{"StackName": STACK, "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE"}]
            }
        },
        "no termination protection",
    ),
    (
        "layer",
        {"lambda_GetLayerVersionByArn": {"CreatedDate": made(40)}},
        "CoreLayer:7 is 40 days old",
    ),
    ("layer", {"lambda_GetFunctionConfiguration": {"Architectures": ["arm64"]}}, "no layer"),
    (
        "metrics",
        {
            "cloudwatch_DescribeAlarms": {
                "MetricAlarms": [
                    alarm(f"{STACK}-no-run", Dimensions=[{"Name": "service", "Value": "notify"}])
                ]
            }
        },
        "also watches other deployments",
    ),
    ("metrics", {"cloudwatch_ListMetrics": {"Metrics": []}}, "wabawatch-no-run is always in ALARM"),
    ("metrics", {"cloudwatch_DescribeAlarms": {"MetricAlarms": []}}, "no alarm on its own metrics"),
    ("cold start", {"logs_FilterLogEvents": report("6000.00")}, "started in 6.00 s"),
    (
        "quota: Lambda",
        {"lambda_GetAccountSettings": {"AccountLimit": {"UnreservedConcurrentExecutions": 2}}},
        "up to 3 concurrent executions are needed, and 2 are unreserved",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "script", "said"), FOUND, ids=[f"{name}: {said}" for name, _, said in FOUND])
def test_one_thing_is_found_where(verification, name, script, said):
    both = {"cold start", "metrics"}
    found = [one for one in verification.run(name, **script) if one.outcome is not Outcome.PROVEN]
    assert len(found) == 1 or name in both
    assert found[0].outcome is Outcome.FINDING
    assert said in found[0].said
    assert found[0].todo


def test_a_layer_for_another_processor_is_found_for_each_function(verification):
    found = verification.run(
        "layer", lambda_GetFunctionConfiguration={"Architectures": ["x86_64"], "Layers": [{"Arn": LAYER}]}
    )
    assert [one.said for one in found if one.outcome is Outcome.FINDING] == [
        "the layer of poll is not built for x86_64",
        "the layer of notify is not built for x86_64",
    ]


@pytest.mark.parametrize(
    ("answer", "said", "todo"),
    [
        (self_tested("x", architecture="x86_64"), "runs on x86_64 and not on arm64", "deploy again"),
        (self_tested("x", tried=[{"name": "secret", "error": "denied"}]), "secret: denied", "role"),
        (
            {
                "StatusCode": 200,
                "FunctionError": "Unhandled",
                "Payload": {"errorMessage": "Unable to import module 'app'"},
            },
            "Unable to import module",
            "ARCHITECTURE",
        ),
        (
            {
                "StatusCode": 200,
                "FunctionError": "Unhandled",
                "Payload": {"errorMessage": "not an event of this function"},
            },
            "not an event",
            "deploy this version",
        ),
        ({"StatusCode": 200, "Payload": {"run_id": "x"}}, "poll failed: no answer", "log"),
    ],
)
def test_a_function_that_is_not_well_is_found(verification, answer, said, todo):
    found = verification.run(
        "functions", lambda_Invoke=lambda asked: answer if asked["FunctionName"] == POLL else self_tested("notify")
    )
    bad = next(one for one in found if one.outcome is Outcome.FINDING)
    assert said in bad.said
    assert todo in bad.todo
    assert any("notify runs on aarch64" in one.said for one in found)


def test_where_there_was_no_cold_start_nothing_is_claimed(verification):
    found = verification.run("cold start", logs_FilterLogEvents={"events": []})
    assert {one.outcome for one in found} == {Outcome.UNCHECKED}


def test_a_fleet_in_shards_needs_more_executions(verification):
    coverage = ShardCoverage(0, 32, "run", NOW, NOW, timedelta(minutes=5), 2000)
    verification.application.store.save_coverage(coverage)
    mappings = {"EventSourceMappings": [mapping(QUEUE, ScalingConfig={"MaximumConcurrency": 8})]}
    found = verification.finding("quota: Lambda", lambda_ListEventSourceMappings=mappings)
    assert "up to 11 concurrent executions are needed, and 10 are unreserved" in found.said


def test_an_outage_of_a_large_fleet_needs_more_writes_than_a_small_quota_has(verification):
    configure_targets(verification, 400, "secretsmanager:wabawatch/keys#{}")
    found = verification.finding("quota: DynamoDB", dynamodb_DescribeLimits={"TableMaxWriteCapacityUnits": 21})
    assert "22 write units a second; a table may have 21" in found.said


def configure_targets(verification, count, reference):
    config = yaml.safe_load(verification.config.read_text())
    config["targets"] = [{"id": f"n{number}", "api_key": reference.format(number)} for number in range(count)]
    verification.config.write_text(yaml.safe_dump(config))
    verification.application.refresh()


def test_too_many_parameters_are_found_unless_throughput_is_high(verification):
    configure_targets(verification, 4_010, "ssm:/wabawatch/{}")
    assert "10.0 s" in verification.finding("quota: Parameter Store").said
    (found,) = verification.run(
        "quota: Parameter Store", ssm_GetServiceSetting={"ServiceSetting": {"SettingValue": "true"}}
    )
    assert found.outcome is Outcome.PROVEN


def test_sms_is_looked_at_where_a_phone_is_subscribed(verification):
    verification.subscribe("alerts", "sms", "+4915112345678")
    assert "$1 a month" in verification.finding("quota: SMS").said
    more = {"sns_GetSMSAttributes": {"attributes": {"MonthlySpendLimit": "50"}}}
    assert [one.outcome for one in verification.run("quota: SMS", **more)] == [Outcome.PROVEN]
    assert "sandbox" in verification.finding("quota: SMS", sns_GetSMSSandboxAccountStatus={"IsInSandbox": True}).said


# --- messages


def test_a_topic_that_everybody_confirmed_is_proven(verification):
    for topic in ("alerts", "monitor"):
        verification.subscribe(topic, "sqs", f"arn:aws:sqs:{REGION}:123456789012:reader")
    assert [one.said for one in verification.run("subscriptions")] == [
        "alerts: 1 subscription, all confirmed",
        "the monitor's own alarms (wabawatch-monitor): 1 subscription, all confirmed",
    ]


def listed(protocol, arn):
    return {
        "Subscriptions": [
            {"Protocol": protocol, "Endpoint": "ops@example.com", "SubscriptionArn": arn, "TopicArn": "t"}
        ]
    }


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param({}, "alerts: no confirmed subscription", id="nobody"),
        pytest.param(
            {"sns_ListSubscriptionsByTopic": listed("email", "PendingConfirmation")},
            "email ops@example.com is not confirmed",
            id="pending",
        ),
        pytest.param(
            {"sns_GetTopicAttributes": {"Attributes": {"SubscriptionsDeleted": "2"}}},
            "2 subscriptions deleted recently",
            id="deleted",
        ),
        pytest.param(
            {
                "sns_ListSubscriptionsByTopic": listed("email", f"arn:aws:sns:{REGION}:1:t:1"),
                "sns_GetSubscriptionAttributes": {"Attributes": {"ConfirmationWasAuthenticated": "false"}},
            },
            "the link in each e-mail to ops@example.com unsubscribes it without authentication",
            id="anybody can unsubscribe",
        ),
    ],
)
def test_a_subscription_that_does_not_hold_is_found(verification, script, said):
    found = [one for one in verification.run("subscriptions", **script) if one.outcome is Outcome.FINDING]
    assert any(said in one.said for one in found)


@pytest.fixture
def plain_documents(monkeypatch):
    """Each format publishes a JSON document with attributes: moto looks for a field beside the protocols' bodies, not
    in them."""

    def publish(account, topic, name):
        message = {"notification_id": name, "kind": "test"}
        attribute = {"DataType": "String", "StringValue": "test"}
        sent = {"TopicArn": topic, "Message": json.dumps(message), "MessageAttributes": {"event": attribute}}
        account.call("sns", "publish", **sent)
        return name

    monkeypatch.setattr(topics, "_publish", publish)


@pytest.mark.usefixtures("plain_documents")
def test_filter_policies_are_proven_by_what_arrives(verification):
    results = verification.run("filter policies")
    assert [one for one in results if one.outcome is not Outcome.PROVEN] == []
    assert any("FilterPolicyScope MessageBody: a subscriber gets what" in one.said for one in results)
    assert verification.timer.at < 60
    assert verification.left_behind() == []


def test_a_filter_policy_that_accepts_nothing_of_what_is_published_is_found_after_a_quarter_of_an_hour(verification):
    found = verification.finding("filter policies")
    assert found.said.startswith("format protocols, FilterPolicyScope MessageBody: a subscriber does not get")
    assert verification.timer.at > 15 * 60
    assert verification.left_behind() == []


@pytest.mark.usefixtures("plain_documents")
def test_filter_policies_without_effect_are_found(verification):
    verification.aws.changes["sns:Subscribe"] = lambda request: [
        request["Attributes"].pop(name, None) for name in ("FilterPolicy", "FilterPolicyScope")
    ]
    results = verification.run("filter policies")
    assert Outcome.FINDING in {one.outcome for one in results}
    assert verification.left_behind() == []


def delivering(verification, **errors):
    """Notify, which publishes to the alerts topic unless it says otherwise."""

    def answer(request):
        assert json.loads(request["Payload"]) == {"wabawatch": "self-test", "deliver": True}
        if "alerts" not in errors:
            client("sns").publish(TopicArn=verification.topics["alerts"], Message='{"test": true}')
        delivered = [
            {"name": name} | ({"error": errors[name]} if name in errors else {}) for name in ("alerts", "chat")
        ]
        return self_tested("notify", delivered=delivered)

    return answer


def test_a_test_alert_is_proven_by_its_arrival(verification):
    results = verification.run("test alert", lambda_Invoke=delivering(verification))
    assert [(one.outcome, one.said) for one in results] == [
        (Outcome.PROVEN, "alerts accepted the test from the notify function, and delivered it"),
        (Outcome.PROVEN, "chat accepted the test from the notify function"),
    ]
    assert verification.left_behind() == []


def test_a_destination_that_the_role_cannot_reach_is_found(verification):
    found = verification.finding(
        "test alert", lambda_Invoke=delivering(verification, alerts="SNS says KMSAccessDenied")
    )
    assert "KMSAccessDenied" in found.said
    assert verification.left_behind() == []


def test_a_topic_that_takes_a_test_and_does_not_deliver_it_is_found(verification):
    lost = self_tested("notify", delivered=[{"name": "alerts"}])
    assert "did not arrive" in verification.finding("test alert", lambda_Invoke=lost).said
    assert verification.left_behind() == []


def test_deliveries_that_failed_are_counted(verification):
    found = verification.finding(
        "test alert", lambda_Invoke=delivering(verification), cloudwatch_GetMetricData=measured(t0=NOW)
    )
    assert "alerts: SNS could not deliver to 1 subscriber" in found.said


def ringing(verification, speaking):
    """CloudWatch, in which setting an alarm publishes for the alarm that speaks."""
    states = []

    def answer(request):
        states.append((request["AlarmName"], request["StateValue"]))
        body = json.dumps({"AlarmName": speaking, "NewStateValue": request["StateValue"]})
        for arn in verification.account.alarm_topics.values():
            client("sns").publish(TopicArn=arn, Message=body)
        return {}

    return states, answer


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_an_alarm_is_proven_from_end_to_end_and_set_back(verification, state):
    speaks = alarm(f"{STACK}-no-run", AlarmActions=[verification.topics["monitor"]], StateValue=state)
    states, answer = ringing(verification, f"{STACK}-no-run")
    (found,) = verification.run(
        "test alarm", cloudwatch_SetAlarmState=answer, cloudwatch_DescribeAlarms={"MetricAlarms": [speaks]}
    )
    assert found.outcome is Outcome.PROVEN
    assert states == [(f"{STACK}-no-run", "ALARM"), (f"{STACK}-no-run", state)]
    assert verification.left_behind() == []


def test_of_a_composite_alarm_a_part_is_rung_for_it_would_stay_as_it_was_set(verification):
    """The one whose rule any part fulfils, and a part that is quiet."""
    topic = verification.topics["monitor"]
    both = {
        "MetricAlarms": [alarm("loud", StateValue="ALARM"), alarm("started"), alarm("not-so"), alarm("quiet")],
        "CompositeAlarms": [
            composite("not-working", '(ALARM("quiet")) AND NOT INSUFFICIENT_DATA("started")', topic),
            composite(
                "attention",
                'ALARM("loud") OR INSUFFICIENT_DATA("started") OR NOT ALARM("not-so") OR ALARM("quiet")',
                topic,
            ),
        ],
    }
    states, answer = ringing(verification, "attention")
    results = verification.run("test alarm", cloudwatch_SetAlarmState=answer, cloudwatch_DescribeAlarms=both)
    assert [one.outcome for one in results] == [Outcome.PROVEN]
    assert states == [("quiet", "ALARM"), ("quiet", "OK")]


def test_every_topic_that_alarms_speak_to_is_listened_to(verification):
    own, given = verification.topics["monitor"], client("sns").create_topic(Name="pager")["TopicArn"]
    verification.account.stack = msgspec.structs.replace(
        verification.stack, outputs=verification.stack.outputs | {"AlarmTopicArns": f"{own},{given}"}
    )
    script = {"cloudwatch_DescribeAlarms": {"MetricAlarms": [alarm("quiet", AlarmActions=[own, given])]}}
    _, answer = ringing(verification, "quiet")
    results = verification.run("test alarm", cloudwatch_SetAlarmState=answer, **script)
    assert [one.outcome for one in results] == [Outcome.PROVEN, Outcome.PROVEN]
    only_one = {"cloudwatch_DescribeAlarms": {"MetricAlarms": [alarm("quiet", AlarmActions=[own])]}}
    assert "no alarm sends" in verification.finding("test alarm", **only_one).said


@pytest.mark.parametrize(
    ("more", "outcome", "said"),
    [
        pytest.param({"StateValue": "ALARM"}, Outcome.UNCHECKED, "is in ALARM already", id="it rings"),
        pytest.param({"AlarmActions": []}, Outcome.FINDING, "no alarm sends", id="it has no action"),
        pytest.param({"ActionsEnabled": False}, Outcome.FINDING, "no alarm sends", id="its actions are off"),
        pytest.param({}, Outcome.FINDING, "no message", id="its message does not come"),
    ],
)
def test_an_alarm_that_cannot_be_proven_is_said(verification, more, outcome, said):
    one = alarm(f"{STACK}-no-run", AlarmActions=[verification.topics["monitor"]]) | more
    found = verification.finding(
        "test alarm", cloudwatch_SetAlarmState={}, cloudwatch_DescribeAlarms={"MetricAlarms": [one]}
    )
    assert found.outcome is outcome
    assert said in found.said
    assert verification.left_behind() == []


# --- what is left, what is missing, what waits


@pytest.mark.parametrize("name", ["filter policies", "test alert", "test alarm"])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_behind_by_an_interrupt_at_any_pause(verification, name, interrupt):
    speaks = alarm(f"{STACK}-no-run", AlarmActions=[verification.topics["monitor"]])
    states, answer = ringing(verification, "another")
    verification.aws.script |= {
        "cloudwatch:DescribeAlarms": {"MetricAlarms": [speaks]},
        "cloudwatch:SetAlarmState": answer,
        "lambda:Invoke": self_tested("notify", delivered=[{"name": "alerts"}]),
    }
    for pauses in range(3):
        left = [pauses]

        def sleep(_, left=left):
            if not left[0]:
                raise interrupt
            left[0] -= 1
            verification.timer.at += 10

        verification.timer.sleep = sleep
        with pytest.raises(interrupt):
            verification.run(name)
        assert verification.left_behind() == []
    assert [state for _, state in states].count("ALARM") == [state for _, state in states].count("OK")


def test_an_interrupt_ends_every_check_though_the_cleanup_of_one_fails(verification):
    ended, kept = [], []

    def steps(name):
        def of(_):
            try:
                yield Pause(600)
            finally:
                ended.append(name)
                if name == "a":
                    raise ConfigurationError("no right to delete")

        return lambda account: kept.append(of(account)) or kept[-1]  # kept: what is lost ends by itself

    def interrupt(_):
        raise KeyboardInterrupt

    checks = [Check(name, "", steps(name), ()) for name in ("a", "b")]
    with pytest.raises(ConfigurationError, match="no right to delete"):
        list(run_checks(checks, verification.account, Timer(lambda: 0.0, interrupt)))
    assert sorted(ended) == ["a", "b"]


def test_what_an_earlier_verification_left_is_removed_and_a_present_one_s_is_not(verification):
    sns, sqs = client("sns"), client("sqs")
    old, young = (f"{STACK}-verify-{int(at.timestamp()):08x}abcd-match" for at in (NOW - timedelta(hours=3), NOW))
    other = f"{STACK}-verify-verify-{old[-19:]}"
    for name in (old, young, other, f"{STACK}-verify-mine"):
        sqs.create_queue(QueueName=name)
        sns.create_topic(Name=name)
        verification.subscribe("alerts", "sqs", f"arn:aws:sqs:{REGION}:123456789012:{name}")
    (found,) = verification.run("leftovers")
    assert found.said == "3 removed"
    names = {name.rpartition("/")[2].rpartition(":")[2] for name in verification.left_behind()}
    assert names == {young, other, f"{STACK}-verify-mine"}
    assert len(sns.list_subscriptions()["Subscriptions"]) == 3


@pytest.mark.parametrize(
    ("name", "operation", "denied", "action"),
    [
        ("table", "dynamodb_DescribeTimeToLive", Denied(), "dynamodb:DescribeTimeToLive"),
        ("functions", "lambda_Invoke", Denied(), "lambda:InvokeFunction"),
        ("layer", "lambda_GetLayerVersionByArn", Denied(), "lambda:GetLayerVersion"),
        ("filter policies", "sns_CreateTopic", Denied("AuthorizationError"), "sns:CreateTopic"),
        ("filter policies", "sns_Publish", Denied("AuthorizationError"), "sns:Publish"),
        (
            "filter policies",
            "sqs_CreateQueue",
            Denied("AccessDenied", "User: x is not authorized to perform: sqs:createqueue on resource: y"),
            "sqs:createqueue",
        ),
        ("metrics", "cloudformation_ListStackResources", Denied("AccessDenied"), "cloudformation:ListStackResources"),
    ],
)
def test_a_missing_right_is_named_and_stops_only_its_check(verification, name, operation, denied, action):
    found = verification.finding(name, **{operation: denied})
    assert (found.outcome, found.said) == (Outcome.UNCHECKED, f"not allowed: {action}")
    assert verification.left_behind() == []


def test_checks_wait_side_by_side_and_not_one_after_the_other(verification):
    def steps(_):
        yield Pause(600)
        yield proven("waited")

    checks = [Check(name, "", steps, ()) for name in ("a", "b", "c")]
    assert len(list(run_checks(checks, verification.account, verification.timer))) == 3
    assert verification.timer.at == 600


def test_a_check_that_never_ends_is_given_up_after_an_hour(verification):
    def steps(_):
        while True:
            yield Pause(60)

    (found,) = run_checks([Check("a", "", steps, ())], verification.account, verification.timer)
    assert (found.outcome, verification.timer.at) == (Outcome.UNCHECKED, 3600)


def test_a_check_that_fails_ends_none_of_the_others(verification):
    def broken(_):
        yield proven("one")
        raise KeyError("secret")

    def fine(_):
        yield proven("two")

    found = list(run_checks([Check("a", "", broken, ()), Check("b", "", fine, ())], verification.account, FakeTimer()))
    assert [one.outcome for one in found].count(Outcome.PROVEN) == 2
    assert not any("secret" in one.said for one in found)


def test_every_action_that_is_called_is_listed_and_no_other(verification):
    """The whole verification, once: what a policy for operators must allow."""
    speaks = alarm(f"{STACK}-no-run", AlarmActions=[verification.topics["monitor"]])
    _, answer = ringing(verification, f"{STACK}-no-run")
    verification.subscribe("monitor", "sms", "+4915112345678")
    configure_targets(verification, 1, "ssm:/wabawatch/{}")
    verification.application.store.save_coverage(ShardCoverage(0, 2, "run", NOW, NOW, timedelta(minutes=5), 1))
    old = f"{STACK}-verify-{int((NOW - timedelta(hours=3)).timestamp()):08x}abcd-match"
    client("sqs").create_queue(QueueName=old)
    verification.subscribe("alerts", "sqs", f"arn:aws:sqs:{REGION}:123456789012:{old}")
    client("sns").create_topic(Name=old)
    for check in CHECKS:
        verification.aws.script = well() | {
            "cloudwatch:DescribeAlarms": {"MetricAlarms": [speaks]},
            "cloudwatch:SetAlarmState": answer,
            "lambda:Invoke": delivering(verification) if check.name == "test alert" else self_tested("poll"),
        }
        if check.name == "subscriptions":
            verification.aws.script["sns:ListSubscriptionsByTopic"] = listed("email", f"arn:aws:sns:{REGION}:1:t:1")
            verification.aws.script["sns:GetSubscriptionAttributes"] = {"Attributes": {}}
        verification.account.__dict__.pop("resources", None)
        verification.aws.actions.clear()
        verification.run(check.name)
        renamed = {"lambda:Invoke": "lambda:InvokeFunction", "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion"}
        called = {renamed.get(name, name) for name in verification.aws.actions}
        assert called == set(check.actions), check.name
    assert set(ACTIONS) == {action for check in CHECKS for action in check.actions}


def test_the_document_lists_every_check_with_what_it_proves_and_needs():
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]*) \| ([^|]*) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    described = {name: more for name, *more in rows if name in BY_NAME}
    assert described == {
        check.name: [check.proves, check.changes or "nothing", ", ".join(f"`{one}`" for one in check.actions) or "none"]
        for check in CHECKS
    }
