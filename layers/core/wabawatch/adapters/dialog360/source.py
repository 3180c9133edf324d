"""360dialog's health API as a HealthSource."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol

from wabawatch.adapters.dialog360.answers import Answer
from wabawatch.adapters.dialog360.failures import MOST_DETAIL
from wabawatch.adapters.dialog360.pacing import Pacing
from wabawatch.adapters.dialog360.parsing import read_answer
from wabawatch.adapters.dialog360.probe import Place, Probe, sendable
from wabawatch.adapters.dialog360.settings import Settings
from wabawatch.adapters.dialog360.transport import Transport
from wabawatch.adapters.dialog360.waiting import PATIENCE, Waiting
from wabawatch.adapters.dialog360.wording import Wording
from wabawatch.application.ports import Clock, Target
from wabawatch.domain.health import Failure, Observation, Report
from wabawatch.errors import NotFetchedError, SecretError

_LOOK_UP: Final = 0.25
"""Seconds between two looks at `stopped` while nothing comes in."""
_GRACE: Final = 1.0
"""Seconds that answers under way still have once the pass is stopped."""
_log = logging.getLogger(__name__)


class KeyRing(Protocol):
    """API keys by their references."""

    def prefetch(self, references: Iterable[str], stopped: Callable[[], bool]) -> None:
        """Read those that are not at hand, many at once, until `stopped`. `held_key` tells what could not be read."""
        ...

    def refresh(self, references: Iterable[str], stopped: Callable[[], bool]) -> None:
        """Read these anew, because keys that were at hand have been refused."""
        ...

    def held_key(self, reference: str) -> str:
        """A key that was read. Raises SecretError where the reference cannot be resolved, NotFetchedError where the
        time was over before it was read."""
        ...


class Dialog360Source:
    """Probes many targets at once. One pass at a time; connections are kept from one to the next."""

    def __init__(self, settings: Settings, keys: KeyRing, clock: Clock) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._pacing = Pacing(settings.requests_per_second)
        self._transport = Transport(settings.timeout, settings.concurrency, settings.ca_file)

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Observation]:
        """As HealthSource. Yields nothing for targets whose key or host is to be left alone beyond `until` (beyond a
        minute where there is none), because throttled answers asked for it; they count as not started.

        Keys may take half of the time until `until`: those of very many secrets or parameters come over several passes.
        A target whose key is not there by then is a failure of the cause `key_not_fetched`, and was not asked.

        Keys that were refused are read again at the end of the pass, all at once and while nothing waits for an answer.
        A target whose key turns out to be another one is probed once more before it is called unauthorized; where
        there is no time left for that it yields nothing."""
        self._keys.prefetch(dict.fromkeys(target.api_key for target in targets), self._half_time(until, stopped))
        closing = _Closing(self._clock, until, stopped)
        refused: dict[str, tuple[Probe, Observation]] = {}
        try:
            for probe, observation in self._round(targets, closing):
                if probe is not None and _is_refused(observation):
                    refused[probe.target.id] = (probe, observation)
                else:
                    yield observation
            yield from self._second_round(refused, closing)
        finally:
            self._transport.abandon()

    def _half_time(self, until: datetime | None, stopped: Callable[[], bool]) -> Callable[[], bool]:
        if until is None:
            return stopped
        now = self._clock.now()
        half = now + (until - now) / 2
        return lambda: stopped() or self._clock.now() >= half

    def close(self) -> None:
        """Close the connections that were kept."""
        self._transport.close()

    def _second_round(self, refused: dict[str, tuple[Probe, Observation]], closing: _Closing) -> Iterator[Observation]:
        if not refused or closing.begun():
            return
        self._keys.refresh(dict.fromkeys(probe.target.api_key for probe, _ in refused.values()), closing.begun)
        changed = []
        for probe, observation in refused.values():
            if self._has_another_key(probe):
                changed.append(probe.target)
            else:
                yield observation
        for _, observation in self._round(changed, closing):
            yield observation

    def _has_another_key(self, probe: Probe) -> bool:
        try:
            return self._keys.held_key(probe.target.api_key) != probe.key
        except SecretError:
            return True

    def _round(self, targets: Sequence[Target], closing: _Closing) -> Iterator[tuple[Probe | None, Observation]]:
        """Probe each target once; an observation without a probe was made without asking."""
        waiting = Waiting(targets, self._settings.base_url, self._pacing, closing.patience_ends)
        while not closing.over():
            for target, place in self._ready(waiting, closing):
                failure = self._start(target, place)
                if failure is not None:
                    yield None, self._observation(target, failure)
            wait = None if closing.begun() else waiting.wait(time.monotonic())
            if wait is None and not self._transport.busy:
                break
            for token, answer in self._transport.wait(self._until_next(wait)):
                if isinstance(token, Probe):
                    yield token, self._observation(token.target, self._read(token, answer))
        if waiting:
            _log.warning(
                "%d targets were not probed: the pass ended, or throttled answers asked for a wait", len(waiting)
            )

    def _until_next(self, wait: float | None) -> float:
        return min(wait, _LOOK_UP) if wait is not None and self._transport.free else _LOOK_UP

    def _ready(self, waiting: Waiting, closing: _Closing) -> Iterator[tuple[Target, Place]]:
        while self._transport.free and not closing.begun():
            found = waiting.take(time.monotonic())
            if found is None:
                return
            yield found

    def _start(self, target: Target, place: Place) -> Failure | None:
        try:
            key = sendable(self._keys.held_key(target.api_key), target.api_key)
            self._transport.start(place.url, key, Probe(target, place, key))
        except NotFetchedError as error:
            return Failure("key_not_fetched", str(error))
        except SecretError as error:
            return Failure("key_unreadable", Wording("").clean(str(error), MOST_DETAIL))
        except Exception as error:  # noqa: BLE001 - the border around one target's probe
            return _stumbled(target, error)
        self._pacing.started(time.monotonic())
        return None

    def _read(self, probe: Probe, answer: Answer) -> Report | Failure:
        try:
            outcome = read_answer(answer, probe.target.id, probe.key, self._clock.now())
        except Exception as error:  # noqa: BLE001 - the border around one target's probe
            return _stumbled(probe.target, error)
        host, key = probe.place.host, probe.target.api_key
        if isinstance(outcome, Report):
            self._pacing.answered(host)
        elif outcome.cause == "throttled":
            wait = self._pacing.throttled(host, key, time.monotonic(), outcome.retry_after)
            _log.info("%s is throttled; its key is used again in %g s", probe.target.id, wait)
        return outcome

    def _observation(self, target: Target, outcome: Report | Failure) -> Observation:
        return Observation(target.id, self._clock.now(), outcome)


class _Closing:
    """When a pass starts no more probes, and when it no longer waits for those under way."""

    def __init__(self, clock: Clock, until: datetime | None, stopped: Callable[[], bool]) -> None:
        self._clock = clock
        self._until = until
        self._stopped = stopped
        self._over_at: float | None = None
        left = (until - clock.now()).total_seconds() if until else PATIENCE
        self.patience_ends = time.monotonic() + left

    def begun(self) -> bool:
        return self._stopped() or (self._until is not None and self._clock.now() >= self._until)

    def over(self) -> bool:
        """A pass that is stopped leaves soon; one that is only out of time waits for what it has started."""
        if self._over_at is None and self._stopped():
            self._over_at = time.monotonic() + _GRACE
        return self._over_at is not None and time.monotonic() >= self._over_at


def _is_refused(observation: Observation) -> bool:
    return isinstance(observation.outcome, Failure) and observation.outcome.cause == "unauthorized"


def _stumbled(target: Target, error: Exception) -> Failure:
    """The error's place is logged and its text is not: it may quote the answer, and the answer the key."""
    place = "".join(traceback.format_tb(error.__traceback__)[-3:])
    _log.error("the probe of %s failed with %s\n%s", target.id, type(error).__name__, place)
    return Failure("unreadable", f"unexpected {type(error).__name__}; see the log")
