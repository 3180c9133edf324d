"""Who is told nothing now is told nothing until the time that the decision names, and is looked at again then."""

from datetime import time, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit.domain.builders import PAYMENT, VERIFICATION, minute, moved
from tests.unit.domain.incidents import FLEET, folded, involved
from wabawatch.domain.correlation import end_flapping
from wabawatch.domain.decision import decide
from wabawatch.domain.health import READABLE, Reason
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import record_sent
from wabawatch.domain.policy import WEEKDAYS, Flapping, Policy, Weekly
from wabawatch.domain.routing import OperatorActions, Route, Rules, Window
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence

DAY, WEEK = 24 * 60, 7 * 24 * 60
REASONS = [(), (PAYMENT,), (VERIFICATION,), (PAYMENT, VERIFICATION), (Reason(description="disabled"),)]

instants = st.one_of(st.integers(-5, 90), st.integers(-5, 3 * DAY), st.integers(0, 3 * WEEK))
lengths = st.one_of(st.integers(1, 90), st.integers(1, 2 * DAY), st.sampled_from([WEEK, 10 * DAY])).map(
    lambda length: timedelta(minutes=length)
)
waits = st.lists(lengths, min_size=1, max_size=3).map(tuple)
moves = st.tuples(
    st.sampled_from("aab"),
    st.sampled_from(["A", "A", "L", "B", "UNKNOWN"]),
    st.sampled_from(REASONS),
    st.integers(0, 9),
)
weeklies = st.builds(
    Weekly,
    st.sampled_from([WEEKDAYS, ("mon",), ("sat", "sun")]),
    st.builds(time, st.integers(0, 23), st.sampled_from([0, 30])),
    st.builds(time, st.integers(0, 23), st.sampled_from([0, 30])),
    st.sampled_from(["UTC", "Europe/Berlin"]),
)
matchers = st.sampled_from([Matcher(), Matcher(status=("LIMITED",)), Matcher(target=("a",))])
policies = st.builds(
    Policy,
    group_wait=lengths,
    group_interval=lengths,
    reasons_interval=lengths,
    reminders=st.fixed_dictionaries({"blocked": waits, "limited": waits, "unknown": waits}),
    flapping=st.builds(Flapping, st.integers(3, 6), st.integers(0, 2), lengths),
)
silences = st.builds(
    lambda match, start, length: Silence("s", match, "ana", "work", minute(start), minute(start) + length),
    matchers,
    instants,
    lengths,
)
rules = st.builds(
    Rules,
    policy=policies,
    routes=st.lists(st.builds(Route, st.just(("ops",)), matchers, st.booleans(), st.none() | weeklies), max_size=2).map(
        tuple
    ),
    windows=st.lists(st.builds(Window, st.just("w"), weeklies, matchers), max_size=2).map(tuple),
    digest=st.none() | weeklies,
)


@st.composite
def stories(draw):
    """An incident after some transitions, and the ledger's line of a destination that was told after some of them."""
    capability, notified, now, latest, status, seqs = (
        draw(st.sampled_from(["can_send_message", READABLE])),
        NotificationState(),
        0,
        [],
        {},
        {},
    )
    for target, new, reasons, gap in draw(st.lists(moves, min_size=2, max_size=14)):
        now += gap
        seqs[target] = seqs.get(target, 0) + 1
        move = moved(target, seqs[target], status.get(target, "A"), new, now, capability=capability, reasons=reasons)
        status[target] = new
        latest.append(move)
        incident = folded(*latest)
        if incident is not None and draw(st.booleans()):
            kind = draw(st.sampled_from(["opened", "reminder", "spread", "flapping"]))
            notified = record_sent(incident, notified, kind, minute(now + draw(st.integers(0, 9))), {})
    return folded(*latest), notified, now


@st.composite
def worlds(draw):
    """Everything that decides about one destination, but the time; and a first time to look."""
    chosen = draw(rules)
    incident, notified, last = draw(stories())
    if incident is None:
        return None
    acknowledgement = Acknowledgement(
        incident.id, "ana", minute(draw(instants)), "BLOCKED", draw(st.none() | instants.map(minute))
    )
    steering = OperatorActions(
        tuple(draw(st.lists(silences, max_size=3))),
        draw(st.sampled_from([{}, {incident.id: acknowledgement}])),
    )
    options = {
        "mass_failure": draw(st.booleans()),
        "paused_until": draw(st.none() | instants.map(minute)),
        "retry_at": draw(st.none() | instants.map(minute)),
        "known_since": draw(st.none() | instants.map(minute)),
    }

    def decide_at(at):
        settled = end_flapping(incident, at, chosen.policy.flapping)
        facts = chosen.build_facts(settled, involved(settled), FLEET)
        case = chosen.case(settled, "ops", notified, steering, at, facts=facts, **options)
        return decide(settled, notified, case.situation, chosen.policy)

    return decide_at, minute(last + draw(instants))


@settings(max_examples=400, deadline=None)
@given(worlds(), st.lists(st.integers(0, 999), min_size=1, max_size=6))
def test_nothing_is_said_before_the_time_at_which_it_is_looked_at_again(world, thousandths):
    if world is None:
        return
    decide, at = world
    decision = decide(at)
    event(decision.kind or decision.why.split(":")[0])
    if decision.kind is not None:
        return
    if decision.due_at is not None:
        assert decision.due_at > at
        assert decide(decision.due_at).due_at != decision.due_at
    end = decision.due_at or at + timedelta(days=90)
    for between in [*(at + (end - at) * share // 1000 for share in thousandths), end - timedelta(microseconds=1)]:
        assert decide(between).kind is None
