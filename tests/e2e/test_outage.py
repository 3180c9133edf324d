"""The second deployment is dead since test_noticed. The first one is alive, and hides nothing of it."""

from functools import partial

from tests.e2e import alarms
from tests.e2e.stack import eventually


def test_the_alarms_of_the_dead_deployment_ring_and_those_of_the_living_one_do_not(stack, prod):
    for alarm in ("NoRunAlarm", "UndeliveredAlarm"):
        eventually(partial(_rings, prod, alarm), f"{alarm} of the dead deployment rings")
        assert alarms.state(stack, alarm) == "OK"


def test_the_doctor_says_that_its_schedule_is_off(prod):
    examined = prod.wabawatch("doctor")
    assert examined.returncode == 1
    assert "schedule: OFF" in examined.stdout


def _rings(stack, alarm):
    return alarms.state(stack, alarm) == "ALARM"
