"""People who have the stack's managed policies alone; and what was called so far, against what the template allows.

The last test needs the calls of the files before this one."""

import json

import pytest
import yaml

from tests.e2e.conftest import NUMBER, SECOND
from tests.e2e.stack import build, eventually
from tests.template import deploy_policy
from tests.template.iam import Policies
from tests.template.reasons import UNRECORDED

CALLERS = {"OnCallPolicy": {"on-call"}, "OperatorPolicy": {"operator"}}
"""The users who have a managed policy; a role is its own caller."""


@pytest.fixture(scope="module")
def policies(stack):
    built = yaml.safe_load((build() / "template.yaml").read_text())
    return Policies(stack.parameters, stack.resources, stack=stack.name, built=built)


@pytest.fixture(scope="module")
def person(emulator):
    """Makes a user who has these managed policies and nothing else; the user's credentials."""
    iam = emulator.client("iam")
    made = []

    def make(name, *arns):
        iam.create_user(UserName=name)
        for arn in arns:
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, arns, key["AccessKeyId"]))
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    yield make
    for name, arns, key in made:  # a policy that somebody has cannot be deleted with the stack
        for arn in arns:
            iam.detach_user_policy(UserName=name, PolicyArn=arn)
        iam.delete_access_key(UserName=name, AccessKeyId=key)
        iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def on_call(stack, person):
    return person("on-call", stack.outputs["OnCallPolicyArn"])


@pytest.fixture(scope="module")
def operator(stack, person):
    return person("operator", stack.outputs["OnCallPolicyArn"], stack.outputs["OperatorPolicyArn"])


@pytest.fixture(scope="module")
def fleet(emulator, stack, simulator, slack, tmp_path_factory):
    """A configuration with secrets in both services, for targets, destinations and the heartbeat."""
    secrets, parameters = emulator.client("secretsmanager"), emulator.client("ssm")
    for name, value in (
        ("keys/support", NUMBER.key), ("keys/sales", SECOND.key),
        ("destinations/chat", slack.url), ("heartbeat", simulator.url),
    ):  # fmt: skip
        secrets.create_secret(Name=f"wabawatch/{name}", SecretString=value)
        parameters.put_parameter(Name=f"/wabawatch/{name}", Value=value, Type="SecureString")
    keys = {"support": "secretsmanager:wabawatch/keys/support", "sales": "secretsmanager:wabawatch/keys/sales",
            "sales-again": "ssm:/wabawatch/keys/sales"}  # fmt: skip
    chats = {"chat": "secretsmanager:wabawatch/destinations/chat", "desk": "ssm:/wabawatch/destinations/chat"}
    plain = {
        "source": {"base_url": simulator.url},
        "targets": [{"id": name, "api_key": key} for name, key in keys.items()],
        "destinations": {
            "alerts": {"kind": "sns", "topic_arn": stack.outputs["AlertsTopicArn"]},
            **{name: {"kind": "slack", "webhook_url": reference} for name, reference in chats.items()},
        },
        "heartbeat": {"url": "secretsmanager:wabawatch/heartbeat"},
    }
    path = tmp_path_factory.mktemp("configuration") / "fleet.yaml"
    path.write_text(json.dumps(plain))
    return path


def test_an_operator_can_do_all_that_the_command_line_does_with_a_stack(emulator, stack, operator, fleet):
    def call(*arguments):
        done = stack.wabawatch(*arguments, credentials=operator)
        assert "denied" not in done.stdout + done.stderr, (arguments, done.stdout, done.stderr)
        return done

    def expected():
        return stack.runs()[-1]["expected"] if stack.runs() else None

    def push():
        assert call("config", "push", str(fleet)).returncode == 0
        eventually(lambda: expected() == 3, "a run over three targets")

    push()
    assert "can be read" in call("doctor").stdout
    assert call("probe", "sales-again").returncode == 0
    assert call("notify-test", "alerts").returncode == 0
    assert call("config", "push", "--remove").returncode == 0
    assert call("notify-test", "slack").returncode == 0
    eventually(lambda: expected() == 1, "a run over the parameters' number")
    assert "secrets: 2 of 2 can be read" in call("doctor", "--send-test").stdout
    other = json.loads(fleet.read_text()) | {"heartbeat": {"url": "ssm:/wabawatch/heartbeat"}}
    fleet.write_text(json.dumps(other))
    push()
    assert "can be read" in call("doctor").stdout
    assert {call.verdict for call in emulator.calls() if ":user/operator" in call.caller} == {"Allow"}


def test_on_call_sees_acknowledges_and_silences(stack, simulator, slack, on_call):
    def call(*arguments):
        done = stack.wabawatch(*arguments, credentials=on_call)
        assert done.returncode in {0, 2}, (arguments, done.stdout, done.stderr)
        return done.stdout

    notified = len(slack.messages)
    simulator.set(f"waba:{NUMBER.waba}", status="BLOCKED", reasons=[141006])
    eventually(lambda: len(slack.messages) >= notified + 2, "both chats were told of the block")
    incident = json.loads(call("incidents", "--json"))["incidents"][0]
    for arguments in (("status",), ("explain", incident["id"]), ("history",), ("ack", incident["id"]), ("replay",)):
        call(*arguments)
    call("silence", "add", "--target", "support", "--for", "1h", "--reason", "test")
    (silence,) = json.loads(call("silence", "list", "--json"))["silences"]
    call("silence", "expire", silence["id"])
    simulator.heal()
    eventually(lambda: len(slack.messages) >= notified + 4, "both chats were told of the recovery")


def test_on_call_reads_no_secret_and_leaves_the_configuration_alone(emulator, stack, on_call, fleet):
    pushed = stack.wabawatch("config", "push", str(fleet), credentials=on_call)
    assert pushed.returncode == 64
    assert "s3:PutObject" in pushed.stderr
    examined = stack.wabawatch("doctor", credentials=on_call).stdout
    assert "access is denied" in examined
    assert "cannot be looked at" not in examined
    reading = [call for call in emulator.calls() if ":user/on-call" in call.caller and "etSecret" in call.action]
    assert {call.verdict for call in reading} == {"Deny"}


def test_the_documented_policy_is_enough_to_deploy(emulator, stack, person):
    """For what `make deploy` calls itself; what CloudFormation does then, the emulator does not judge."""
    document = deploy_policy.PATH.read_text()
    arn = emulator.client("iam").create_policy(PolicyName="deploy", PolicyDocument=document)["Policy"]["Arn"]
    stack.deploy(credentials=person("deployer", arn))
    calls = [call for call in emulator.calls() if call.caller.endswith(":user/deployer")]
    assert "cloudformation:CreateChangeSet" in {call.action for call in calls}
    assert [call for call in calls if call.verdict != "Allow"] == []


@pytest.fixture(scope="module")
def called(emulator, stack):
    """What was allowed, as pairs of a caller and the call: a role's logical id, or a user's name."""
    roles = {physical: logical for logical, physical in stack.resources.items() if logical.endswith("Role")}
    allowed = [(call.caller.split("/")[1], call) for call in emulator.calls() if call.verdict == "Allow"]
    return [(roles.get(name, name), call) for name, call in allowed]


def test_every_call_of_a_function_is_one_that_the_template_allows(emulator, policies, called):
    mine = [(caller, call) for caller, call in called if caller in {"PollRole", "NotifyRole"}]
    assert {caller for caller, _ in mine} == {"PollRole", "NotifyRole"}
    assert [call for caller, call in mine if not policies.allow(caller, call.action, call.resource)] == []
    refused = [call for call in emulator.calls() if ":assumed-role/" in call.caller and call.verdict != "Allow"]
    assert refused == []


def test_the_template_allows_nothing_that_is_not_called_but_for_a_reason(policies, called):
    def is_called(grant):
        statement = next(one for one in policies.statements(grant.owner) if one.sid == grant.sid)
        only = statement._replace(actions=[grant.action], resources=[grant.resource], condition={})
        callers = CALLERS.get(grant.owner, {grant.owner})
        return any(caller in callers and only.covers(call.action, call.resource, {}) for caller, call in called)

    unused = [grant for grant in policies.grants() if not is_called(grant)]
    assert [tuple(one) for one in unused if (one.owner, one.sid, one.action) not in UNRECORDED] == []
