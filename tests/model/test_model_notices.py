"""Where the program is broken on purpose the model notices, by a story and by its random histories."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import timedelta
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.application.conftest import aws, fresh_store  # noqa: F401 - a fixture
from tests.model.machine import SMALL, Machine
from tests.model.quiet import calm_down, recover
from tests.model.world import NotifyContext
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.domain.health import Reason
from wabawatch.domain.policy import MassFailure, Policy, Thresholds
from wabawatch.domain.routing import Route, Rules
from wabawatch.domain.silence import matches
from wabawatch.errors import StoreError

PROVE = bool(os.environ.get("WABAWATCH_PROVE"))
MOST_RUNS = 3000
POLICY = Policy(thresholds=Thresholds(1, 1, 1, 1), mass_failure=MassFailure(0.5, 2), digest_over=3)


def by_opening(store, keys):
    """The latest incident of a key is the one that began last."""
    found = {}
    for one in sorted(store.incidents(10_000), key=lambda one: one.opened_at):
        found[one.key] = one
    return {key: found[key] for key in keys if key in found}


def with_every_route(rules, facts):
    """A route that leads only to the dead destination counts like any other."""
    taken = []
    for route in rules.routes:
        if matches(route.match, facts):
            taken.append(route)
            if route.stop:
                break
    return tuple(taken)


def at_both_ends(rules, incident, facts, silences):
    """What is muted when it begins and when it ends counts as muted all the time."""
    if incident.resolved_at is None:
        return False
    return all(rules.find_mute(facts, silences, at) is not None for at in (incident.confirmed_at, incident.resolved_at))


def clock_goes_back(world):
    """A trouble opens and ends; the clock is set back; the next one began earlier."""
    for is_bad in (True, False):
        world.trouble = Reason(description="configuration", detail="line 3") if is_bad else None
        cycle(world, 5)
    world.jump(-90)
    world.trouble = Reason(description="configuration", detail="line 3")
    cycle(world, 1)


def digest_is_refused(world):
    world.all["ops"].mode = "refuses digests"
    for name in ("n0", "n1", "n2", "n3", "b1"):
        world.turn(name, "BLOCKED")
    cycle(world, 1)


def destination_dies(world):
    world.reroute((Route(("ops",)),))
    world.all["ops"].mode = "is dead"
    world.turn("n0", "BLOCKED")
    cycle(world, 1)


def problem_lies_between_two_mutes(world):
    world.all["team"].mode = "fails"
    world.silence(None, 10)
    world.turn("n0", "BLOCKED")
    cycle(world, 5)
    world.wait(minutes=30)
    world.silence(None, 10)
    world.turn("n0", "AVAILABLE")
    cycle(world, 5)


def removed_target_is_brought_back(world):
    world.turn("n5", "BLOCKED")
    world.begin_slow_pass(0, 1)
    world.watch(["n0", "n1"])
    cycle(world, 1)
    world.end_slow_pass()
    cycle(world, 1)


MUTATIONS = {
    "the latest incident is the one that began last": (SqliteStore, "latest_incidents", by_opening, clock_goes_back),
    "a refused digest is never halved": (
        "wabawatch.application.backoff.Backoff", "record_refused_digest", lambda *_: None, digest_is_refused,
    ),
    "nobody hears that a destination is dead": (Rules, "matching_routes", with_every_route, destination_dies),
    "muted at both ends is muted throughout": (
        Rules, "_is_muted_throughout", at_both_ends, problem_lies_between_two_mutes,
    ),
    "a removal is not repeated": (
        "wabawatch.application.config_reload", "_LONGEST_PASS", timedelta(days=999), removed_target_is_brought_back,
    ),
}  # fmt: skip


def cycle(world, minutes):
    world.wait(minutes=minutes)
    world.poll()
    world.notify()
    world.look()


def play(stories, folder, kind="sqlite"):
    """Play stories beside the model, to their calm end."""
    with ExitStack() as resources:
        for name, value in SMALL.items():
            resources.enter_context(mock.patch(name, value))
        world = NotifyContext(resources.enter_context(fresh_store(kind, folder)), POLICY)
        cycle(world, 1)
        for story in stories:
            story(world)
        calm_down(world)
        recover(world)


def broken(place, name, value):
    return mock.patch(f"{place}.{name}", value) if isinstance(place, str) else mock.patch.object(place, name, value)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_story_ends_well_in_the_program_as_it_is(mutation, tmp_path):
    play([MUTATIONS[mutation][-1]], tmp_path)


def test_all_stories_after_each_other_end_well_on_a_table(tmp_path, aws):  # noqa: ARG001, F811
    play([story for *_, story in MUTATIONS.values()], tmp_path, "dynamodb")


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_story_shows_what_is_broken(mutation, tmp_path):
    *where, story = MUTATIONS[mutation]
    with broken(*where), pytest.raises((AssertionError, StoreError)):
        play([story], tmp_path)


@pytest.mark.skipif(not PROVE, reason="takes long; run with WABAWATCH_PROVE=1")
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_random_histories_find_what_is_broken(mutation):
    *where, _ = MUTATIONS[mutation]
    runs = []

    class Counted(Machine):
        def __init__(self):
            super().__init__()
            runs.append(self)

    bounds = settings(
        max_examples=MOST_RUNS,
        stateful_step_count=60,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with broken(*where), pytest.raises((AssertionError, StoreError)) as found:
        run_state_machine_as_test(Counted, settings=bounds)
    print(f"model: {mutation}: found in run {len(runs)}: {found.value!r:.200}")  # noqa: T201 - for who proves
