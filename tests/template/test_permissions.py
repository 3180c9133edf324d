import re

import pytest

from tests.template.template import TEXT, as_list, resources, statements

ROLES = resources("AWS::IAM::Role")
FUNCTION_ROLES = {"poll": ROLES["PollRole"], "notify": ROLES["NotifyRole"]}
NO_NARROWER_RESOURCE = {"secretsmanager:BatchGetSecretValue"}


def test_every_wildcard_has_its_reason_on_the_line_above():
    lines = TEXT.partition("\nResources:")[2].partition("\nOutputs:")[0].splitlines()
    wild = [
        i for i, line in enumerate(lines) if re.search(r"[^\s|]\*|\?{6}", line) and not line.lstrip().startswith("#")
    ]
    assert len(wild) >= 10
    assert [lines[i] for i in wild if not lines[i - 1].lstrip().startswith("#")] == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_do_everything_a_service_offers(role):
    actions = [action for one in statements(ROLES[role]) for action in as_list(one["Action"])]
    assert actions
    assert [action for action in actions if "*" in action] == []


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_touch_everything_where_aws_knows_something_narrower(role):
    for one in statements(ROLES[role]):
        if "*" in as_list(one["Resource"]):
            assert set(as_list(one["Action"])) <= NO_NARROWER_RESOURCE


@pytest.mark.parametrize("role", ROLES)
def test_no_role_has_a_managed_policy(role):
    assert "ManagedPolicyArns" not in ROLES[role]


def test_the_scheduler_acts_only_for_this_stacks_schedules():
    (trust,) = ROLES["SchedulerRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"},
        "aws:SourceArn": {"Fn::GetAtt": "Schedules.Arn"},
    }


def test_only_notify_may_publish():
    def publishers():
        for name, role in ROLES.items():
            if any("sns:Publish" in as_list(one["Action"]) for one in statements(role)):
                yield name

    assert list(publishers()) == ["NotifyRole"]


def test_nobody_may_scan_the_table():
    assert "dynamodb:Scan" not in TEXT


@pytest.mark.parametrize(
    ("function", "parameter"),
    [
        pytest.param("poll", "ApiKeySecret", id="poll reads the key, and not the Slack webhook"),
        pytest.param("notify", "SlackWebhookSecret", id="notify reads the Slack webhook, and not the key"),
    ],
)
def test_each_function_reads_only_the_secret_it_needs(function, parameter):
    named = [str(one["Resource"]) for one in statements(FUNCTION_ROLES[function]) if "??????" in str(one["Resource"])]
    assert len([one for one in named if "HeartbeatSecret" in one]) == 1
    (own,) = [one for one in named if "HeartbeatSecret" not in one]
    assert parameter in own


def test_notify_counts_the_subscribers_of_each_topic_that_it_or_cloudwatch_publishes_to():
    counted = {
        str(resource)
        for one in statements(ROLES["NotifyRole"])
        if one["Action"] == "sns:GetTopicAttributes"
        for resource in as_list(one["Resource"])
    }
    published = {
        str(resource)
        for one in statements(ROLES["NotifyRole"])
        if one["Action"] == "sns:Publish"
        for resource in as_list(one["Resource"])
    }
    (alarms,) = {str(one["AlarmActions"]) for one in resources("AWS::CloudWatch::CompositeAlarm").values()}
    assert published < counted
    assert all(topic in alarms for topic in counted - published)
    assert len(counted - published) == 2
