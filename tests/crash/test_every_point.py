"""Killed at every single effect, on both sides of it: the outcome is that of a process that was never killed."""

import os
from dataclasses import dataclass

import pytest

from tests.application.conftest import Stage, aws, fresh_store  # noqa: F401 - a fixture
from tests.application.fakes import FakeNotifier, KilledError, targets
from tests.crash.killable_store import Fate, MortalNotifier, MortalStore
from tests.crash.scenarios import NOTIFY, POLL, STORIES

EVERY = bool(os.environ.get("WABAWATCH_PROVE"))
"""Whether every point is tried, as `make prove` does; else a part of them."""
STEPS = {"sqlite": 1 if EVERY else 3, "dynamodb": 1 if EVERY else 53}
"""Every how many-th point is tried; primes, so that both sides and all kinds of effects come up."""
STILL = 6
"""Passes after a story, in which nothing changes any more."""


@dataclass
class Outcome:
    """What is left of a story."""

    incidents: list
    statuses: dict
    history: list
    taken: dict
    pending: int
    queued: int
    fate: Fate


def play(kind, folder, name, fate):
    """Play a story with a process that is killed once, and started again a minute later."""
    steps, size = STORIES[name]
    with fresh_store(kind, folder) as store:
        stage = Stage(MortalStore(store, fate), fleet=targets(*(f"n{number}" for number in range(1, size + 1))))
        stage.fakes = {"ops": FakeNotifier()}
        for step in [*steps(), *([POLL, NOTIFY] * STILL)]:
            do(stage, step, fate)
        return Outcome(
            sorted((one.key, one.generation, one.status, one.counts, one.recovered) for one in store.incidents(1000)),
            {one.target: sorted((*state.key, state.status) for state in one.states) for one in store.every_snapshot()},
            [(one.target, one.seq) for one in store.history(limit=10_000)],
            {name: fake.taken for name, fake in stage.fakes.items()},
            len(store.pending(1000)),
            len(store.queued()),
            fate,
        )


def do(stage, step, fate):
    stage.destinations = {name: MortalNotifier(fake, fate) for name, fake in stage.fakes.items()}
    if callable(step):
        step(stage)
        return
    work = {POLL: poll, NOTIFY: lambda stage: stage.notify(complete=True), "forget": Stage.forget}[step]
    while is_killed(work, stage):
        fate.restart()
        stage.clock.advance(seconds=61)


def is_killed(work, stage):
    try:
        work(stage)
    except KilledError:
        return True
    return False


def poll(stage):
    stage.clock.advance(minutes=1)
    stage.poll()


def meanings(notifications):
    """What people were told: of which incidents, and what."""
    return sorted(
        {(one.kind, tuple(sorted((each.incident_id, each.new) for each in one.subjects))) for one in notifications}
    )


def points(kind, name, tmp_path_factory):
    undisturbed = play(kind, tmp_path_factory.mktemp("undisturbed"), name, Fate())
    return undisturbed, range(1, 2 * undisturbed.fate.effects + 1, STEPS[kind])


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("name", STORIES)
def test_killed_at_any_effect_the_outcome_is_the_same(kind, name, tmp_path_factory, record_property, aws):  # noqa: ARG001, F811
    undisturbed, numbers = points(kind, name, tmp_path_factory)
    folder = tmp_path_factory.mktemp("killed")
    tried = 0
    for number in numbers:
        fate = Fate((number + 1) // 2, after=number % 2 == 0)
        found = play(kind, folder, name, fate)
        where = f"{'after' if fate.after else 'before'} effect {fate.at} ({fate.names[fate.at - 1]})"
        assert fate.deaths == 1, where
        assert (found.pending, found.queued) == (0, 0), where
        assert found.incidents == undisturbed.incidents, where
        assert found.statuses == undisturbed.statuses, where
        assert len(found.history) == len(set(found.history)), where
        assert sorted(found.history) == sorted(undisturbed.history), where
        for destination, taken in undisturbed.taken.items():
            assert meanings(found.taken[destination]) == meanings(taken), where
            ids = [one.id for one in found.taken[destination]]
            assert len(set(ids)) == len({one.id for one in taken}), where
            assert len(ids) - len(set(ids)) <= 1, where
        tried += 1
    record_property("proved", ("crash points", tried))
    assert tried
