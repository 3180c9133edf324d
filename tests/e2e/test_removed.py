"""The end of the deployment, and a new one on what it left."""

import pytest

from tests.e2e.stack import build


@pytest.fixture(scope="module")
def left(stack, subscriber):  # noqa: ARG001 - its queue must be there
    """The outputs of the stack, which is deleted now."""
    outputs = stack.outputs
    stack.delete()
    return outputs


def test_deleting_leaves_the_table_and_the_bucket_and_nothing_else(emulator, left):
    assert emulator.client("dynamodb").list_tables()["TableNames"] == [left["TableName"]]
    buckets = [one["Name"] for one in emulator.client("s3").list_buckets()["Buckets"]]
    assert left["ConfigBucket"] in buckets
    assert emulator.client("lambda").list_functions()["Functions"] == []
    assert emulator.client("scheduler").list_schedules()["Schedules"] == []
    assert emulator.client("iam").list_roles()["Roles"] == []
    assert emulator.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert [url.rsplit("/", 1)[-1] for url in emulator.client("sqs").list_queues()["QueueUrls"]] == ["subscriber"]


def test_a_new_stack_takes_them_over_and_goes_on(emulator, stack, simulator, left):
    stack.deploy(
        f"ARTEFACT={build()}",
        f"TABLE={left['TableName']}",
        f"BUCKET={left['ConfigBucket']}",
        "SECRET=one-number",
        "EMAIL=ops@example.com",
        f"PARAMETERS=PollEvery=1m BaseUrl={simulator.url}",
    )
    taken = ("TableName", "ConfigBucket")
    assert [stack.outputs[name] for name in taken] == [left[name] for name in taken]
    assert stack.resource("WabawatchTable") == left["TableName"]
    assert emulator.client("dynamodb").list_tables()["TableNames"] == [left["TableName"]]
    stack.wait_for_runs(1)
