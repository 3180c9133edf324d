import copy
import json
import re

import pytest

from tests.template.iam import ACCOUNT, REGION, Policies
from tests.template.reasons import UNRECORDED
from tests.template.template import ROOT, TEXT, resources, template
from wabawatch.application.credentials import find_references as found_in
from wabawatch.bootstrap import read_settings
from wabawatch.config import effective

ROLES = resources("AWS::IAM::Role")
ALL = Policies(
    {
        "ApiKeySecret": "a",
        "SlackWebhookSecret": "b",
        "HeartbeatSecret": "f",
        "MonitorTopicArn": "arn:aws:sns:eu-central-1:123456789012:pager",
        "SecretsKmsKeyArn": "c",
        "ExtraTopicArns": "d",
        "TopicsKmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/e",
    }
)
"""With every conditional statement."""
NO_NARROWER_RESOURCE = {
    "secretsmanager:BatchGetSecretValue",
    "cloudwatch:DescribeAlarms",
    "scheduler:ListSchedules",
}
VARIANTS_OF_ONE = {"kms:GenerateDataKey*"}


def test_every_wildcard_has_its_reason_on_the_line_above():
    lines = TEXT.partition("\nResources:")[2].partition("\nOutputs:")[0].splitlines()
    wild = [
        i for i, line in enumerate(lines) if re.search(r"[^\s|]\*|\?{6}", line) and not line.lstrip().startswith("#")
    ]
    assert len(wild) >= 10
    assert [lines[i] for i in wild if not lines[i - 1].lstrip().startswith("#")] == []


@pytest.mark.parametrize("owner", ALL.owners())
def test_nobody_may_do_everything_a_service_offers(owner):
    actions = [action for one in ALL.statements(owner) for action in one.actions]
    assert actions
    assert {action for action in actions if "*" in action} <= VARIANTS_OF_ONE


@pytest.mark.parametrize("owner", ALL.owners())
def test_nobody_may_touch_everything_where_aws_knows_something_narrower(owner):
    for one in ALL.statements(owner):
        if "*" in one.resources:
            assert set(one.actions) <= NO_NARROWER_RESOURCE


@pytest.mark.parametrize("role", ROLES)
def test_no_role_has_a_managed_policy(role):
    assert "ManagedPolicyArns" not in ROLES[role]


def test_the_scheduler_acts_only_for_this_stacks_schedules():
    (trust,) = ROLES["SchedulerRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"},
        "aws:SourceArn": {"Fn::GetAtt": "Schedules.Arn"},
    }


def test_only_notify_may_publish_and_an_operator_who_sends_tests():
    assert {one.owner for one in ALL.grants() if one.action == "sns:Publish"} == {"NotifyRole", "OperatorPolicy"}


def test_no_reason_is_given_for_a_right_that_nobody_has():
    assert UNRECORDED.keys() <= {(one.owner, one.sid, one.action) for one in ALL.grants()}


@pytest.mark.parametrize("owner", ALL.owners())
def test_each_statement_is_explained(owner):
    page = (ROOT / "docs/permissions.md").read_text()
    assert [one.sid for one in ALL.statements(owner) if f"`{one.sid}`" not in page] == []


def test_nobody_may_scan_the_table():
    assert "dynamodb:Scan" not in TEXT


README = dict(re.findall(r"\b(SECRET|SLACK)=([a-z/]+)", (ROOT / "README.md").read_text()))
KEY, DESTINATION, HEARTBEAT = README["SECRET"], README["SLACK"], "wabawatch/heartbeat"
MINIMAL = Policies({"ApiKeySecret": KEY, "SlackWebhookSecret": f"{DESTINATION}#ops"})
ELSEWHERE = Policies({"ApiKeySecret": "team/whatsapp#key", "SlackWebhookSecret": "team/chat"})
UPLOADED = Policies()
"""Of a deployment whose uploaded configuration names all secrets."""


def readable(policies, owner, reference):
    """Whether somebody may read what a reference leads to, as Secrets Manager and SSM name it in ARNs."""
    scheme, _, name = reference.partition("#")[0].partition(":")
    if scheme == "ssm":
        return policies.allow(owner, "ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}")
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"
    return policies.allow(owner, "secretsmanager:GetSecretValue", secret)


def references():
    """Of the example and the README: what a target, a destination and the heartbeat refer to."""
    settings = read_settings(str(ROOT / "examples/fleet.yaml"), {}, resolve=False)
    plain = effective(settings)
    found = {name: found_in(plain[name]) for name in ("targets", "destinations", "heartbeat")}
    found["targets"].add(f"secretsmanager:{KEY}")
    found["destinations"].add(f"secretsmanager:{DESTINATION}")
    return [pytest.param(part, one, id=one) for part, all_ in found.items() for one in sorted(all_)]


@pytest.mark.parametrize(("part", "reference"), references())
@pytest.mark.parametrize("policies", [pytest.param(MINIMAL, id="minimal"), pytest.param(UPLOADED, id="uploaded")])
def test_each_function_reads_the_secrets_it_needs_and_no_others(policies, part, reference):
    assert readable(policies, "PollRole", reference) is (part in {"targets", "heartbeat"})
    assert readable(policies, "NotifyRole", reference) is (part in {"destinations", "heartbeat"})


def test_a_secret_that_a_parameter_names_has_one_reader_wherever_it_lies():
    key, chat = "secretsmanager:team/whatsapp", "secretsmanager:team/chat"
    assert [readable(ELSEWHERE, role, key) for role in ("PollRole", "NotifyRole")] == [True, False]
    assert [readable(ELSEWHERE, role, chat) for role in ("PollRole", "NotifyRole")] == [False, True]


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param("secretsmanager:wabawatch/other", id="neither a key nor a destination's"),
        pytest.param("secretsmanager:wabawatch/keysmith", id="a name that only begins like the folder"),
        pytest.param("secretsmanager:team/whatsapp-backup", id="a name that goes on after the parameter's"),
        pytest.param("ssm:/wabawatch/other", id="neither, in a parameter"),
        pytest.param("ssm:/other/wabawatch/keys/main", id="the prefix in the middle"),
    ],
)
@pytest.mark.parametrize("role", ["PollRole", "NotifyRole"])
def test_no_function_reads_any_other_secret(role, reference):
    assert not readable(ELSEWHERE, role, reference)


def test_the_evaluator_knows_a_policy_that_gives_too_much():
    """The policies as they were: one prefix for both functions."""
    too_wide = copy.deepcopy(template())
    statements = too_wide["Resources"]["NotifyRole"]["Properties"]["Policies"][2]["PolicyDocument"]["Statement"]
    (mine,) = [one for one in statements if one.get("Sid") == "SecretsOfDestinations"]
    mine["Resource"] = {"Fn::Sub": "arn:aws:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretPrefix}*"}
    assert readable(Policies(built=too_wide), "NotifyRole", f"secretsmanager:{KEY}")


SECRETS_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/secrets"
TOPICS_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/topics"
ENCRYPTED = Policies({"SecretsKmsKeyArn": SECRETS_KEY, "TopicsKmsKeyArn": TOPICS_KEY})


@pytest.mark.parametrize(
    ("role", "action", "key", "through", "allowed"),
    [
        pytest.param("PollRole", "Decrypt", SECRETS_KEY, f"secretsmanager.{REGION}.amazonaws.com", True, id="secret"),
        pytest.param("NotifyRole", "Decrypt", SECRETS_KEY, f"ssm.{REGION}.amazonaws.com", True, id="parameter"),
        pytest.param("PollRole", "Decrypt", SECRETS_KEY, None, False, id="the key itself"),
        pytest.param("PollRole", "Decrypt", SECRETS_KEY, f"s3.{REGION}.amazonaws.com", False, id="another service"),
        pytest.param("PollRole", "Decrypt", SECRETS_KEY, "ssm.us-east-1.amazonaws.com", False, id="another region"),
        pytest.param("NotifyRole", "GenerateDataKey", TOPICS_KEY, "sns.us-east-1.amazonaws.com", True, id="topic"),
        pytest.param("NotifyRole", "Decrypt", TOPICS_KEY, "sns.us-east-1.amazonaws.com", True, id="topic, to encrypt"),
        pytest.param("NotifyRole", "Decrypt", TOPICS_KEY, None, False, id="the topics' key itself"),
        pytest.param("PollRole", "Decrypt", TOPICS_KEY, "sns.us-east-1.amazonaws.com", False, id="poll"),
    ],
)  # fmt: skip
def test_keys_are_used_through_their_service_only(role, action, key, through, allowed):
    context = {"kms__ViaService": through} if through else {}
    assert ENCRYPTED.allow(role, f"kms:{action}", key, **context) is allowed


def test_no_right_on_a_key_without_the_parameter():
    assert [one for one in UPLOADED.grants() if one.action.startswith("kms:")] == []


@pytest.mark.parametrize(
    ("partition", "owners", "allowed"),
    [
        pytest.param("SILENCE", ["OnCallPolicy"], True, id="on call may silence"),
        pytest.param("ACK", ["OnCallPolicy"], True, id="on call may acknowledge"),
        pytest.param("DOCUMENT", ["OnCallPolicy"], False, id="on call may not remove the configuration"),
        pytest.param("DOCUMENT", ["OnCallPolicy", "OperatorPolicy"], True, id="an operator may remove it"),
        pytest.param("PENDING#1", ["OnCallPolicy", "OperatorPolicy"], False, id="nobody writes what the functions own"),
    ],
)
def test_people_write_only_what_is_theirs(partition, owners, allowed):
    (table,) = {one.resource for one in UPLOADED.grants() if one.sid == "State"}
    assert UPLOADED.allow(owners, "dynamodb:PutItem", table, dynamodb__LeadingKeys=[partition]) is allowed


@pytest.mark.parametrize("reference", [f"secretsmanager:{name}" for name in (KEY, DESTINATION, HEARTBEAT)])
def test_on_call_reads_no_secret_and_an_operator_reads_all_of_them(reference):
    assert not readable(MINIMAL, "OnCallPolicy", reference)
    assert readable(MINIMAL, "OperatorPolicy", reference)


@pytest.mark.parametrize("name", resources("AWS::IAM::ManagedPolicy"))
def test_a_managed_policy_stays_within_what_iam_takes(name):
    """With the longest stack name that the functions' names allow, and five further topics."""
    longest = "w" * 57
    topics = ",".join(f"arn:aws:sns:{REGION}:{ACCOUNT}:{number}{'t' * 60}" for number in range(5))
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
    policies = Policies(
        {"ApiKeySecret": "k" * 100, "SlackWebhookSecret": "s" * 100, "SecretPrefix": "p" * 40, "ExtraTopicArns": topics,
         "SecretsKmsKeyArn": key, "TopicsKmsKeyArn": key},
        stack=longest,
    )  # fmt: skip
    document = policies.resolve(resources("AWS::IAM::ManagedPolicy")[name]["PolicyDocument"])
    assert len(json.dumps(document, separators=(",", ":"))) <= 6144


def test_notify_counts_the_subscribers_of_each_topic_that_it_or_cloudwatch_publishes_to():
    found = {
        action: {one.resource for one in ALL.grants() if (one.owner, one.action) == ("NotifyRole", action)}
        for action in ("sns:GetTopicAttributes", "sns:Publish")
    }
    counted, published = found["sns:GetTopicAttributes"], found["sns:Publish"]
    alarms = {
        str(ALL.resolve(topic))
        for one in resources("AWS::CloudWatch::CompositeAlarm").values()
        for topic in one["AlarmActions"]
    }
    assert published < counted
    assert counted - published == alarms
    assert len(alarms) == 2
