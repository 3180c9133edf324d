"""What holds of detect for every sequence of observations."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.domain.builders import PAYMENT, SIP, T0, VERIFICATION
from wabawatch.domain.detection import detect
from wabawatch.domain.health import CALLING, MESSAGING, READABLE, Entity, Failure, Observation, Report, rank
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import Snapshot

STATUSES = st.sampled_from(["AVAILABLE", "AVAILABLE", "LIMITED", "BLOCKED", "PAUSED"])
REASONS = st.lists(st.sampled_from([PAYMENT, VERIFICATION, SIP]), max_size=3).map(tuple)
NAMES = [("PHONE_NUMBER", "1"), ("WABA", "w"), ("BUSINESS", "b"), ("FLOW", "f")]


@st.composite
def reports(draw):
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    capabilities = st.dictionaries(st.sampled_from([MESSAGING, CALLING]), STATUSES)
    entities = tuple(Entity(*name, draw(capabilities), draw(REASONS)) for name in names)
    return Report(entities, draw(st.dictionaries(st.just(MESSAGING), STATUSES)))


FAILURES = st.sampled_from(["timeout", "unauthorized", "disabled"]).map(Failure)
COUNTS = st.integers(1, 3)
THRESHOLDS = st.builds(Thresholds, blocked=COUNTS, limited=COUNTS, available=COUNTS, unknown=COUNTS)


@st.composite
def stories(draw):
    """Observations in order of time; many stay as they were."""
    outcomes = draw(st.lists(st.tuples(reports() | FAILURES, st.integers(1, 4)), max_size=12))
    repeated = [outcome for outcome, times in outcomes for _ in range(times)]
    return [Observation("t", T0 + timedelta(minutes=n), outcome) for n, outcome in enumerate(repeated)]


def steps(observations, thresholds):
    snapshot = Snapshot("t")
    for observation in observations:
        found = detect(snapshot, observation, thresholds)
        yield snapshot, observation, found
        snapshot = found.snapshot


@given(stories(), THRESHOLDS)
def test_the_same_observation_twice_is_no_second_transition(observations, thresholds):
    for _, observation, found in steps(observations, thresholds):
        again = detect(found.snapshot, observation, thresholds)
        assert (again.snapshot is found.snapshot, again.transitions) == (True, ())


@given(stories(), THRESHOLDS)
def test_sequence_numbers_have_no_gaps_and_versions_count_writes(observations, thresholds):
    numbers, version = [], 0
    for before, _, found in steps(observations, thresholds):
        numbers += [transition.seq for transition in found.transitions]
        version += found.snapshot is not before
        assert (found.snapshot.seq, found.snapshot.version) == (len(numbers), version)
        assert not found.transitions or found.snapshot is not before
    assert numbers == list(range(1, len(numbers) + 1))


@given(stories(), THRESHOLDS)
def test_each_transition_begins_where_the_last_one_ended(observations, thresholds):
    known = {}
    for _, _, found in steps(observations, thresholds):
        for transition in found.transitions:
            first = "AVAILABLE" if transition.capability == READABLE else None
            expected = known.get(transition.key, first)
            assert transition.old == expected or (expected is None and transition.old == "AVAILABLE")
            known[transition.key] = None if transition.new == "GONE" else transition.new


@given(stories(), THRESHOLDS)
def test_problems_and_health_alternate(observations, thresholds):
    bad = {}
    for _, _, found in steps(observations, thresholds):
        for transition in found.transitions:
            opens = rank(transition.old or "AVAILABLE") == 0 < rank(transition.new)
            closes = rank(transition.new) == 0 < rank(transition.old or "")
            assert not (opens and bad.get(transition.key))
            assert not (closes and not bad.get(transition.key))
            bad[transition.key] = rank(transition.new) > 0


@given(stories(), THRESHOLDS)
def test_the_snapshot_is_what_its_transitions_lead_to(observations, thresholds):
    """The unhealthy states of the last snapshot are those of the last transitions: none is lost."""
    notified, snapshot = {}, Snapshot("t")
    for _, _, found in steps(observations, thresholds):
        snapshot = found.snapshot
        notified |= {transition.key: transition for transition in found.transitions}
    bad = {state.key: state for state in snapshot.states if state.status and rank(state.status) > 0}
    assert bad.keys() == {key for key, transition in notified.items() if rank(transition.new) > 0}
    for key, state in bad.items():
        assert (state.status, state.reasons, state.caused_by) == (
            notified[key].new,
            notified[key].reasons,
            notified[key].caused_by,
        )


@given(stories(), THRESHOLDS, reports() | FAILURES)
def test_what_stays_as_it_is_is_written_no_more(observations, thresholds, outcome):
    at = T0 + timedelta(hours=10)
    steady = [Observation("t", at + timedelta(minutes=n), outcome) for n in range(12)]
    found = [found for _, _, found in steps([*observations, *steady], thresholds)][-4:]
    assert len({one.snapshot.version for one in found}) == 1


@given(stories(), THRESHOLDS, st.data())
def test_failures_in_between_change_nothing_of_what_is_known(observations, thresholds, data):
    reported = [one for one in observations if isinstance(one.outcome, Report)]
    mixed = [one for report in reported for one in (report, *_failures(report, data.draw(st.integers(0, 3))))]
    assert _health(reported, thresholds) == _health(mixed, thresholds)


def _failures(report, count):
    times = (report.observed_at + timedelta(seconds=n) for n in range(1, count + 1))
    return [Observation("t", at, Failure("timeout")) for at in times]


def _health(observations, thresholds):
    transitions = [transition for _, _, found in steps(observations, thresholds) for transition in found.transitions]
    return [
        msgspec.structs.replace(transition, seq=0) for transition in transitions if transition.capability != READABLE
    ]


@settings(max_examples=50)
@given(stories(), THRESHOLDS)
def test_a_streak_is_never_longer_than_the_longest_threshold(observations, thresholds):
    for _, _, found in steps(observations, thresholds):
        assert all(len(state.streak) <= thresholds.longest for state in found.snapshot.states)
