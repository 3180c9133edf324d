import pytest

from tests.unit.domain.builders import minute, moved
from tests.unit.domain.incidents import bad, folded
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import record_sent

BLOCKED = bad("a")


def test_a_line_says_what_was_so_when_it_was_sent():
    notified = record_sent(BLOCKED, NotificationState(), "opened", minute(1), {"ts": "1"})
    assert notified == NotificationState(
        status="BLOCKED",
        revision=1,
        reasons=("141006",),
        affected=1,
        at=minute(1),
        first_at=minute(1),
        count=1,
        thread={"ts": "1"},
        worst="BLOCKED",
    )


def test_the_first_time_and_the_thread_are_kept_and_messages_are_counted():
    first = record_sent(BLOCKED, NotificationState(), "opened", minute(1), {"ts": "1"})
    later = record_sent(folded(moved("a", 2, "B", "A", 9), latest=BLOCKED), first, "resolved", minute(9), {})
    assert (later.status, later.first_at, later.at, later.count) == ("AVAILABLE", minute(1), minute(9), 2)
    assert later.thread == {"ts": "1"}


@pytest.mark.parametrize(
    ("kind", "reminders"), [("spread", 2), ("receded", 2), ("reasons_changed", 2), ("reminder", 3), ("escalated", 0)]
)
def test_news_of_another_status_begins_the_reminders_anew_and_news_of_extent_does_not(kind, reminders):
    assert record_sent(BLOCKED, NotificationState(reminders=2), kind, minute(1), {}).reminders == reminders
