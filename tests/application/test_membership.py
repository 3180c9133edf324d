"""Which targets are said to be affected, in incidents that hold them all and in those whose members are rows."""

import pytest

from tests.application.fakes import business, failing, phone, targets
from wabawatch.application.planner import affected_targets, some_affected_targets
from wabawatch.domain.incident import INLINE_MEMBERS

SIZES = [3, INLINE_MEMBERS, INLINE_MEMBERS + 5]


def ids(count):
    return [f"n{number:02}" for number in range(count)]


def blocked(stage, count):
    """A stage on which so many numbers share a business that is blocked."""
    stage.fleet = targets(*ids(count))
    stage.cycle()
    stage.says(business("BLOCKED"))
    stage.cycle()
    return stage


def shared_incident(stage):
    return next(one for one in stage.incidents() if one.entity_type == "BUSINESS")


@pytest.mark.parametrize("count", SIZES)
def test_an_open_incident_affects_those_that_have_not_recovered(local, count):
    blocked(local, count)
    local.says(phone(), *[business("BLOCKED")] * (count - 1))
    local.cycle(2)
    incident = shared_incident(local)
    assert incident.has_member_rows is (count > INLINE_MEMBERS)
    assert sorted(affected_targets(local.store, incident)) == ids(count)[1:]
    assert set(some_affected_targets(local.store, incident, count)) == set(ids(count)[1:])


@pytest.mark.parametrize("count", SIZES)
def test_an_incident_that_is_over_affected_all_that_took_part(local, count):
    blocked(local, count)
    local.says(phone(), *[business("BLOCKED")] * (count - 1))
    local.cycle(2)
    local.says(business())
    local.cycle(2)
    incident = shared_incident(local)
    assert not incident.is_open
    assert sorted(affected_targets(local.store, incident)) == ids(count)
    assert set(some_affected_targets(local.store, incident, count)) == set(ids(count))


def test_of_a_large_incident_as_many_are_named_as_are_asked_for(local):
    incident = shared_incident(blocked(local, INLINE_MEMBERS + 5))
    assert [len(set(some_affected_targets(local.store, incident, limit))) for limit in (2, 20, 23, 99)] == [
        2,
        20,
        23,
        25,
    ]


def test_where_enough_have_recovered_the_rows_name_those_that_are_still_affected(local):
    blocked(local, INLINE_MEMBERS + 5)
    local.says(*[business()] * INLINE_MEMBERS, *[business("BLOCKED")] * 5)
    local.cycle(2)
    assert set(some_affected_targets(local.store, shared_incident(local), 20)) == set(ids(25)[INLINE_MEMBERS:])


def test_a_trouble_of_the_monitor_affects_no_target(local):
    local.fleet = targets(*ids(4))
    local.cycle()
    local.says(failing("timeout"))
    local.cycle(4)
    (readability,) = [one for one in local.incidents() if one.entity_type == "MONITOR"]
    assert readability.affected == 1
    assert list(affected_targets(local.store, readability)) == []
    assert some_affected_targets(local.store, readability, 20) == ()
