"""What stands between the system and its store: a recorder, and the stores and sources of unusual processes."""

from wabawatch.application.delivery import Deliverer
from wabawatch.application.ports import Outcome
from wabawatch.domain.health import Observation

MOST_CALLS = 3000
"""Calls of the store in one round of notify, which makes some dozens: a round that makes more never ends."""


class EndlessRoundError(AssertionError):
    """A round of notify goes on for ever."""


class Recorder:
    """A store that counts what is asked of it, and what was folded."""

    fold_limit = 12
    """Few rows, so that what a storm folds is written in many batches."""

    def __init__(self, store):
        self._store = store
        self.calls = 0
        self.folded = {}
        """By target: the first transition of each change that was folded, and the last one that was."""

    def __getattr__(self, name):
        found = getattr(self._store, name)

        def call(*given, **named):
            self.calls += 1
            if self.calls > MOST_CALLS:
                raise EndlessRoundError
            return found(*given, **named)

        return call if callable(found) else found

    def fold(self, batch):
        outcome = self._store.fold(batch)
        if outcome is Outcome.WRITTEN:
            for change, last in batch.folded:
                self.folded.setdefault(change.target, []).append((change.transitions[0].seq, last))
        return outcome


class StaleStore:
    """The store of a process that loaded its snapshots long ago."""

    def __init__(self, store, loaded):
        self._store = store
        self._loaded = dict(loaded)

    def __getattr__(self, name):
        return getattr(self._store, name)

    def snapshots(self, names):
        fresh = self._store.snapshots(names)
        return {name: self._loaded.pop(name, None) or fresh[name] for name in names if name in fresh}


class Readings:
    """A source that reads the world, and lets something happen between the answers and their commit."""

    def __init__(self, read, clock, meanwhile=lambda: None):
        self._read = read
        self._clock = clock
        self._meanwhile = meanwhile

    def observe(self, targets, *, until, should_stop=lambda: False):  # noqa: ARG002
        for target in targets:
            yield Observation(target.id, self._clock.now(), self._read(target.id))
        self._meanwhile()


class OldReadings:
    """A source that read the first of its targets long ago, and reads the rest now."""

    def __init__(self, observations, rest):
        self._observations = observations
        self._rest = rest

    def observe(self, targets, *, until, should_stop=lambda: False):
        yield from self._observations
        yield from self._rest.observe(targets[len(self._observations) :], until=until, should_stop=should_stop)


class OneLaneAtATime:
    """The deliverer, with one destination after the other: the order must be the same in each run of an example."""

    def __init__(self, notifiers, clock):
        self._deliverer = Deliverer(notifiers, clock)

    def run(self, tasks, until=None):
        lanes = {}
        for task in tasks:
            lanes.setdefault(task.notification.destination, []).append(task)
        for lane in lanes.values():
            yield from self._deliverer.run(lane, until)
