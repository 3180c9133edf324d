"""The simulator's story, watched from beginning to end."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.adapters.dialog360 import probe_queue
from wabawatch.bootstrap import build
from wabawatch.simulator import running, write_config


class Story:
    """Time goes with the story: five seconds a pass."""

    def __init__(self) -> None:
        self.start = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.at = self.start

    def now(self):
        self.at += timedelta(milliseconds=1)
        return self.at


@pytest.fixture(scope="module")
def notified(tmp_path_factory):
    """The wait after a throttled answer is the one thing here that passes in real time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe_queue, "_DEFAULT_WAIT", 0.05)
        return watched(tmp_path_factory.mktemp("story"))


def watched(folder):
    clock, console, totals = Story(), io.StringIO(), []
    with running(paused=True) as server:
        config = write_config(server.simulation, server.url, folder)
        application = build(f"sqlite:{folder / 'state.db'}", str(config), {}, console=console, clock=clock)
        for seconds in range(0, 200, 5):
            server.go_to(timedelta(seconds=seconds))
            clock.at = clock.start + timedelta(seconds=seconds)
            totals.append(application.run_cycle())
        history = application.store.history(limit=500)
        application.close()
    return totals, console.getvalue(), history


def headlines(text):
    return re.findall(r"^\[([A-Z ]+)\] (.+)$", text, re.MULTILINE)


def test_every_reading_is_accounted_for(notified):
    for cycle in notified[0]:
        run = cycle.polled.run
        assert run.expected == run.answered + run.unknown + run.skipped == 12
        assert run.skipped == 0


def test_everything_that_opened_is_resolved_in_the_end(notified):
    last = notified[0][-1]
    assert last.polled.run.statuses == {"AVAILABLE": 12}
    assert sum(cycle.notified.opened for cycle in notified[0]) == sum(cycle.notified.resolved for cycle in notified[0])
    assert last.notified.open == 0


@pytest.mark.parametrize(
    "headline",
    [
        "Support Germany cannot send messages",
        "Support Germany can send messages again",
        "3 numbers cannot send messages",
        "cannot be read",
        "Template 163296651730708 of Orders Spain cannot be sent",
        "Offers Mexico cannot send messages",
        "Other reasons: Offers Mexico",
        "Better: Offers Mexico can send messages only within limits",
        "Spreading: 4 numbers",
        "2 of 4 recovered: 2 numbers",
        "Sales Brazil keeps changing; quiet until it settles",
        "Appointments Italy cannot receive calls",
    ],
)
def test_the_story_is_told(notified, headline):
    assert any(headline in line for _, line in headlines(notified[1]))


def test_one_cause_is_one_alert(notified):
    assert [line for mark, line in headlines(notified[1]) if "Support Germany cannot" in line] == [
        "Support Germany cannot send messages"
    ]


def test_transitions_of_a_target_are_numbered_without_gaps(notified):
    numbers = {}
    for transition in notified[2]:
        numbers.setdefault(transition.target, []).append(transition.seq)
    for found in numbers.values():
        assert sorted(found) == list(range(1, len(found) + 1))
