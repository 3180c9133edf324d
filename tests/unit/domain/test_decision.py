from datetime import UTC, datetime, time, timedelta

import msgspec
import pytest

from tests.unit.domain.builders import PAYMENT, VERIFICATION, minute, moved
from tests.unit.domain.incidents import folded
from wabawatch.domain.decision import HoldReason, Mute, Situation, decide
from wabawatch.domain.health import READABLE, Reason
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import KINDS, record_sent
from wabawatch.domain.policy import Policy, Weekly

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
JOINS_LATE = moved("late", 1, "A", "B", 10, reasons=(PAYMENT,))
DAY = 24 * 60
MONDAYS = Weekly(("mon",), time(15), time(15), "UTC")  # minute 0 is a Monday, at 10:00
MUTE = Mute("silence s1 by ana: planned", minute(500))


def notified_after(*transitions, at=1, kind="opened", notified=NotificationState()):  # noqa: B008 - an immutable value
    """The notification log entry of a destination that was notified after these transitions."""
    return record_sent(folded(*transitions), notified, kind, minute(at), {}) if transitions else notified


def flapping(count):
    return [moved("a", n, *("AB" if n % 2 else "BA"), n) for n in range(1, count + 1)]


def many(count, left=0, back=0):
    """The story of so many targets, of which some leave in minute 2 and some of these come back in minute 3."""
    joining = [moved(f"n{number}", 1, "A", "B", 0, reasons=(PAYMENT,)) for number in range(count)]
    leaving = [moved(f"n{number}", 2, "B", "A", 2) for number in range(left)]
    return joining + leaving + [moved(f"n{number}", 3, "A", "B", 3, reasons=(PAYMENT,)) for number in range(back)]


def alternating(turns):
    """The story of one that is bad for good, and of another that comes and goes each minute from 1 on."""
    moves = [moved("b", n, *("AB" if n % 2 else "BA"), n, reasons=(PAYMENT,)) for n in range(1, turns + 1)]
    return [BAD, *moves]


def row(name, story, heard, when, kind, why, due=None, **situation):
    return pytest.param(story, heard, when, situation, kind, why, due, id=name)


ROWS = [
    row("a new problem is notified", [BAD], [], 1, "opened", "not notified yet"),
    row("it waits for the group_wait", [BAD], [], 0, None, "group_wait", 10, group_wait=timedelta(minutes=10)),
    row(
        "a wait that begins in the future is over: the clock was set back",
        [BAD],
        [],
        -99,
        "opened",
        "not notified yet",
        group_wait=timedelta(minutes=10),
    ),
    row(
        "a small difference of clocks does not count as a clock that was set back",
        [BAD],
        [],
        -0.5,
        None,
        "group_wait",
        10,
        group_wait=timedelta(minutes=10),
    ),
    row("who is on no route hears nothing", [BAD], [], 1, None, "not_routed", routed=False),
    row("what was notified is not told again", [BAD], [BAD], 2, None, "up_to_date", 61),
    row(
        "worse is notified at once",
        [WORSE_FIRST, moved("a", 2, "L", "B", 2)],
        [WORSE_FIRST],
        3,
        "escalated",
        "it was notified of LIMITED",
    ),
    row(
        "less bad is notified at once",
        [BAD, moved("a", 2, "B", "L", 2)],
        [BAD],
        3,
        "eased",
        "it was notified of BLOCKED",
    ),
    row(
        "worse is notified who is on no route any more",
        [WORSE_FIRST, moved("a", 2, "L", "B", 2)],
        [WORSE_FIRST],
        3,
        "escalated",
        "it was notified of LIMITED",
        routed=False,
    ),
    row("other reasons wait for their interval", [BAD, OTHERS], [BAD], 6, None, "reasons_interval", 61),
    row(
        "other reasons are notified after it",
        [BAD, OTHERS],
        [BAD],
        61,
        "reasons_changed",
        "it was notified of other reasons",
    ),
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
        "a channel that the provider closed is notified at once",
        [UNREAD, DISABLED],
        [UNREAD],
        6,
        "reasons_changed",
        "the provider reports that the channel is closed",
    ),
    row("more targets wait for their interval", [BAD, SECOND], [BAD], 5, None, "group_interval", 6),
    row("more targets are notified after it", [BAD, SECOND], [BAD], 6, "spread", "it was notified of 1 affected"),
    row(
        "fewer targets are notified after it",
        [BAD, SECOND, SECOND_LEAVES],
        [BAD, SECOND],
        10,
        "receded",
        "it was notified of 2 affected",
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
    row("one more of many is notified with the next reminder", many(200), many(199), 20, None, "extent_quiet", 61),
    row("one fewer too", many(200, left=1), many(200), 20, None, "extent_quiet", 61),
    row("and then it is", many(200), many(199), 61, "reminder", "still unresolved"),
    row("a quarter more of many is notified", many(250), many(200), 20, "spread", "it was notified of 200 affected"),
    row("not quite a quarter is not", many(249), many(200), 20, None, "extent_quiet", 61),
    row(
        "a quarter fewer of many is notified",
        many(200, left=50),
        many(200),
        20,
        "receded",
        "it was notified of 200 affected",
    ),
    row(
        "a new order of size is notified",
        [*many(99), JOINS_LATE],
        many(99),
        20,
        "spread",
        "it was notified of 99 affected",
    ),
    row("but not again", many(100, left=1, back=1), many(100, left=1), 20, None, "extent_quiet", 61),
    row("of few each one is notified", [BAD, SECOND], many(3), 20, "receded", "it was notified of 3 affected"),
    row(
        "few that come and go are notified with the next reminder", alternating(7), [BAD], 12, None, "extent_quiet", 61
    ),
    row(
        "or once they are calm, as where nobody is reminded",
        alternating(7),
        [BAD],
        62,
        None,
        "extent_quiet",
        63,
        acknowledged=True,
    ),
    row("and then they are", alternating(7), [BAD], 63, "spread", "it was notified of 1 affected", acknowledged=True),
    row("of two waits the shorter one counts", [BAD, OTHERS, SECOND], [BAD], 5, None, "group_interval", 6),
    row("after an hour it is said again", [BAD], [BAD], 61, "reminder", "still unresolved"),
    row(
        "not while it is acknowledged",
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
        "an old limited waits for the next weekly digest",
        [WORSE_FIRST],
        [WORSE_FIRST],
        7 * DAY + 5,
        None,
        "up_to_date",
        7 * DAY + 300,
        digest=MONDAYS,
    ),
    row(
        "and is notified with it",
        [WORSE_FIRST],
        [WORSE_FIRST],
        7 * DAY + 300,
        "reminder",
        "still unresolved",
        digest=MONDAYS,
    ),
    row(
        "a digest puts off no reminder of a shorter wait",
        [WORSE_FIRST],
        [WORSE_FIRST],
        6 * DAY + 1,
        "reminder",
        "still unresolved",
        digest=MONDAYS,
        policy=Policy(reminders={"limited": (timedelta(days=6),)}),
    ),
    row(
        "a last word from the future puts off no reminder: the clock was set back",
        [WORSE_FIRST],
        [WORSE_FIRST],
        -30 * DAY,
        "reminder",
        "still unresolved",
        digest=MONDAYS,
    ),
    row("a block does not", [BAD], [BAD], 61, "reminder", "still unresolved", digest=MONDAYS),
    row("nor does what cannot be read", [UNREAD], [UNREAD], 241, "reminder", "still unresolved", digest=MONDAYS),
    row(
        "however rarely one is reminded of it",
        [UNREAD],
        [UNREAD],
        8 * DAY + 1,
        "reminder",
        "still unresolved",
        digest=MONDAYS,
        policy=Policy(reminders={"unknown": (timedelta(days=8),)}),
    ),
    row(
        "a recovery goes to who was notified of the problem",
        [BAD, WELL],
        [BAD],
        21,
        "resolved",
        "it was notified of the problem",
    ),
    row("on no route any more too", [BAD, WELL], [BAD], 21, "resolved", "it was notified of the problem", routed=False),
    row("who was on no route hears of no recovery", [BAD, WELL], [], 21, None, "not_routed", routed=False),
    row("a recovery is notified once", [BAD, WELL], [BAD, WELL], 21, None, "up_to_date"),
    row(
        "what came and went before it could be told is notified in one",
        [BAD, WELL],
        [],
        21,
        "brief",
        "the problem was over before it could be notified",
    ),
    row("what was muted throughout is not told", [BAD, WELL], [], 21, None, "muted_throughout", muted_throughout=True),
    row(
        "unless it was notified before",
        [BAD, WELL],
        [BAD],
        21,
        "resolved",
        "it was notified of the problem",
        muted_throughout=True,
    ),
    row(
        "what was over when a destination joined is not told",
        [BAD, WELL],
        [],
        21,
        None,
        "joined_later",
        known_since=minute(20),
    ),
    row(
        "what ended after it joined is notified",
        [BAD, WELL],
        [],
        21,
        "brief",
        "the problem was over before it could be notified",
        known_since=minute(19),
    ),
    row(
        "what is open when it joins is notified as it is",
        [BAD],
        [],
        21,
        "opened",
        "not notified yet",
        known_since=minute(20),
    ),
    row(
        "who joined before the clock was set back hears everything",
        [BAD, WELL],
        [],
        21,
        "brief",
        "the problem was over before it could be notified",
        known_since=minute(500),
    ),
    row(
        "what flapped and was over is not told either", flapping(6), [], 7, None, "joined_later", known_since=minute(6)
    ),
    row("nobody hears of its own death", [BAD], [], 1, None, "about_itself", routed=False, about_itself=True),
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
    ),
    row("a problem waits for the end of a mute", [BAD], [], 21, None, f"muted: {MUTE.why}", 500, mute=MUTE),
    row("what can wait waits for working hours", [WORSE_FIRST], [], 5, None, "working_hours", 90, opens_at=minute(90)),
    row(
        "during a mass failure no unreadable number is notified",
        [UNREAD],
        [],
        5,
        None,
        "mass_failure",
        mass_failure=True,
    ),
    row("and nobody is reminded of one", [UNREAD], [UNREAD], 999, None, "mass_failure", mass_failure=True),
    row(
        "unless the provider says so itself", [UNREAD, DISABLED], [], 6, "opened", "not notified yet", mass_failure=True
    ),
    row(
        "one that can be read again is notified",
        [UNREAD, moved("a", 2, "UNKNOWN", "A", 9, capability=READABLE)],
        [UNREAD],
        10,
        "resolved",
        "it was notified of the problem",
        mass_failure=True,
    ),
    row("a mass failure hides no block", [BAD], [], 5, "opened", "not notified yet", mass_failure=True),
    row("a destination that is down is left alone", [BAD], [], 5, None, "retry_wait", 9, paused_until=minute(9)),
    row(
        "but not for longer than any wait: the clock was set back",
        [BAD],
        [],
        5,
        "opened",
        "not notified yet",
        paused_until=minute(5000),
    ),
    row("a pause that is over is over", [BAD], [], 5, "opened", "not notified yet", paused_until=minute(5)),
    row("who has nothing to hear waits for nothing", [BAD], [BAD], 5, None, "up_to_date", 61, paused_until=minute(9)),
    row(
        "a reminder does not wait for news that wait",
        [BAD, OTHERS],
        [BAD],
        61,
        "reminder",
        "still unresolved",
        policy=Policy(reasons_interval=timedelta(days=1)),
    ),
    row("flapping is notified once it starts", flapping(5), flapping(1), 6, "flapping", "5 changes"),
    row("and then no more until it settles", flapping(6), None, 7, None, "flapping", 65),
]


@pytest.mark.parametrize(("story", "heard", "when", "situation", "kind", "why", "due"), ROWS)
def test_what_a_destination_hears_and_why(story, heard, when, situation, kind, why, due):
    notified = notified_after(*flapping(5), kind="flapping") if heard is None else notified_after(*heard)
    policy = situation.pop("policy", POLICY)
    decision = decide(folded(*story), notified, Situation(minute(when), **situation), policy)
    assert (decision.kind, decision.why) == (kind, why)
    assert decision.due_at == (None if due is None else minute(due))


def test_every_reason_for_silence_is_in_the_table():
    assert {why.split(":")[0] for _, _, _, _, kind, why, _ in (row.values for row in ROWS) if kind is None} == set(
        HoldReason
    )


def test_every_kind_is_in_the_table_but_those_that_plan_does_not_make():
    made = {kind for _, _, _, _, kind, _, _ in (row.values for row in ROWS) if kind}
    assert set(KINDS) - made == {"digest", "test", "flapping_ended"}


def test_a_reminder_that_came_with_the_digest_comes_with_each_one():
    limited, notified = folded(WORSE_FIRST), notified_after(WORSE_FIRST, at=7 * DAY + 301, kind="reminder")
    decision = decide(limited, notified, Situation(minute(7 * DAY + 302), digest=MONDAYS), POLICY)
    assert decision.due_at == minute(14 * DAY + 300)


@pytest.mark.parametrize(
    ("last", "following"),
    [
        pytest.param("2026-03-23T08:00", "2026-03-30T07:00", id="over the change to summer"),
        pytest.param("2026-10-19T07:00", "2026-10-26T08:00", id="over the change to winter"),
    ],
)
def test_a_digest_is_a_week_of_the_calendar_after_the_last_one(last, following):
    digest = Weekly(("mon",), time(9), time(9), "Europe/Berlin")
    said_at = datetime.fromisoformat(last).replace(tzinfo=UTC) + timedelta(minutes=3)
    notified = NotificationState(status="LIMITED", reasons=("141006",), affected=1, at=said_at)
    decision = decide(folded(WORSE_FIRST), notified, Situation(said_at, digest=digest), POLICY)
    assert decision.due_at == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_the_end_of_flapping_is_told_with_the_real_status():
    calm = msgspec.structs.replace(folded(*flapping(5)), flapping_since=None)
    notified = notified_after(*flapping(5), kind="flapping")
    assert decide(calm, notified, Situation(minute(99)), POLICY).kind == "flapping_ended"
    after = record_sent(calm, notified, "flapping_ended", minute(99), {})
    assert (after.flapping, after.status) == (False, "BLOCKED")


def test_what_gets_worse_than_all_that_flapped_is_told_once():
    wobble = [moved("a", n, *("AL" if n % 2 else "LA"), n) for n in range(1, 6)]
    notified = notified_after(*wobble, kind="flapping")
    blocked = folded(*wobble, moved("a", 6, "L", "B", 7))
    assert decide(blocked, notified, Situation(minute(8)), POLICY).kind == "escalated"
    after = record_sent(blocked, notified, "escalated", minute(8), {})
    assert decide(blocked, after, Situation(minute(9)), POLICY).why == "flapping"
