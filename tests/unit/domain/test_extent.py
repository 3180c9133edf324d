"""How often the number of affected targets is notified, over a day of an incident whose status stays."""

from datetime import timedelta

import pytest

from tests.unit.domain.builders import PAYMENT, minute, moved
from tests.unit.domain.incidents import folded
from wabawatch.domain.correlation import end_flapping
from wabawatch.domain.decision import Situation, decide
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import record_sent
from wabawatch.domain.policy import Policy

POLICY = Policy()
DAY = 24 * 60


def messages_of_a_day(status, count, every, toggled=1):
    """(minute, kind, number) of each message, where some of the targets come and go in every pass."""
    rows = {}
    joining = (moved(f"n{number}", 1, "A", status, 0, reasons=(PAYMENT,)) for number in range(count))
    incident = folded(*joining, rows=rows)
    notified, messages = NotificationState(), []
    for seq, now in enumerate(range(0, DAY, every), 2):
        for number in range(toggled if now else 0):
            old, new = (status, "A") if seq % 2 else ("A", status)
            incident = folded(moved(f"n{number}", seq, old, new, now, reasons=(PAYMENT,)), latest=incident, rows=rows)
        incident = end_flapping(incident, minute(now), POLICY.flapping)
        decision = decide(incident, notified, Situation(minute(now)), POLICY)
        if decision.kind is not None:
            notified = record_sent(incident, notified, decision.kind, minute(now), {})
            messages.append((now, decision.kind, notified.affected))
    return messages


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("status", ["L", "B"])
@pytest.mark.parametrize("count", [6, 10, 11, 99, 100, 101, 200, 1000])
def test_one_of_many_that_comes_and_goes_in_every_pass_is_no_storm(count, status, every):
    messages = messages_of_a_day(status, count, every)
    assert messages[0] == (0, "opened", count)
    assert len(messages) <= 4
    assert {kind for _, kind, _ in messages[1:]} <= {"reminder"}
    assert all(count - 1 <= number <= count for _, _, number in messages)


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize(("count", "toggled"), [(2, 1), (3, 1), (4, 1), (12, 6)])
def test_where_much_of_it_comes_and_goes_it_is_told_some_times_and_then_with_the_reminders(count, toggled, every):
    messages = messages_of_a_day("B", count, every, toggled)
    assert len(messages) <= 10
    assert {kind for at, kind, _ in messages if at > 2 * 60} == {"reminder"}


def test_what_grows_slowly_is_told_with_the_reminders():
    incident = folded(*(moved(f"n{number}", 1, "A", "B", 0) for number in range(200)))
    notified = record_sent(incident, NotificationState(), "opened", minute(0), {})
    incident = folded(moved("another", 1, "A", "B", 9), latest=incident)
    decision = decide(incident, notified, Situation(minute(10)), POLICY)
    assert (decision.kind, decision.due_at) == (None, minute(0) + timedelta(hours=1))
    assert decide(incident, notified, Situation(decision.due_at), POLICY).kind == "reminder"
