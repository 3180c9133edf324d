"""The end of both deployments, and a new one on what the first one left."""

import pytest

from tests.e2e.stack import HOST, build


@pytest.fixture(scope="module")
def left(stack, prod, subscriber, prod_subscriber):  # noqa: ARG001 - their queues must be there
    """The outputs of the stacks, which are deleted now."""
    outputs = [stack.outputs, prod.outputs]
    for deployed in (stack, prod):
        deployed.delete()
    return outputs


def test_deleting_leaves_the_tables_and_the_buckets_and_nothing_else(emulator, left):
    assert set(emulator.client("dynamodb").list_tables()["TableNames"]) == {outputs["TableName"] for outputs in left}
    buckets = {one["Name"] for one in emulator.client("s3").list_buckets()["Buckets"]}
    assert {outputs["ConfigBucket"] for outputs in left} <= buckets
    assert emulator.client("lambda").list_functions()["Functions"] == []
    assert emulator.client("scheduler").list_schedules()["Schedules"] == []
    assert emulator.client("iam").list_roles()["Roles"] == []
    assert emulator.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    queues = {url.rsplit("/", 1)[-1] for url in emulator.client("sqs").list_queues()["QueueUrls"]}
    assert queues == {"subscriber", "subscriber-prod"}


def test_a_new_stack_takes_them_over_and_goes_on(emulator, stack, simulator, left):
    outputs = left[0]
    tables = emulator.client("dynamodb").list_tables()["TableNames"]
    stack.deploy(
        f"ARTEFACT={build()}",
        f"ARCHITECTURE={HOST}",
        f"TABLE={outputs['TableName']}",
        f"BUCKET={outputs['ConfigBucket']}",
        "SECRET=one-number",
        "EMAIL=ops@example.com",
        f"PARAMETERS=PollEvery=1m BaseUrl={simulator.url}",
    )
    taken = ("TableName", "ConfigBucket")
    assert [stack.outputs[name] for name in taken] == [outputs[name] for name in taken]
    assert stack.resource("WabawatchTable") == outputs["TableName"]
    assert emulator.client("dynamodb").list_tables()["TableNames"] == tables
    stack.wait_for_runs(1)
