"""What broke in the second deployment, minutes later: everybody who looks can see it, and one who does not is told."""

import json

from tests.e2e import alarms
from tests.e2e.conftest import BROKEN, FLEET, WHOLE
from tests.e2e.stack import eventually

COVERAGE = ("MONITOR", "coverage")
UNREADABLE = ("TARGET", WHOLE[0].id)


def test_people_are_told_which_part_of_the_fleet_is_not_read(prod_subscriber):
    eventually(lambda: prod_subscriber.heard(*COVERAGE) == ["opened"], "the subscriber was told", seconds=240)
    assert any("shard 1 of 2" in json.dumps(document) for document in prod_subscriber.documents)


def test_a_number_that_cannot_be_read_is_told_as_such(prod_subscriber, fleet_simulator):
    eventually(lambda: prod_subscriber.heard(*UNREADABLE) == ["opened"], "the subscriber was told of the number")
    fleet_simulator.heal()
    notified = ["opened", "resolved"]
    eventually(
        lambda: prod_subscriber.heard(*UNREADABLE) == notified, "the subscriber was told that it can be read again"
    )


def test_the_alarm_on_the_age_of_the_last_complete_run_rings_for_this_deployment_alone(stack, prod):
    eventually(lambda: alarms.state(prod, "NoRunAlarm") == "ALARM", "the alarm rings", seconds=240)
    assert alarms.state(prod, "UndeliveredAlarm") == "OK"
    assert alarms.state(stack, "NoRunAlarm") == "OK"


def test_the_command_line_names_the_part_that_is_not_read(prod):
    eventually(lambda: prod.waiting("ShardDeadLetterQueue"), "a message is in ShardDeadLetterQueue")
    examined = prod.wabawatch("doctor")
    assert examined.returncode == 1
    assert "shard 1 of 2" in examined.stdout
    assert "in ShardDeadLetterQueue" in examined.stdout
    shown = prod.wabawatch("status", "--json")
    statuses = {target["target"]: target["status"] for target in json.loads(shown.stdout)["targets"]}
    assert statuses == {number.id: "UNKNOWN" if number in BROKEN else "AVAILABLE" for number in FLEET}


def test_its_messages_become_dead_letters(prod):
    shards = [json.loads(message["Body"]) for message in prod.messages(prod.queue("ShardDeadLetterQueue"))]
    assert (1, 2) in {(shard["shard"], shard["of"]) for shard in shards}


def test_its_end_is_told(emulator, prod_subscriber):
    emulator.refuse_reads()
    notified = ["opened", "resolved"]
    eventually(lambda: prod_subscriber.heard(*COVERAGE) == notified, "the subscriber was told that all is read again")


def test_the_second_deployment_stops(prod):
    """What that looks like a few minutes later, test_outage says."""
    prod.switch_schedules("DISABLED", "poll", "notify")
