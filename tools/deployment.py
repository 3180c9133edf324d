"""The steps of `make deploy` besides building and `sam deploy`.

    python tools/deployment.py architecture [--env prod] [--wanted arm64]
    python tools/deployment.py prepare [--env prod] --built FILE [--table NAME] [--bucket NAME]
    python tools/deployment.py protect [--env prod]

`architecture` prints that of the functions. `prepare` deletes a stack whose first deployment failed,
and imports a table and a bucket of an earlier stack into a new one. `protect` enables deletion protection of the table,
and termination protection for production. It does so after the deployment and not in the template, because
CloudFormation can't delete a table that was created with deletion protection: after a failed first deployment the stack
would stay in ROLLBACK_FAILED, and could not be deployed again.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import yaml

from wabawatch.adapters.aws import aws_client, call_aws
from wabawatch.cli.exit_codes import run_and_exit_code
from wabawatch.errors import ConfigurationError

SAMCONFIG: Final = Path(__file__).parents[1] / "samconfig.toml"
DEFAULT_ARCHITECTURE: Final = "arm64"
LONGEST_STACK_NAME: Final = 57
"""Characters. Functions and schedules are called STACK-poll and STACK-notify, and Lambda and EventBridge Scheduler take
64 (https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html)."""
PRODUCTION: Final = "prod"
_IDENTIFIERS: Final = {"WabawatchTable": "TableName", "ConfigBucket": "BucketName"}
"""The resources that are retained when the stack is deleted, and the property with the name of each."""
STACK_POLICY: Final = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": ["Update:Replace", "Update:Delete"],
            "Principal": "*",
            "Resource": [f"LogicalResourceId/{logical_id}" for logical_id in _IDENTIFIERS],
        },
    ]
}
_WAIT: Final = {"Delay": 3, "MaxAttempts": 200}
"""Seconds between two checks of a stack, and their number."""


class Target(msgspec.Struct, frozen=True):
    """The stack, region and profile of an environment of samconfig.toml."""

    stack: str
    region: str | None = None
    profile: str | None = None

    def client(self, service: str) -> Any:  # noqa: ANN401 - one of many client types, by name
        """Return a client for the account and region of `sam deploy`."""
        if self.profile:
            os.environ["AWS_PROFILE"] = self.profile
        return aws_client(service, self.region)


def read_target(environment: str, text: str) -> Target:
    """Read an environment from the text of samconfig.toml. Raises ConfigurationError."""
    config = tomllib.loads(text).get(environment)
    if config is None:
        raise ConfigurationError(f"samconfig.toml has no environment [{environment}]: see ENV")
    given = {**config["global"]["parameters"], **config["deploy"]["parameters"]}
    if "parameter_overrides" in given:
        raise ConfigurationError(
            f"samconfig.toml, [{environment}.deploy.parameters]: parameter_overrides is ignored: remove it, and "
            'set the parameters once with `make deploy PARAMETERS="PollEvery=1m …"`'
        )
    target = Target(given["stack_name"], given.get("region"), given.get("profile"))
    if len(target.stack) > LONGEST_STACK_NAME:
        raise ConfigurationError(
            f"samconfig.toml, [{environment}.global.parameters]: stack_name {target.stack!r} has {len(target.stack)} "
            f"characters; at most {LONGEST_STACK_NAME} are possible, because of the names of functions and schedules"
        )
    return target


def ask_for(call: Callable[[], Any], absent: str) -> Any:  # noqa: ANN401 - the answers of several services
    """Return the response of AWS; None if it fails with an error that contains the text `absent`."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded by the first client

    def ask() -> Any:  # noqa: ANN401
        try:
            return call()
        except ClientError as error:
            if absent in str(error):
                return None
            raise

    return call_aws(ask)


def find_stack(target: Target) -> dict[str, Any] | None:
    """Return the stack as described by CloudFormation; None if it does not exist yet."""
    cloudformation = target.client("cloudformation")
    found = ask_for(lambda: cloudformation.describe_stacks(StackName=target.stack)["Stacks"][0], "does not exist")
    if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS":  # a change set that was not executed
        return None
    stack: dict[str, Any] = found
    return stack


def read_parameters(stack: dict[str, Any]) -> dict[str, str]:
    """Return a stack's parameters by name."""
    parameters = stack.get("Parameters", ())
    return {parameter["ParameterKey"]: parameter.get("ParameterValue", "") for parameter in parameters}


def choose_architecture(target: Target, stack: dict[str, Any] | None, wanted: str | None) -> str:
    """Return the architecture to build for: the wanted one, else the deployed one, else the default."""
    deployed = read_parameters(stack).get("Architecture") if stack else DEFAULT_ARCHITECTURE
    if deployed is None:
        raise ConfigurationError(
            f"stack {target.stack!r} was not made by Wabawatch's template (it has no parameter Architecture): choose "
            "a different stack_name in samconfig.toml"
        )
    return wanted or deployed


def remove_failed_creation(target: Target) -> None:
    """Delete a stack whose first deployment failed, because CloudFormation cannot update it.

    The stack is empty: because of `RetainExceptOnCreate` the rollback has deleted the table and the bucket, too.
    """
    cloudformation = target.client("cloudformation")
    call_aws(lambda: cloudformation.delete_stack(StackName=target.stack))
    call_aws(
        lambda: cloudformation.get_waiter("stack_delete_complete").wait(StackName=target.stack, WaiterConfig=_WAIT)
    )
    click.echo(f"stack {target.stack}: the first deployment had failed; the stack is deleted")


def adopt(target: Target, stack: dict[str, Any] | None, wanted: Mapping[str, str], built: Mapping[str, Any]) -> None:
    """Create a stack by importing existing resources, by logical id and name; the deployment then completes it.

    Raises ConfigurationError if the stack exists with other resources.
    """
    if stack is not None:
        for logical_id, name in wanted.items():
            if (own := find_resource(target, logical_id)) != name:
                raise ConfigurationError(
                    f"stack {target.stack!r} exists, and its {logical_id} is {own or 'missing'}: to take over "
                    f"{name!r}, delete the stack first, or choose a different stack_name in samconfig.toml"
                )
        return
    cloudformation = target.client("cloudformation")
    resources = {logical_id: built["Resources"][logical_id] for logical_id in wanted}
    template = {name: built[name] for name in ("Parameters", "Mappings", "Conditions")} | {"Resources": resources}
    imported = [
        {
            "ResourceType": resources[logical_id]["Type"],
            "LogicalResourceId": logical_id,
            "ResourceIdentifier": {_IDENTIFIERS[logical_id]: name},
        }
        for logical_id, name in wanted.items()
    ]
    names = {"StackName": target.stack, "ChangeSetName": "adopt"}
    call_aws(
        lambda: cloudformation.create_change_set(
            **names, ChangeSetType="IMPORT", ResourcesToImport=imported, TemplateBody=json.dumps(template, default=str)
        )
    )
    call_aws(lambda: cloudformation.get_waiter("change_set_create_complete").wait(**names, WaiterConfig=_WAIT))
    call_aws(lambda: cloudformation.execute_change_set(**names))
    call_aws(
        lambda: cloudformation.get_waiter("stack_import_complete").wait(StackName=target.stack, WaiterConfig=_WAIT)
    )
    click.echo(f"stack {target.stack}: it has taken over {' and '.join(wanted.values())}")


def find_resource(target: Target, logical_id: str) -> str | None:
    """Return the physical id of a resource of the stack; None if the stack has no such resource."""
    paginator = target.client("cloudformation").get_paginator("list_stack_resources")
    pages = call_aws(lambda: list(paginator.paginate(StackName=target.stack)))
    summaries = [summary for page in pages for summary in page["StackResourceSummaries"]]
    found = {summary["LogicalResourceId"]: summary.get("PhysicalResourceId") for summary in summaries}
    return found.get(logical_id)


def describe_table(target: Target, table: str) -> dict[str, Any] | None:
    """Return a table as described by DynamoDB; None if it does not exist."""
    dynamodb = target.client("dynamodb")
    found: dict[str, Any] | None = ask_for(
        lambda: dynamodb.describe_table(TableName=table)["Table"], "ResourceNotFoundException"
    )
    return found


def check_table(target: Target, table: str) -> None:
    """Raise ConfigurationError if a table is not Wabawatch's, or has no stream, as after a restore from a backup."""
    if (described := describe_table(target, table)) is None:
        raise ConfigurationError(f"there is no table {table!r} in this account and region")
    keys = [key["AttributeName"] for key in described["KeySchema"]]
    indexes = {index["IndexName"] for index in described.get("LocalSecondaryIndexes", ())}
    if keys != ["pk", "sk"] or not {"due", "when"} <= indexes:
        raise ConfigurationError(f"table {table!r} is not a table of Wabawatch: it has other keys or indexes")
    if described.get("StreamSpecification", {}).get("StreamViewType") != "NEW_IMAGE":
        raise ConfigurationError(
            f"table {table!r} has no stream of new images: run `aws dynamodb update-table --table-name {table} "
            "--stream-specification StreamEnabled=true,StreamViewType=NEW_IMAGE`"
        )


@click.group()
def cli() -> None:
    """The steps of `make deploy` besides building and `sam deploy`."""


environment_option = click.option("--env", "environment", default="default", help="Environment of samconfig.toml.")


@cli.command()
@environment_option
@click.option("--wanted", type=click.Choice(["arm64", "x86_64"]), help="Print this architecture.")
def architecture(environment: str, wanted: str | None) -> None:
    """Print the architecture to build for; change nothing."""
    target = read_target(environment, SAMCONFIG.read_text())
    click.echo(choose_architecture(target, find_stack(target), wanted))


@cli.command()
@environment_option
@click.option("--built", type=click.Path(exists=True, path_type=Path), required=True, help="The built template.")
@click.option("--table", help="Table to take over from a deployment that was removed.")
@click.option("--bucket", help="Configuration bucket to take over from a deployment that was removed.")
def prepare(environment: str, built: Path, table: str | None, bucket: str | None) -> None:
    """Prepare the stack for `sam deploy`: delete it if its creation failed, take over a table and a bucket."""
    target = read_target(environment, SAMCONFIG.read_text())
    stack = find_stack(target)
    if stack and stack["StackStatus"] == "ROLLBACK_COMPLETE":
        remove_failed_creation(target)
        stack = None
    if table:
        check_table(target, table)
    wanted = {"WabawatchTable": table, "ConfigBucket": bucket}
    if given := {logical_id: name for logical_id, name in wanted.items() if name}:
        adopt(target, stack, given, yaml.safe_load(built.read_text()))


@cli.command()
@environment_option
def protect(environment: str) -> None:
    """Enable the table's deletion protection; for production also termination protection and a stack policy."""
    target = read_target(environment, SAMCONFIG.read_text())
    stack = find_stack(target)
    if stack is None:
        return  # the changes were not confirmed
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    protect_table(target, outputs["TableName"])
    if environment == PRODUCTION:
        protect_stack(target)


def protect_table(target: Target, table: str) -> None:
    """Enable deletion protection if it is off."""
    described = describe_table(target, table)
    if described is not None and not described.get("DeletionProtectionEnabled"):
        call_aws(lambda: target.client("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=True))
        click.echo(f"table {table}: deletion protection is on")


def protect_stack(target: Target) -> None:
    """Enable termination protection, and a stack policy against replacing or removing the table or the bucket."""
    cloudformation = target.client("cloudformation")
    call_aws(
        lambda: cloudformation.update_termination_protection(StackName=target.stack, EnableTerminationProtection=True)
    )
    call_aws(lambda: cloudformation.set_stack_policy(StackName=target.stack, StackPolicyBody=json.dumps(STACK_POLICY)))
    click.echo(
        f"stack {target.stack}: termination protection is on; no update may replace or remove the table or the bucket"
    )


if __name__ == "__main__":
    sys.exit(run_and_exit_code(lambda: cli(standalone_mode=False)))
