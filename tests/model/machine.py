"""Random histories: everything that may happen to a deployment, in any order."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.application.conftest import fresh_store
from tests.model.destination import MODES
from tests.model.quiet import calm_down, recover
from tests.model.system import OneLaneAtATime
from tests.model.world import DESTINATIONS, ENTITIES, NUMBERS, NotifyContext
from wabawatch.domain.health import Reason
from wabawatch.domain.policy import Flapping, MassFailure, Policy, Retry, Thresholds
from wabawatch.domain.routing import Route
from wabawatch.domain.silence import Matcher

STATUSES = ("AVAILABLE", "AVAILABLE", "LIMITED", "BLOCKED", "BLOCKED", "PAUSED")
CAUSES = ("timeout", "unauthorized", "disabled")
SMALL = {
    "wabawatch.domain.incident.INLINE_MEMBERS": 3,
    "wabawatch.domain.correlation.INLINE_MEMBERS": 3,
    "wabawatch.application.correlate.INLINE_MEMBERS": 3,
    "wabawatch.application.correlate._READ_AT_ONCE": 4,
    "wabawatch.application.poll._SLICE": 2,
    "wabawatch.application.commit_batch._FLUSH_AT": 2,
    "wabawatch.application.review._PAGE": 2,
    "wabawatch.application.notify._DUE_AT_ONCE": 3,
    "wabawatch.application.unit_of_work._SAVED_AT_ONCE": 2,
    "wabawatch.application.dispatch.Deliverer": OneLaneAtATime,
}
"""Limits so low that a small fleet reaches them; and deliveries in a fixed order."""
COUNTS = st.integers(1, 3)
POLICIES = st.builds(
    Policy,
    thresholds=st.builds(Thresholds, COUNTS, COUNTS, COUNTS, COUNTS),
    group_wait=st.sampled_from([timedelta(0), timedelta(seconds=10), timedelta(minutes=2)]),
    group_interval=st.sampled_from([timedelta(0), timedelta(minutes=5)]),
    reasons_interval=st.sampled_from([timedelta(0), timedelta(hours=1)]),
    retry=st.builds(
        Retry,
        first=st.just(timedelta(seconds=10)),
        most=st.just(timedelta(minutes=10)),
        give_up_after=st.just(timedelta(hours=2)),
    ),
    flapping=st.sampled_from([Flapping(99, 0), Flapping(4, 1, timedelta(minutes=30))]),
    mass_failure=st.just(MassFailure(0.5, 2)),
    digest_over=st.sampled_from([1, 3, 50]),
)
ROUTES = st.sampled_from(
    [
        (),
        (Route(("ops",)),),
        (Route(("team",)),),
        (Route(DESTINATIONS),),
        (Route(("ops",)), Route(("team",), Matcher(status=("BLOCKED",)))),
        (Route(("ops",), Matcher(status=("BLOCKED", "UNKNOWN")), stop=True), Route(("team", "boss"))),
        (Route(("team",), Matcher(target=("n0", "n3"))), Route(("ops",), Matcher(entity=("b0", "app")))),
    ]
)
numbers = st.sampled_from(NUMBERS)
entities = st.sampled_from(ENTITIES)
places = st.sampled_from(DESTINATIONS)
shards = st.integers(0, 2)
TOTALS = {"runs": 0, "steps": 0}


class Machine(RuleBasedStateMachine):
    """One history beside the real system, on the store that `store_kind` names."""

    store_kind = "sqlite"

    def __init__(self):
        super().__init__()
        self.resources = ExitStack()
        for name, value in SMALL.items():
            self.resources.enter_context(mock.patch(name, value))
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.store = self.resources.enter_context(fresh_store(self.store_kind, Path(folder)))
        self.world = None
        TOTALS["runs"] += 1

    @initialize(policy=POLICIES, routes=ROUTES, windows=st.booleans())
    def begin(self, policy, routes, windows):
        self.world = NotifyContext(self.store, policy, routes, windows)
        self.cycle(1)

    def teardown(self):
        try:
            if self.world is not None and not getattr(self, "has_failed", False):
                calm_down(self.world)
                recover(self.world)
        finally:
            self.resources.close()

    @invariant()
    def look(self):
        TOTALS["steps"] += 1
        if self.world is not None:
            self.world.look()

    # --- passes and rounds

    @rule(minutes=st.sampled_from([1, 1, 5, 20]))
    def cycle(self, minutes):
        self.world.wait(minutes=minutes)
        self.world.poll()
        self.world.notify()

    @rule(minutes=st.sampled_from([1, 5]), times=st.integers(2, 4))
    def cycles(self, minutes, times):
        for _ in range(times):
            self.cycle(minutes)
            self.world.look()

    @rule(shard=shards, seconds=st.sampled_from([0, 30]))
    def poll_a_shard(self, shard, seconds):
        self.world.wait(seconds=seconds)
        self.world.poll(shard)

    @rule(shard=shards, seconds=st.sampled_from([0, 1]))
    def poll_overlapping(self, shard, seconds):
        self.world.wait(minutes=1)
        self.world.poll_overlapping(shard, seconds)

    @rule(shard=shards, answers=st.integers(0, 6))
    def begin_slow_pass(self, shard, answers):
        self.world.wait(seconds=10)
        self.world.begin_slow_pass(shard, answers)

    @precondition(lambda self: self.world and self.world.slow)
    @rule()
    def end_slow_pass(self):
        self.world.end_slow_pass()

    @rule(shard=shards, answers=st.integers(0, 6), numbers=st.sets(numbers, min_size=1))
    def remove_during_a_slow_pass(self, shard, answers, numbers):
        self.world.begin_slow_pass(shard, answers)
        self.world.watch(numbers)
        self.cycle(1)
        self.world.end_slow_pass()

    @rule(seconds=st.sampled_from([0, 15, 400]), complete=st.booleans())
    def notify(self, seconds, complete):
        self.world.wait(seconds=seconds)
        self.world.notify(complete=complete)

    @rule(name=places)
    def notify_overtaken(self, name):
        self.world.notify_overtaken(name)

    @rule(name=places)
    def notify_beside(self, name):
        self.world.notify_beside(name)

    @rule(effects=st.integers(1, 25), after=st.booleans())
    def die(self, effects, after):
        self.world.die(effects, after=after)

    # --- health

    @rule(name=entities, status=st.sampled_from(STATUSES), variant=st.integers(0, 1))
    def turn(self, name, status, variant):
        self.world.turn(name, status, variant)

    @rule(name=entities, status=st.sampled_from(["LIMITED", "BLOCKED"]))
    def turn_bad_and_be_seen(self, name, status):
        self.world.turn(name, status)
        self.cycle(1)

    @rule()
    def recover_and_be_seen(self):
        self.world.statuses.clear()
        for _ in range(self.world.policy.thresholds.available):
            self.cycle(1)

    @rule(number=numbers, cause=st.sampled_from(CAUSES))
    def lose(self, number, cause):
        self.world.unread[number] = cause

    @rule(but=numbers)
    def lose_most(self, but):
        self.world.unread = {number: "timeout" for number in NUMBERS if number != but}

    @rule()
    def read_all(self):
        self.world.unread = {}

    # --- time

    @rule(minutes=st.sampled_from([45, 180]))
    def jump_ahead(self, minutes):
        self.world.jump(minutes)

    @rule(minutes=st.sampled_from([1, 20, 90]))
    def jump_back(self, minutes):
        self.world.jump(-minutes)

    @rule(hours=st.integers(1, 4))
    def wait(self, hours):
        self.world.wait(hours=hours)

    # --- destinations

    @rule(name=places, mode=st.sampled_from(MODES), refused=st.sets(entities, min_size=1, max_size=2))
    def behave(self, name, mode, refused):
        self.world.all[name].mode = mode
        self.world.all[name].refused = frozenset(refused)

    @rule(names=st.lists(places, min_size=1, unique=True))
    def configure(self, names):
        self.world.configure(names)

    @rule(routes=ROUTES)
    def reroute(self, routes):
        self.world.reroute(routes)

    # --- the configuration

    @rule(numbers=st.sets(numbers, min_size=1))
    def watch(self, numbers):
        self.world.watch(numbers)

    @rule()
    def watch_all(self):
        self.world.watch(NUMBERS)

    @rule(shards=st.integers(1, 3))
    def divide(self, shards):
        self.world.shards = shards

    @rule(is_bad=st.booleans())
    def configuration(self, is_bad):
        self.world.trouble = Reason(description="configuration", detail="line 3") if is_bad else None

    # --- people

    @rule(entity=st.sampled_from([None, "b0", "n0", "app"]), minutes=st.sampled_from([10, 60, 600]))
    def silence(self, entity, minutes):
        self.world.silence(entity, minutes)

    @precondition(lambda self: self.world and self.world.silences)
    @rule()
    def end_silence(self):
        self.world.end_silence()

    @rule(position=st.integers(0, 5))
    def acknowledge(self, position):
        self.world.acknowledge(position)

    @rule()
    def calm_down(self):
        calm_down(self.world)
