"""How a history ends: what hindered people from hearing of things stops, and all becomes quiet."""

from datetime import timedelta

from tests.crash.killable_store import Fate
from tests.model import checks
from tests.model.world import DESTINATIONS, ENTITIES

MOST_ROUNDS = 30
"""Rounds of notify in a row after which it must have nothing more to do at once."""
LONG = (1, 1, 1, 5, 10, 30, 60, 240)
"""Minutes between passes: longer than any back-off, flapping window or interval, and than the clock was set back."""
SHORT = (1, 1, 1, 60, 60)
PATIENT = ("is dead", "refuses digests", "refuses some")
"""What a destination may go on with while the others must hear of everything."""


def calm_down(world):
    """Everything but destinations that are dead, or refuse messages, works again: the others hear of all that lasts.
    Then these work, too."""
    keep_still(world)
    if any(one.mode in PATIENT for one in world.all.values()):
        for destination in world.all.values():
            destination.has_said_that_it_is_dead = False
        pass_time(world, LONG)
        checks.everybody_hears_of_lasting_problems(world)
        checks.somebody_hears_of_dead_destinations(world)
    for destination in world.all.values():
        destination.mend()
    pass_time(world, LONG)
    become_quiet(world)
    checks.check_all(world)


def recover(world):
    """Everything is well: incidents end within a few passes, though a reading fails in between, and everybody who knew
    of one hears that it is over. A target that then can't be read for long is heard of, too."""
    for name in ENTITIES:
        world.turn(name, "AVAILABLE")
    lost = min(world.fleet)
    for unread in [{}, {lost: "timeout"}, *[{}] * (world.policy.thresholds.available + 1)]:
        world.unread = unread
        pass_time(world, [1])
    checks.nothing_stays_open(world)
    world.unread = {lost: "timeout"}
    pass_time(world, SHORT)
    become_quiet(world)
    checks.check_all(world)
    world.unread = {}
    pass_time(world, SHORT)
    become_quiet(world)
    checks.check_all(world)


def keep_still(world):
    """Whatever hinders is over, and what is true stays as it is."""
    world.fate = Fate()
    world.slow.clear()
    world.unread = {}
    world.trouble = None
    for destination in world.all.values():
        if destination.mode not in PATIENT:
            destination.mend()
    world.configure(DESTINATIONS)
    world.wait(seconds=61)  # the lease of a process that was killed
    ends = [silence.ends_at - world.clock.now() for silence in world.silences]
    world.wait(seconds=max([timedelta(0), *ends]).total_seconds())
    while world.windows and world.clock.now().hour in {11, 10, 9, 8, 7}:  # within this time LONG would meet one
        world.wait(minutes=60)


def pass_time(world, minutes):
    for length in minutes:
        world.wait(minutes=length)
        world.poll()
        notify_until_done(world)
        world.look()


def notify_until_done(world):
    for _ in range(MOST_ROUNDS):
        outcome = world.notify()
        if outcome is not None and outcome.worked and not outcome.more:
            return
    raise AssertionError("notify never has done all that can be done at once")


def become_quiet(world):
    """Nothing is left to be folded or delivered, and nothing but reminders is said any more."""
    assert not world.store.pending(10), "changes are left that are not folded"
    assert not world.store.queued(), "notifications are left that are not delivered"
    before = {name: len(one.taken) for name, one in world.all.items()}
    pass_time(world, [1, 1])
    for name, one in world.all.items():
        later = one.taken[before[name] :]
        kinds = {(each.kind, subject.old == subject.new) for each in later for subject in each.subjects}
        assert kinds <= {("reminder", True), ("digest", True)}, (name, kinds)
