"""A process that is killed: at the n-th effect of a story, before it or right after it, everything it does ends."""

from dataclasses import dataclass, field

from tests.application.fakes import KilledError
from wabawatch.errors import DeliveryError

EFFECTS = frozenset(
    {
        "commit", "save_run", "save_coverage", "remove_coverage", "save_day", "fold", "set_aside_change",
        "save_incidents", "queue", "unqueue", "save_document", "acquire_lease", "release_lease",
    }
)  # fmt: skip
"""The methods of a store that write."""


@dataclass
class Fate:
    """Kills at effect number `at`, counted from 1; 0: never. `after` tells on which side of the effect."""

    at: int = 0
    after: bool = False
    effects: int = 0
    is_dead: bool = False
    deaths: int = 0
    names: list = field(default_factory=list)

    def survive(self, name, effect):
        """Let an effect happen, unless the process is dead or dies of it."""
        if self.is_dead:
            raise KilledError
        self.effects += 1
        self.names.append(name)
        fatal = self.effects == self.at
        if fatal and not self.after:
            self._die()
        try:
            return effect()
        finally:
            if fatal:
                self._die()

    def _die(self):
        self.is_dead = True
        self.deaths += 1
        raise KilledError

    def restart(self):
        self.is_dead = False


class MortalStore:
    """A store whose process may be killed at each write; once it is dead nothing can be read either."""

    def __init__(self, store, fate):
        self._store = store
        self._fate = fate

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if not callable(found):
            return found
        if name in EFFECTS:
            return lambda *given, **named: self._fate.survive(name, lambda: found(*given, **named))

        def read(*given, **named):
            if self._fate.is_dead:
                raise KilledError
            return found(*given, **named)

        return read


class MortalNotifier:
    """A destination that keeps what it took; the process may be killed before or after it did."""

    kind = "fake"

    def __init__(self, inner, fate):
        self._inner = inner
        self._fate = fate

    def deliver(self, notification, thread):
        try:
            return self._fate.survive("deliver", lambda: self._inner.deliver(notification, thread))
        except KilledError:
            raise DeliveryError("the process is dead") from None  # nobody can record it any more
