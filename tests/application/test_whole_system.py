"""Random histories through both use cases, under random rules: at the end everybody's last word is the truth."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.application.conftest import Stage, fresh_store
from tests.application.fakes import Dying, FakeClock, FakeNotifier, KilledError, targets
from wabawatch.application.errors import DeliveryError, DeliveryErrorKind
from wabawatch.domain.health import AVAILABLE, MESSAGING, READABLE, UNKNOWN, Entity, Failure, Reason, Report
from wabawatch.domain.policy import Flapping, Policy, Retry, Thresholds
from wabawatch.domain.routing import Route
from wabawatch.domain.rules import Rules
from wabawatch.domain.steering import Acknowledgement, Matcher, Silence

NUMBERS = ("n0", "n1", "n2", "n3")
OWNER = {"n0": "b0", "n1": "b0", "n2": "b1", "n3": "b1"}
STATUSES = ("AVAILABLE", "LIMITED", "BLOCKED", "PAUSED")
DESTINATIONS = ("ops", "team")
SILENCED = ("everything", "b0", "n2")
CALLS = ("commit", "save_incidents", "mark_folded", "save_document", "pending")
"""Before and after which a process is killed."""


class World:
    """What is true, and what the monitor does about it."""

    def __init__(self, store, policy, routes):
        self.stage = Stage(
            store,
            FakeClock(),
            targets(*NUMBERS),
            {name: FakeNotifier() for name in DESTINATIONS},
            policy,
            Rules(policy, routes, version="1"),
        )
        self.all = dict(self.stage.destinations)
        self.statuses = {}
        self.unread = {}
        self.silences = []
        self.rounds = 0
        self.stage.source.readings = dict.fromkeys(NUMBERS, self.reading)

    def reading(self, number):
        if number in self.unread:
            return Failure(self.unread[number])
        kinds = {("PHONE_NUMBER", number): 141000, ("BUSINESS", OWNER[number]): 141010}
        return Report(tuple(self.entity(*key, code) for key, code in kinds.items()))

    def entity(self, kind, name, code):
        status, variant = self.statuses.get(name, (AVAILABLE, 0))
        reasons = () if status == AVAILABLE else (Reason(code + variant, "said by the API"),)
        return Entity(kind, name, {MESSAGING: status}, reasons)

    # What may happen.

    def turns(self, name, status, variant):
        self.statuses[name] = (status, variant)

    def cannot_be_read(self, number, cause):
        self.unread[number] = cause

    def can_be_read(self, number):
        self.unread.pop(number, None)

    def passes(self, minutes, times):
        for _ in range(times):
            self.stage.clock.advance(minutes=minutes)
            self.stage.poll()
            self.rounds += 1
            self.stage.notify(complete=True)

    def only_looks(self, seconds):
        self.stage.clock.advance(seconds=seconds)
        self.stage.notify()

    def is_killed(self, method, calls, after):
        dying = Dying(self.stage.store, method, calls, after=after)
        self.stage.clock.advance(minutes=3)
        with contextlib.suppress(KilledError):
            self.stage.poll(store=dying)
            self.stage.notify(store=dying, complete=True, owner=f"killed-{self.stage.passes}")
        self.stage.clock.advance(minutes=3)  # its lease is over

    def clock_goes_back(self, minutes):
        self.stage.clock.advance(minutes=-minutes)

    def fails(self, name, lasting):
        kind = DeliveryErrorKind.DESTINATION if lasting else DeliveryErrorKind.PASSING
        self.all[name].always = DeliveryError("no", kind)

    def works(self, name):
        self.all[name].always = None

    def is_silenced(self, what, minutes):
        now = self.stage.clock.now()
        match = Matcher() if what == "everything" else Matcher(entity=(what,))
        silence = Silence(f"s{len(self.silences)}", match, "ana", "planned", now, now + timedelta(minutes=minutes))
        self.silences.append(silence)
        self.stage.store.save_silence(silence)

    def is_acknowledged(self, position):
        found = [one for one in self.stage.store.open_incidents() if one.is_open]
        if found:
            one = found[position % len(found)]
            said = Acknowledgement(one.id, "ana", self.stage.clock.now(), one.status)
            self.stage.store.save_acknowledgement(said)

    def is_configured(self, names):
        self.stage.destinations = {name: self.all[name] for name in names}
        self.stage.ruled()

    def is_watched(self, numbers):
        self.stage.fleet = targets(*numbers)
        self.stage.forget()
        self.stage.ruled()

    def settles(self):
        """Everything works again, but for one number that cannot be read, and enough time goes by: for the longest
        back-off, flapping window, and interval."""
        for one in self.all.values():
            one.always = None
        self.unread = dict(list(self.unread.items())[:1])
        self.is_watched(NUMBERS)
        self.is_configured(DESTINATIONS)
        for minutes in [5] * 15 + [60] * 30:
            self.passes(minutes, 1)

    # What must be so.

    def truth(self):
        """The status of everything that can be known now, by (entity type, entity id, capability)."""
        known = {
            **{("PHONE_NUMBER", number, MESSAGING): number for number in NUMBERS if number not in self.unread},
            **{("BUSINESS", OWNER[number], MESSAGING): OWNER[number] for number in NUMBERS},
        }
        for number in self.unread:  # its part in its business stays as it was last seen
            del known["BUSINESS", OWNER[number], MESSAGING]
        health = {key: self.statuses.get(name, (AVAILABLE, 0))[0] for key, name in known.items()}
        return health | {("TARGET", name, READABLE): UNKNOWN if name in self.unread else AVAILABLE for name in NUMBERS}

    def is_muted(self, key):
        now = self.stage.clock.now()
        holding = (one.match for one in self.silences if one.starts_at <= now < one.ends_at)
        return any(not match.entity or key[1] in match.entity for match in holding)

    def is_due(self, name, status):
        for route in self.stage.rules.routes:
            if not route.match.status or status in route.match.status:
                if name in route.to:
                    return True
                if route.stop:
                    return False
        return not self.stage.rules.routes


def words(notifier):
    """What one destination heard, in order: (notification id, kind, subject)."""
    return [(one.id, one.kind, subject) for one in notifier.taken for subject in one.subjects]


def last_words(notifier):
    """By incident, the status that it was last told of."""
    return {said.incident_id: AVAILABLE if said.resolved_at else said.new for _, _, said in words(notifier)}


names = st.sampled_from([*NUMBERS, "b0", "b1"])
numbers = st.sampled_from(NUMBERS)
places = st.sampled_from(DESTINATIONS)
STEPS = st.one_of(
    st.tuples(st.just("turns"), names, st.sampled_from(STATUSES), st.integers(0, 1)),
    st.tuples(st.just("turns"), names, st.sampled_from(STATUSES), st.integers(0, 1)),
    st.tuples(st.just("passes"), st.sampled_from([1, 5, 30]), st.integers(1, 4)),
    st.tuples(st.just("passes"), st.sampled_from([1, 5, 30]), st.integers(1, 4)),
    st.tuples(st.just("cannot_be_read"), numbers, st.sampled_from(["timeout", "unauthorized", "disabled"])),
    st.tuples(st.just("can_be_read"), numbers),
    st.tuples(st.just("only_looks"), st.sampled_from([1, 15, 400])),
    st.tuples(st.just("is_killed"), st.sampled_from(CALLS), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("clock_goes_back"), st.sampled_from([1, 90])),
    st.tuples(st.just("fails"), places, st.booleans()),
    st.tuples(st.just("works"), places),
    st.tuples(st.just("is_silenced"), st.sampled_from(SILENCED), st.sampled_from([10, 120, 60 * 24 * 30])),
    st.tuples(st.just("is_acknowledged"), st.integers(0, 5)),
    st.tuples(st.just("is_configured"), st.lists(places, min_size=1, unique=True)),
    st.tuples(st.just("is_watched"), st.lists(numbers, min_size=1, unique=True)),
)
COUNTS = st.integers(1, 3)
POLICIES = st.builds(
    Policy,
    thresholds=st.builds(Thresholds, COUNTS, COUNTS, COUNTS, COUNTS),
    group_wait=st.sampled_from([timedelta(0), timedelta(seconds=10), timedelta(minutes=2)]),
    group_interval=st.sampled_from([timedelta(0), timedelta(minutes=5)]),
    reasons_interval=st.sampled_from([timedelta(0), timedelta(hours=1)]),
    retry=st.builds(Retry, first=st.just(timedelta(seconds=10)), most=st.just(timedelta(minutes=10))),
    flapping=st.builds(Flapping, st.integers(3, 6), st.integers(0, 2), st.just(timedelta(hours=1))),
    digest_over=st.sampled_from([1, 5]),
)
ROUTES = st.sampled_from(
    [
        (),
        (Route(DESTINATIONS),),
        (Route(("ops",)), Route(("team",), Matcher(status=("BLOCKED",)))),
        (Route(("ops",), Matcher(status=("BLOCKED", "UNKNOWN")), stop=True), Route(("team",))),
    ]
)


def lived(store, policy, routes, steps):
    world = World(store, policy, routes)
    for name, *given_ in steps:
        getattr(world, name)(*given_)
        event(name)
    world.settles()
    return world


def last_words_are_true(world):
    """Who was told of a trouble knows how it is now; who was not is on no route for it."""
    present = world.stage.store.latest_incidents(list(world.truth()))
    for name, notifier in world.all.items():
        heard = last_words(notifier)
        for key, status in world.truth().items():
            if world.is_muted(key):
                continue
            one = present.get(key)
            known = heard.pop(one.id, AVAILABLE) if one else AVAILABLE
            if known != status:
                assert known == AVAILABLE, (name, key, known, status)
                assert not world.is_due(name, status), (name, key, "was not told")
        over = [one for one in world.stage.store.incidents(100_000) if not one.is_open]
        for one in over:
            assert heard.get(one.id, AVAILABLE) == AVAILABLE or world.is_muted(one.key), (name, one.key)


def no_end_without_a_beginning(world):
    for notifier in world.all.values():
        told = set()
        for _, kind, said in words(notifier):
            assert kind != "resolved" or said.incident_id in told
            if said.resolved_at is None:
                told.add(said.incident_id)


def messages_are_bounded(world):
    """For each cause, no more news than there were transitions, twice over for what flaps and for rules that changed;
    and reminders no more often than the policy wants."""
    changes = {}
    for one in world.stage.store.history(limit=100_000):
        changes[one.key] = changes.get(one.key, 0) + 1
    for notifier in world.all.values():
        news = {}
        for notice, kind, said in words(notifier):
            if kind not in {"reminder", "digest"}:
                key = (said.entity_type, said.entity_id, said.capability)
                news.setdefault(key, set()).add(notice)
        for key, ids in news.items():
            if key in changes:
                assert len(ids) <= 2 * changes[key] + 2, key


def holds(world):
    last_words_are_true(world)
    no_end_without_a_beginning(world)
    messages_are_bounded(world)
    assert not world.stage.store.pending(1)


relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
histories = given(policy=POLICIES, routes=ROUTES, steps=st.lists(STEPS, min_size=6, max_size=30))


@settings(relaxed, max_examples=150)
@histories
def test_whatever_happens_the_last_word_is_the_truth(policy, routes, steps):
    with fresh_store("local", None) as store:
        holds(lived(store, policy, routes, steps))


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 12), ("dynamodb", 3)])
def test_on_every_store_the_last_word_is_the_truth(kind, examples, tmp_path, aws):  # noqa: ARG001 - tables need it
    @settings(relaxed, max_examples=examples)
    @histories
    def check(policy, routes, steps):
        with fresh_store(kind, tmp_path) as store:
            holds(lived(store, policy, routes, steps))

    check()
