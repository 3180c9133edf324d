"""A second deployment in the same account: its configuration is deleted and comes back, then one of its shards breaks,
and a number of the other one cannot be read any more.

It takes minutes to see that. The first deployment's story goes on meanwhile, and test_noticed looks at it afterwards.
"""

from tests.e2e.conftest import BROKEN, FLEET, WHOLE
from tests.e2e.emulator import SECONDS_IN_A_MINUTE
from tests.e2e.stack import eventually

CONFIGURATION = ("MONITOR", "configuration")
VISIBILITY_SECONDS = 3 * SECONDS_IN_A_MINUTE
"""The template's three minutes: between two receives of a message are three runs, as there are on AWS."""


def latest_runs(prod):
    """The latest run of each shard: how many numbers it had to read, and how many answered."""
    return {run["shard"]: (run["expected"], run["answered"]) for run in prod.runs() if run["of"] == 2}


def whole_fleet(runs):
    return tuple(map(sum, zip(*runs.values(), strict=True))) == (len(FLEET), len(FLEET))


def test_a_large_fleet_is_read_in_shards(prod, prod_subscriber, fleet_file):
    pushed = prod.wabawatch("config", "push", str(fleet_file))
    assert pushed.returncode == 0, pushed.stderr
    eventually(lambda: whole_fleet(latest_runs(prod)), "both shards were read")
    assert prod_subscriber.documents == []


def test_a_deleted_configuration_is_told_while_the_last_good_one_goes_on(emulator, prod, prod_subscriber):
    emulator.client("s3").delete_object(Bucket=prod.outputs["ConfigBucket"], Key="config.json")
    eventually(lambda: prod_subscriber.heard(*CONFIGURATION) == ["opened"], "the subscriber was told of the deletion")
    before = len(prod.runs())
    prod.wait_for_runs(3)
    assert {run["of"] for run in prod.runs()[before:]} == {2}
    assert whole_fleet(latest_runs(prod))
    assert "upload it again" in prod.wabawatch("doctor").stdout


def test_the_end_of_it_is_told_when_the_configuration_is_uploaded_again(prod, prod_subscriber, fleet_file):
    assert prod.wabawatch("config", "push", str(fleet_file)).returncode == 0
    notified = ["opened", "resolved"]
    eventually(lambda: prod_subscriber.heard(*CONFIGURATION) == notified, "the subscriber was told of the upload")
    assert prod_subscriber.kinds == notified


def test_a_shard_whose_reads_are_refused_is_an_error_of_the_function(emulator, prod):
    url = prod.queue("ShardQueue")
    emulator.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
    emulator.refuse_reads(BROKEN[0].id)
    eventually(lambda: "no shard of the batch could be polled" in prod.raw_log("poll"), "the function failed")


def test_a_number_of_the_other_shard_cannot_be_read(fleet_simulator):
    fleet_simulator.set(WHOLE[0].id, failure="bad_gateway")
