from datetime import timedelta

import msgspec
import pytest

from tests.unit.domain.causes import incident_after
from tests.unit.domain.readings import PAYMENT, VERIFICATION, minute, moved
from wabawatch.domain.health import READABLE, Reason
from wabawatch.domain.incidents import Told
from wabawatch.domain.ledger import record_sent
from wabawatch.domain.messages import KINDS
from wabawatch.domain.planning import QUIET, Mute, Situation, plan
from wabawatch.domain.policy import Policy

POLICY = Policy()
BAD = moved("a", 1, "A", "B", 0, reasons=(PAYMENT,))
WORSE_FIRST = moved("a", 1, "A", "L", 0, reasons=(PAYMENT,))
WELL = moved("a", 2, "B", "A", 20)
OTHERS = moved("a", 2, "B", "B", 5, reasons=(VERIFICATION,))
OTHERS_LIMITED = moved("a", 2, "L", "L", 5, reasons=(VERIFICATION,))
SECOND = moved("b", 1, "A", "B", 5, reasons=(PAYMENT,))
SECOND_LEAVES = moved("b", 2, "B", "A", 9)
UNREAD = moved("a", 1, "A", "UNKNOWN", capability=READABLE, reasons=(Reason(description="timeout"),))
DISABLED = moved("a", 2, "UNKNOWN", "UNKNOWN", 5, capability=READABLE, reasons=(Reason(description="disabled"),))
MUTE = Mute("silence s1 by ana: planned", minute(500))


def told_after(*transitions, at=1, kind="opened", told=Told()):  # noqa: B008 - an immutable value
    """The ledger's line of a destination that was told what was so after these transitions."""
    return record_sent(incident_after(*transitions), told, kind, minute(at), {}) if transitions else told


def flapping(count):
    return [moved("a", n, *("AB" if n % 2 else "BA"), n) for n in range(1, count + 1)]


def row(name, story, heard, when, kind, why, due=None, **situation):
    return pytest.param(story, heard, when, situation, kind, why, due, id=name)


ROWS = [
    row("a new problem is told", [BAD], [], 1, "opened", "not told yet"),
    row("it waits for company", [BAD], [], 0, None, "group_wait", 10, group_wait=timedelta(minutes=10)),
    row(
        "a wait that begins in the future is over: the clock was set back",
        [BAD],
        [],
        -99,
        "opened",
        "not told yet",
        group_wait=timedelta(minutes=10),
    ),
    row(
        "a small difference of clocks is no clock that was set back",
        [BAD],
        [],
        -0.5,
        None,
        "group_wait",
        10,
        group_wait=timedelta(minutes=10),
    ),
    row("who is on no route hears nothing", [BAD], [], 1, None, "not_routed", routed=False),
    row("what was told is not told again", [BAD], [BAD], 2, None, "up_to_date", 61),
    row(
        "worse is told at once",
        [WORSE_FIRST, moved("a", 2, "L", "B", 2)],
        [WORSE_FIRST],
        3,
        "escalated",
        "LIMITED was told",
    ),
    row("less bad is told at once", [BAD, moved("a", 2, "B", "L", 2)], [BAD], 3, "eased", "BLOCKED was told"),
    row(
        "worse is told who is on no route any more",
        [WORSE_FIRST, moved("a", 2, "L", "B", 2)],
        [WORSE_FIRST],
        3,
        "escalated",
        "LIMITED was told",
        routed=False,
    ),
    row("other reasons wait for their interval", [BAD, OTHERS], [BAD], 6, None, "reasons_interval", 61),
    row("other reasons are told after it", [BAD, OTHERS], [BAD], 61, "reasons_changed", "other reasons were told"),
    row(
        "other reasons below blocked are quiet",
        [WORSE_FIRST, OTHERS_LIMITED],
        [WORSE_FIRST],
        61,
        None,
        "reasons_quiet",
        7 * 24 * 60 + 1,
    ),
    row(
        "a channel that the provider closed is told at once",
        [UNREAD, DISABLED],
        [UNREAD],
        6,
        "reasons_changed",
        "the provider says that the channel is down",
    ),
    row("more targets wait for their interval", [BAD, SECOND], [BAD], 5, None, "group_interval", 6),
    row("more targets are told after it", [BAD, SECOND], [BAD], 6, "spread", "1 affected were told"),
    row(
        "fewer targets are told after it",
        [BAD, SECOND, SECOND_LEAVES],
        [BAD, SECOND],
        10,
        "receded",
        "2 affected were told",
    ),
    row(
        "more targets are nothing to who is on no route any more",
        [BAD, SECOND],
        [BAD],
        6,
        None,
        "not_routed",
        routed=False,
    ),
    row("of two waits the shorter one counts", [BAD, OTHERS, SECOND], [BAD], 5, None, "group_interval", 6),
    row("after an hour it is said again", [BAD], [BAD], 61, "reminder", "still so"),
    row(
        "not when somebody has it",
        [BAD],
        [BAD],
        61,
        None,
        "acknowledged",
        300,
        acknowledged=True,
        acknowledged_until=minute(300),
    ),
    row("nor to who is on no route any more", [BAD], [BAD], 61, None, "not_routed", routed=False),
    row(
        "a word without reminders is not said again",
        [moved("a", 1, "A", "P")],
        [moved("a", 1, "A", "P")],
        99999,
        None,
        "no_more_reminders",
    ),
    row(
        "an old limited waits for the weekly digest",
        [WORSE_FIRST],
        [WORSE_FIRST],
        7 * 24 * 60 + 5,
        None,
        "up_to_date",
        12000,
        digest_due_at=minute(12000),
    ),
    row("a block does not", [BAD], [BAD], 61, "reminder", "still so", digest_due_at=minute(12000)),
    row(
        "a recovery goes to who was told of the problem",
        [BAD, WELL],
        [BAD],
        21,
        "resolved",
        "it was told of the problem",
    ),
    row("on no route any more too", [BAD, WELL], [BAD], 21, "resolved", "it was told of the problem", routed=False),
    row("who was on no route hears of no recovery", [BAD, WELL], [], 21, None, "not_routed", routed=False),
    row("a recovery is told once", [BAD, WELL], [BAD, WELL], 21, None, "up_to_date"),
    row(
        "what came and went before it could be told is told in one",
        [BAD, WELL],
        [],
        21,
        "brief",
        "it came and went before it could be told",
    ),
    row(
        "within a mute it is not told at all",
        [BAD, WELL],
        [],
        21,
        None,
        "muted_throughout",
        mute_first=MUTE,
        mute_then=MUTE,
    ),
    row(
        "a mute that began after it hides nothing",
        [BAD, WELL],
        [],
        21,
        "brief",
        "it came and went before it could be told",
        mute_then=MUTE,
    ),
    row(
        "a mute that ended before it hides nothing",
        [BAD, WELL],
        [],
        21,
        "brief",
        "it came and went before it could be told",
        mute_first=MUTE,
    ),
    row("a mute that holds now puts it off", [BAD, WELL], [], 21, None, f"muted: {MUTE.why}", 500, mute=MUTE),
    row(
        "a recovery waits for the end of a mute",
        [BAD, WELL],
        [BAD],
        21,
        None,
        f"muted: {MUTE.why}",
        500,
        mute=MUTE,
        mute_then=MUTE,
    ),
    row("a problem waits for the end of a mute", [BAD], [], 21, None, f"muted: {MUTE.why}", 500, mute=MUTE),
    row("what can wait waits for working hours", [WORSE_FIRST], [], 5, None, "working_hours", 90, opens_at=minute(90)),
    row("while the monitor is blind no number is unknown", [UNREAD], [], 5, None, "blind", blind=True),
    row("and nobody is reminded of one", [UNREAD], [UNREAD], 999, None, "blind", blind=True),
    row("unless the provider says so itself", [UNREAD, DISABLED], [], 6, "opened", "not told yet", blind=True),
    row(
        "one that can be read again is told",
        [UNREAD, moved("a", 2, "UNKNOWN", "A", 9, capability=READABLE)],
        [UNREAD],
        10,
        "resolved",
        "it was told of the problem",
        blind=True,
    ),
    row("blindness hides no block", [BAD], [], 5, "opened", "not told yet", blind=True),
    row("a destination that is down is left alone", [BAD], [], 5, None, "retry_wait", 9, paused_until=minute(9)),
    row(
        "but not for longer than any wait: the clock was set back",
        [BAD],
        [],
        5,
        "opened",
        "not told yet",
        paused_until=minute(5000),
    ),
    row("a pause that is over is over", [BAD], [], 5, "opened", "not told yet", paused_until=minute(5)),
    row("who has nothing to hear waits for nothing", [BAD], [BAD], 5, None, "up_to_date", 61, paused_until=minute(9)),
    row("flapping is told once it starts", flapping(5), flapping(1), 6, "flapping", "5 changes"),
    row("and then no more", flapping(6), None, 7, None, "flapping", 66),
]


@pytest.mark.parametrize(("story", "heard", "when", "situation", "kind", "why", "due"), ROWS)
def test_what_a_destination_hears_and_why(story, heard, when, situation, kind, why, due):
    told = told_after(*flapping(5), kind="flapping") if heard is None else told_after(*heard)
    decision = plan(incident_after(*story), told, Situation(minute(when), **situation), POLICY)
    assert (decision.kind, decision.why) == (kind, why)
    assert decision.due_at == (None if due is None else minute(due))


def test_every_reason_for_silence_is_in_the_table():
    assert {why.split(":")[0] for _, _, _, _, kind, why, _ in (row.values for row in ROWS) if kind is None} == QUIET


def test_every_kind_is_in_the_table_but_those_that_plan_does_not_make():
    made = {kind for _, _, _, _, kind, _, _ in (row.values for row in ROWS) if kind}
    assert set(KINDS) - made == {"digest", "test", "flapping_ended"}


def test_the_end_of_flapping_is_told_with_the_real_status():
    calm = msgspec.structs.replace(incident_after(*flapping(5)), flapping_since=None)
    told = told_after(*flapping(5), kind="flapping")
    assert plan(calm, told, Situation(minute(99)), POLICY).kind == "flapping_ended"
    after = record_sent(calm, told, "flapping_ended", minute(99), {})
    assert (after.flapping, after.status) == (False, "BLOCKED")


def test_what_gets_worse_than_all_that_flapped_is_told_once():
    wobble = [moved("a", n, *("AL" if n % 2 else "LA"), n) for n in range(1, 6)]
    told = told_after(*wobble, kind="flapping")
    blocked = incident_after(*wobble, moved("a", 6, "L", "B", 7))
    assert plan(blocked, told, Situation(minute(8)), POLICY).kind == "escalated"
    after = record_sent(blocked, told, "escalated", minute(8), {})
    assert plan(blocked, after, Situation(minute(9)), POLICY).why == "flapping"
