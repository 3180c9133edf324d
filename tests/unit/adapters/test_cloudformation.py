"""A stack as CloudFormation describes it, by the documented shapes of its answers."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
from botocore.stub import Stubber

from wabawatch.adapters.cloudformation import Stack, list_resources

STACK = Stack("wabawatch", "CREATE_COMPLETE", {}, {})


def summary(name):
    return {
        "LogicalResourceId": name,
        "PhysicalResourceId": name.lower(),
        "ResourceType": "AWS::SQS::Queue",
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }


def test_resources_on_a_second_page_are_found():
    client = boto3.client("cloudformation", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    pages = [([summary("First")], {}), ([summary("Second")], {"NextToken": "more"})]
    with Stubber(client) as stubber:
        for found, asked in pages:
            answer = {"StackResourceSummaries": found} | ({} if asked else {"NextToken": "more"})
            stubber.add_response("list_stack_resources", answer, {"StackName": "wabawatch", **asked})
        found = list_resources(STACK, lambda _: client)
    assert {name: one.id for name, one in found.items()} == {"First": "first", "Second": "second"}
