"""What `make deploy` finds out before it deploys, and what it protects afterwards."""

import json

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from tests.template.template import ROOT, resources, template
from tools import deployment
from wabawatch.errors import ConfigurationError

TABLE = {
    "KeySchema": [{"AttributeName": "pk"}, {"AttributeName": "sk"}],
    "LocalSecondaryIndexes": [{"IndexName": "due"}, {"IndexName": "when"}],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
}


class Aws:
    """Answers by the name of the call, and keeps what was asked; each call and each waiter changes nothing."""

    def __init__(self, stack=None, table=None, own=()):
        self.stack, self.table, self.own = stack, table, own
        self.asked = {}

    def __getattr__(self, name):
        def call(**given):
            self.asked[name] = given
            return {}

        return call

    def describe_stacks(self, StackName):  # noqa: N803
        if self.stack is None:
            text = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": text}}, "DescribeStacks")
        return {"Stacks": [self.stack]}

    def describe_table(self, TableName):  # noqa: N803
        if self.table is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": TableName}}, "DescribeTable")
        return {"Table": self.table}

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        names = dict(self.own)
        return [{"StackResourceSummaries": [{"LogicalResourceId": n, "PhysicalResourceId": names[n]} for n in names]}]

    def get_waiter(self, _):
        return self


def stack(status="UPDATE_COMPLETE", **parameters):
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    outputs = [{"OutputKey": "TableName", "OutputValue": "the-table"}]
    return {"StackStatus": status, "Parameters": given, "Outputs": outputs}


@pytest.fixture
def run(monkeypatch):
    """Runs a command against an account; what it printed."""

    def run(aws, *arguments):
        monkeypatch.setattr(deployment, "aws_client", lambda *_: aws)
        done = CliRunner().invoke(deployment.cli, arguments)
        if done.exception is not None:
            raise done.exception
        return done.stdout.strip()

    return run


@pytest.fixture
def built(tmp_path):
    path = tmp_path / "template.yaml"
    path.write_text(json.dumps(template()))  # which is YAML, too
    return path


@pytest.mark.parametrize(
    ("deployed", "wanted", "chosen"),
    [
        pytest.param(None, (), "arm64", id="a new stack gets the default"),
        pytest.param(None, ("--wanted", "x86_64"), "x86_64", id="a new stack gets what is wanted"),
        pytest.param(stack(Architecture="x86_64"), (), "x86_64", id="a stack keeps what it has"),
        pytest.param(stack(Architecture="x86_64"), ("--wanted", "arm64"), "arm64", id="a stack is moved on demand"),
        pytest.param(stack("REVIEW_IN_PROGRESS"), (), "arm64", id="changes that were declined made no stack"),
    ],
)
def test_which_processor_is_built_for(run, deployed, wanted, chosen):
    assert run(Aws(deployed), "architecture", *wanted) == chosen


def test_a_stack_of_something_else_is_left_alone(run):
    with pytest.raises(ConfigurationError, match="not made by Wabawatch"):
        run(Aws(stack(Other="1")), "architecture")


def test_both_environments_of_samconfig_can_be_deployed():
    text = (ROOT / "samconfig.toml").read_text()
    assert deployment.read_target("default", text).stack == "wabawatch"
    assert deployment.read_target("prod", text).stack == "wabawatch-prod"


SAMCONFIG = '[default.global.parameters]\nstack_name = "{}"\n[default.deploy.parameters]\n{}'


def test_region_and_profile_are_those_of_samconfig():
    text = SAMCONFIG.format("wabawatch", 'region = "eu-west-1"\nprofile = "operations"')
    assert deployment.read_target("default", text) == deployment.Target("wabawatch", "eu-west-1", "operations")


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        pytest.param(SAMCONFIG.format("w", ""), "staging", r"no environment \[staging\]", id="an unknown environment"),
        pytest.param(SAMCONFIG.format("w" * 58, ""), "default", "58 characters.*room for 57", id="a name too long"),
        pytest.param(
            SAMCONFIG.format("w", 'parameter_overrides = ["PollEvery=1m"]'),
            "default",
            "would not be used",
            id="overrides",
        ),
    ],
)
def test_a_samconfig_that_cannot_be_deployed_is_refused(text, environment, said):
    with pytest.raises(ConfigurationError, match=said):
        deployment.read_target(environment, text)


def test_the_longest_stack_name_leaves_room_for_every_name_that_is_made_of_it():
    functions = [one["FunctionName"] for one in resources("AWS::Serverless::Function").values()]
    schedules = [one["Name"] for one in resources("AWS::Scheduler::Schedule").values()]
    names = [
        one["Fn::Sub"].replace("${AWS::StackName}", "w" * deployment.LONGEST_STACK_NAME)
        for one in functions + schedules
    ]
    assert len(names) == 4
    assert max(map(len, names)) == 64


def test_a_first_deployment_that_failed_is_removed_so_that_it_can_be_repeated(run, built):
    aws = Aws(stack("ROLLBACK_COMPLETE", Architecture="arm64"))
    run(aws, "prepare", "--built", str(built))
    assert aws.asked["delete_stack"] == {"StackName": "wabawatch"}


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_no_other_stack_is_removed(run, built, status):
    aws = Aws(stack(status, Architecture="arm64"))
    run(aws, "prepare", "--built", str(built))
    assert "delete_stack" not in aws.asked


def test_a_table_and_a_bucket_that_a_stack_left_become_a_new_stack(run, built):
    aws = Aws(table=TABLE)
    run(aws, "prepare", "--built", str(built), "--table", "old-table", "--bucket", "old-bucket")
    given = aws.asked["create_change_set"]
    assert (given["StackName"], given["ChangeSetType"]) == ("wabawatch", "IMPORT")
    assert [one["ResourceIdentifier"] for one in given["ResourcesToImport"]] == [
        {"TableName": "old-table"},
        {"BucketName": "old-bucket"},
    ]
    made = json.loads(given["TemplateBody"])["Resources"]
    assert made == {name: template()["Resources"][name] for name in ("WabawatchTable", "ConfigBucket")}
    assert "execute_change_set" in aws.asked


def test_what_is_taken_over_needs_nothing_else_of_the_template():
    """An import change set holds the imported resources alone."""
    taken = json.dumps([template()["Resources"][name] for name in ("WabawatchTable", "ConfigBucket")])
    assert not [name for name in template()["Resources"] if f'"{name}"' in taken or f"${{{name}" in taken]


def test_taking_over_can_be_repeated_after_the_deployment_failed(run, built):
    aws = Aws(stack("IMPORT_COMPLETE", Architecture="arm64"), TABLE, own={"WabawatchTable": "old-table"}.items())
    run(aws, "prepare", "--built", str(built), "--table", "old-table")
    assert "create_change_set" not in aws.asked


def test_a_stack_with_a_table_of_its_own_takes_over_no_other(run, built):
    aws = Aws(stack(Architecture="arm64"), TABLE, own={"WabawatchTable": "its-own"}.items())
    with pytest.raises(ConfigurationError, match="its WabawatchTable is its-own"):
        run(aws, "prepare", "--built", str(built), "--table", "old-table")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        pytest.param(None, "there is no table 'old'", id="no such table"),
        pytest.param(TABLE | {"LocalSecondaryIndexes": []}, "is no table of Wabawatch", id="another's table"),
        pytest.param(TABLE | {"StreamSpecification": {}}, "aws dynamodb update-table --table-name old", id="no stream"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(run, built, table, said):
    aws = Aws(table=table)
    with pytest.raises(ConfigurationError, match=said):
        run(aws, "prepare", "--built", str(built), "--table", "old")
    assert "create_change_set" not in aws.asked


def test_the_table_of_every_deployment_is_protected(run):
    aws = Aws(stack(Architecture="arm64"), TABLE)
    run(aws, "protect")
    assert aws.asked == {"update_table": {"TableName": "the-table", "DeletionProtectionEnabled": True}}


def test_what_is_protected_already_is_left_alone(run):
    aws = Aws(stack(Architecture="arm64"), TABLE | {"DeletionProtectionEnabled": True})
    run(aws, "protect")
    assert aws.asked == {}


def test_production_cannot_be_deleted_and_its_table_not_replaced(run):
    aws = Aws(stack(Architecture="arm64"), TABLE)
    run(aws, "protect", "--env", "prod")
    assert aws.asked["update_termination_protection"] == {
        "StackName": "wabawatch-prod",
        "EnableTerminationProtection": True,
    }
    deny = json.loads(aws.asked["set_stack_policy"]["StackPolicyBody"])["Statement"][1]
    assert (deny["Effect"], deny["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])
    assert deny["Resource"] == ["LogicalResourceId/WabawatchTable", "LogicalResourceId/ConfigBucket"]


def test_where_the_changes_were_declined_nothing_is_protected(run):
    aws = Aws()
    run(aws, "protect", "--env", "prod")
    assert aws.asked == {}
