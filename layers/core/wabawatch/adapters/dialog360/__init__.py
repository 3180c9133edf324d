"""The health source: 360dialog's `GET /health_status`, for many numbers concurrently."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from wabawatch.adapters.dialog360.errors import MAX_DETAIL, Redactor
from wabawatch.adapters.dialog360.parser import parse_response
from wabawatch.adapters.dialog360.probe_queue import PATIENCE, Endpoint, Probe, ProbeQueue, RateLimiter, check_key
from wabawatch.adapters.dialog360.request import Response
from wabawatch.adapters.dialog360.transport import Transport
from wabawatch.application.ports import Clock, Target
from wabawatch.domain.health import Failure, Observation, Report
from wabawatch.errors import NotFetchedError, SecretError

_POLL_STOP: Final = 0.25
"""Seconds between two checks of `should_stop` while no response arrives."""
_GRACE: Final = 1.0
"""Seconds that pending responses still have after the pass is stopped."""
_log = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True):
    """Settings of the source.

    `timeout` covers a whole probe, from name resolution to the last byte. Without `requests_per_second` only
    `concurrency` limits. `ca_file` (PEM) replaces the public authorities, for a gateway with its own certificate."""

    base_url: str = "https://waba-v2.360dialog.io"
    timeout: timedelta = timedelta(seconds=10)
    concurrency: int = 64
    requests_per_second: float | None = None
    ca_file: str | None = None


class KeyRing(Protocol):
    """API keys by their references."""

    def prefetch(self, references: Iterable[str], should_stop: Callable[[], bool]) -> None:
        """Read keys that are not cached, in batches, until `should_stop`. `held_key` raises for unread ones."""
        ...

    def refresh(self, references: Iterable[str], should_stop: Callable[[], bool]) -> None:
        """Read these keys again, because the cached ones were refused."""
        ...

    def held_key(self, reference: str) -> str:
        """Return a cached key. Raises SecretError if the reference cannot be resolved, NotFetchedError if the
        key was not read in time."""
        ...


class Dialog360Source:
    """Probes many targets at once, one pass at a time. Connections are kept for the next pass."""

    def __init__(self, settings: Settings, keys: KeyRing, clock: Clock) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._rate_limiter = RateLimiter(settings.requests_per_second)
        self._transport = Transport(settings.timeout, settings.concurrency, settings.ca_file)

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Observation]:
        """Probe the targets, as HealthSource says. Targets whose key or host is rate-limited beyond `until` (beyond a
        minute without it) yield nothing and count as not started.

        Reading keys may take half of the time until `until`: very many secrets or parameters need several passes. A
        target whose key was not read by then yields a failure with the cause `key_not_fetched`, without a request.

        Refused keys are read again at the end of the pass, in one batch. If a key has changed, its target is probed
        once more before it counts as unauthorized; without time left for that it yields nothing."""
        self._keys.prefetch(dict.fromkeys(target.api_key for target in targets), self._half_time(until, should_stop))
        deadline = _PassDeadline(self._clock, until, should_stop)
        refused: dict[str, tuple[Probe, Observation]] = {}
        try:
            for probe, observation in self._probe_all(targets, deadline):
                if probe is not None and _is_refused(observation):
                    refused[probe.target.id] = (probe, observation)
                else:
                    yield observation
            yield from self._retry_refused(refused, deadline)
        finally:
            self._transport.abandon()

    def _half_time(self, until: datetime | None, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        if until is None:
            return should_stop
        now = self._clock.now()
        half = now + (until - now) / 2
        return lambda: should_stop() or self._clock.now() >= half

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _retry_refused(
        self, refused: dict[str, tuple[Probe, Observation]], deadline: _PassDeadline
    ) -> Iterator[Observation]:
        if not refused or deadline.is_closing():
            return
        self._keys.refresh(dict.fromkeys(probe.target.api_key for probe, _ in refused.values()), deadline.is_closing)
        changed = []
        for probe, observation in refused.values():
            if self._has_another_key(probe):
                changed.append(probe.target)
            else:
                yield observation
        for _, observation in self._probe_all(changed, deadline):
            yield observation

    def _has_another_key(self, probe: Probe) -> bool:
        try:
            return self._keys.held_key(probe.target.api_key) != probe.key
        except SecretError:
            return True

    def _probe_all(
        self, targets: Sequence[Target], deadline: _PassDeadline
    ) -> Iterator[tuple[Probe | None, Observation]]:
        """Probe each target once. An observation without a probe needed no request."""
        queue = ProbeQueue(targets, self._settings.base_url, self._rate_limiter, deadline.patience_ends)
        while not deadline.is_over():
            for target, endpoint in self._take_ready(queue, deadline):
                failure = self._start(target, endpoint)
                if failure is not None:
                    yield None, self._observation(target, failure)
            wait = None if deadline.is_closing() else queue.wait(time.monotonic())
            if wait is None and not self._transport.is_busy:
                break
            for token, response in self._transport.wait(self._until_next(wait)):
                if isinstance(token, Probe):
                    yield token, self._observation(token.target, self._read(token, response))
        if queue:
            _log.warning(
                "%d targets were not probed: the pass ended, or throttled answers asked for a wait", len(queue)
            )

    def _until_next(self, wait: float | None) -> float:
        return min(wait, _POLL_STOP) if wait is not None and self._transport.has_free_slot else _POLL_STOP

    def _take_ready(self, queue: ProbeQueue, deadline: _PassDeadline) -> Iterator[tuple[Target, Endpoint]]:
        while self._transport.has_free_slot and not deadline.is_closing():
            found = queue.take(time.monotonic())
            if found is None:
                return
            yield found

    def _start(self, target: Target, endpoint: Endpoint) -> Failure | None:
        try:
            key = check_key(self._keys.held_key(target.api_key), target.api_key)
            self._transport.start(endpoint.url, key, Probe(target, endpoint, key))
        except NotFetchedError as error:
            return Failure("key_not_fetched", str(error))
        except SecretError as error:
            return Failure("key_unreadable", Redactor("").sanitize(str(error), MAX_DETAIL))
        except Exception as error:  # noqa: BLE001 - the border around one target's probe
            return _record_crash(target, error)
        self._rate_limiter.record_start(time.monotonic())
        return None

    def _read(self, probe: Probe, response: Response) -> Report | Failure:
        try:
            outcome = parse_response(response, probe.target.id, probe.key, self._clock.now())
        except Exception as error:  # noqa: BLE001 - the border around one target's probe
            return _record_crash(probe.target, error)
        host, key = probe.endpoint.host, probe.target.api_key
        if isinstance(outcome, Report):
            self._rate_limiter.record_success(host)
        elif outcome.cause == "throttled":
            wait = self._rate_limiter.record_throttled(host, key, time.monotonic(), outcome.retry_after)
            _log.info("%s is throttled; its key is used again in %g s", probe.target.id, wait)
        return outcome

    def _observation(self, target: Target, outcome: Report | Failure) -> Observation:
        return Observation(target.id, self._clock.now(), outcome)


class _PassDeadline:
    """Decides when a pass stops starting probes, and when it stops waiting for pending ones."""

    def __init__(self, clock: Clock, until: datetime | None, should_stop: Callable[[], bool]) -> None:
        self._clock = clock
        self._until = until
        self._should_stop = should_stop
        self._ends_at: float | None = None
        left = (until - clock.now()).total_seconds() if until else PATIENCE
        self.patience_ends = time.monotonic() + left

    def is_closing(self) -> bool:
        return self._should_stop() or (self._until is not None and self._clock.now() >= self._until)

    def is_over(self) -> bool:
        """Return whether to stop waiting: soon after `should_stop`; at `until`, started probes may still finish."""
        if self._ends_at is None and self._should_stop():
            self._ends_at = time.monotonic() + _GRACE
        return self._ends_at is not None and time.monotonic() >= self._ends_at


def _is_refused(observation: Observation) -> bool:
    return isinstance(observation.outcome, Failure) and observation.outcome.cause == "unauthorized"


def _record_crash(target: Target, error: Exception) -> Failure:
    """Log the place of a bug and return a failure. Its text is not logged: it may quote the response, which may quote
    the key."""
    place = "".join(traceback.format_tb(error.__traceback__)[-3:])
    _log.error("the probe of %s failed with %s\n%s", target.id, type(error).__name__, place)
    return Failure("unreadable", f"unexpected {type(error).__name__}; see the log")


__all__ = ["Dialog360Source", "KeyRing", "Settings"]
