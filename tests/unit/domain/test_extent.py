"""How often the number of affected targets is told, over a day of an incident whose status stays."""

from datetime import timedelta

import pytest

from tests.unit.domain.causes import folded
from tests.unit.domain.readings import PAYMENT, minute, moved
from wabawatch.domain.correlation import settle
from wabawatch.domain.incidents import Told
from wabawatch.domain.ledger import record_sent
from wabawatch.domain.planning import Situation, plan
from wabawatch.domain.policy import Policy

POLICY = Policy()
DAY = 24 * 60


def told_in_a_day(status, count, every, toggled=1):
    """(minute, kind, number told) of each message, where some of the targets come and go in every pass."""
    rows = {}
    joining = (moved(f"n{number}", 1, "A", status, 0, reasons=(PAYMENT,)) for number in range(count))
    incident = folded(*joining, rows=rows)
    told, messages = Told(), []
    for seq, now in enumerate(range(0, DAY, every), 2):
        for number in range(toggled if now else 0):
            old, new = (status, "A") if seq % 2 else ("A", status)
            incident = folded(moved(f"n{number}", seq, old, new, now, reasons=(PAYMENT,)), latest=incident, rows=rows)
        incident = settle(incident, minute(now), POLICY.flapping)
        decision = plan(incident, told, Situation(minute(now)), POLICY)
        if decision.kind is not None:
            told = record_sent(incident, told, decision.kind, minute(now), {})
            messages.append((now, decision.kind, told.affected))
    return messages


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("status", ["L", "B"])
@pytest.mark.parametrize("count", [6, 10, 11, 99, 100, 101, 200, 1000])
def test_one_of_many_that_comes_and_goes_in_every_pass_is_no_storm(count, status, every):
    messages = told_in_a_day(status, count, every)
    assert messages[0] == (0, "opened", count)
    assert len(messages) <= 4
    assert {kind for _, kind, _ in messages[1:]} <= {"reminder"}
    assert all(count - 1 <= number <= count for _, _, number in messages)


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize(("count", "toggled"), [(2, 1), (3, 1), (4, 1), (12, 6)])
def test_where_much_of_it_comes_and_goes_it_is_told_some_times_and_then_with_the_reminders(count, toggled, every):
    messages = told_in_a_day("B", count, every, toggled)
    assert len(messages) <= 10
    assert {kind for at, kind, _ in messages if at > 2 * 60} == {"reminder"}


def test_what_grows_slowly_is_told_with_the_reminders():
    incident = folded(*(moved(f"n{number}", 1, "A", "B", 0) for number in range(200)))
    told = record_sent(incident, Told(), "opened", minute(0), {})
    incident = folded(moved("another", 1, "A", "B", 9), latest=incident)
    decision = plan(incident, told, Situation(minute(10)), POLICY)
    assert (decision.kind, decision.due_at) == (None, minute(0) + timedelta(hours=1))
    assert plan(incident, told, Situation(decision.due_at), POLICY).kind == "reminder"
