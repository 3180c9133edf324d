"""The end of the deployment."""


def test_deleting_leaves_the_table_and_the_bucket_and_nothing_else(emulator, stack):
    outputs = stack.outputs
    stack.delete()
    assert emulator.client("dynamodb").list_tables()["TableNames"] == [outputs["TableName"]]
    buckets = [one["Name"] for one in emulator.client("s3").list_buckets()["Buckets"]]
    assert outputs["ConfigBucket"] in buckets
    assert emulator.client("lambda").list_functions()["Functions"] == []
    assert emulator.client("scheduler").list_schedules()["Schedules"] == []
    assert emulator.client("iam").list_roles()["Roles"] == []
    assert emulator.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert [url.rsplit("/", 1)[-1] for url in emulator.client("sqs").list_queues()["QueueUrls"]] == ["subscriber"]
