"""Resolve the secret references of the configuration."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from wabawatch.adapters.aws import Clients
from wabawatch.adapters.secrets.backend import (
    ClosedBackend,
    EnvironmentBackend,
    FileBackend,
    ParameterStore,
    SecretBackend,
    SecretsManager,
    ShouldStop,
    UnansweredError,
)
from wabawatch.application.credentials import ENV, FILE, FORMS, SECRETS_MANAGER, SSM, Reference, Secret, parse_reference
from wabawatch.application.ports import Clock
from wabawatch.errors import NotFetchedError, SecretError

_RETRY: Final = timedelta(seconds=30)
"""Time until a failed secret is read again: a thousand targets must not make a thousand attempts."""
_log = logging.getLogger(__name__)


_Instant = tuple[datetime, float]
"""A time by the wall clock, and by a monotonic clock in seconds."""


_NOT_PARSED: Final = object()


class _CachedSecret:
    """The result of reading one secret, and when. Not a struct, so that no repr shows the value."""

    __slots__ = ("_document", "error", "read_at", "tried_at", "value")

    def __init__(self, value: Secret | None, error: SecretError | None, now: _Instant) -> None:
        self.value, self.error, self.read_at, self.tried_at = value, error, now, now
        self._document: Any = _NOT_PARSED

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value as JSON, or None; parsed once, because one secret can hold the keys of many targets."""
        if self._document is _NOT_PARSED:
            try:
                self._document = json.loads(self.value or "")
            except (ValueError, RecursionError):
                self._document = None
        return self._document


def _never() -> bool:
    return False


class Secrets:
    """Resolves `env:`, `file:`, `ssm:` and `secretsmanager:` references; also the key ring of the health source.

    A value is read again after `ttl`. If AWS does not answer, the cached value is used for up to `stale_for` more,
    which is logged. `local` False refuses `env:` and `file:`."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clients: Clients,
        clock: Clock,
        *,
        elapsed: Callable[[], float] = time.monotonic,
        ttl: timedelta = timedelta(minutes=5),
        stale_for: timedelta = timedelta(hours=12),
        local: bool = True,
    ) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._ttl = ttl
        self._stale_for = stale_for
        self._cache: dict[tuple[str, str], _CachedSecret] = {}
        self._backends: dict[str, SecretBackend] = {
            ENV: EnvironmentBackend(environment) if local else ClosedBackend(ENV),
            FILE: FileBackend() if local else ClosedBackend(FILE),
            SSM: ParameterStore(clients),
            SECRETS_MANAGER: SecretsManager(clients),
        }

    def key(self, reference: str) -> Secret:
        """Return the value, stripped. Raises SecretError, which names the reference and what to do."""
        parsed = parse_reference(reference)
        self._read([parsed], self._is_due, _never)
        return _extract(parsed, self._cache[parsed.place])

    def held_key(self, reference: str) -> Secret:
        """Return a cached value; never read. Raises SecretError as `key`, NotFetchedError if it was not read: the
        time was over, or it was never requested."""
        parsed = parse_reference(reference)
        held = self._cache.get(parsed.place)
        if held is None:
            raise NotFetchedError(f"{reference}: it has not been read")
        return _extract(parsed, held)

    def prefetch(self, references: Iterable[str], stopped: ShouldStop = _never) -> None:
        """Read what is not cached, in as few calls as possible, until `stopped`; unknown secrets first.

        `key` and `held_key` raise what could not be read. A secret that was not read in time stays as cached."""
        wanted = sorted(_parse_all(references), key=self._is_known)
        self._read(wanted, self._is_due, stopped)

    def refresh(self, references: Iterable[str], stopped: ShouldStop = _never) -> None:
        """Read these again, though they are cached."""
        self._read(_parse_all(references), lambda _: True, stopped)

    def _is_known(self, reference: Reference) -> bool:
        held = self._cache.get(reference.place)
        return held is not None and held.value is not None

    def _is_due(self, held: _CachedSecret | None) -> bool:
        if held is None:
            return True
        fresh = held.error is None and self._age(held.read_at) < self._ttl
        return not fresh and self._age(held.tried_at) >= min(_RETRY, self._ttl)

    def _now(self) -> _Instant:
        return self._clock.now(), self._elapsed()

    def _age(self, then: _Instant) -> timedelta:
        """Return the longer age by two clocks: one may be set back, the other may stop while a function is frozen."""
        wall, elapsed = self._now()
        return max(wall - then[0], timedelta(seconds=elapsed - then[1]))

    def _read(
        self, references: Iterable[Reference], due: Callable[[_CachedSecret | None], bool], stopped: ShouldStop
    ) -> None:
        names: dict[str, dict[str, None]] = {}
        for scheme, name in dict.fromkeys(reference.place for reference in references):
            if due(self._cache.get((scheme, name))):
                names.setdefault(scheme, {})[name] = None
        for scheme, wanted in names.items():
            values = self._backends[scheme].read(list(wanted), stopped)
            stale = [name for name in wanted if self._store((scheme, name), values[name])]
            if stale:
                _log.warning("%s; the last values of %d secrets stay in use", values[stale[0]], len(stale))

    def _store(self, place: tuple[str, str], verdict: str | SecretError) -> bool:
        """Cache a result. If the backend did not answer, keep the last value; return whether that is in use."""
        last = self._cache.get(place)
        passing = isinstance(verdict, UnansweredError | NotFetchedError)
        if passing and last and self._age(last.read_at) <= self._ttl + self._stale_for:
            last.tried_at = self._now()
            return last.value is not None
        value, error = (Secret(verdict), None) if isinstance(verdict, str) else (None, verdict)
        self._cache[place] = _CachedSecret(value, error, self._now())
        return False


def _parse_all(references: Iterable[str]) -> list[Reference]:
    """Return the valid references; the others raise when they are used."""
    found = []
    for reference in references:
        try:
            found.append(parse_reference(reference))
        except SecretError:
            continue
    return found


def _extract(reference: Reference, held: _CachedSecret) -> Secret:
    if isinstance(held.error, UnansweredError | NotFetchedError):
        raise type(held.error)(str(held.error))
    if held.value is None:
        raise SecretError(str(held.error))
    value = held.value if reference.scheme != SECRETS_MANAGER else _extract_json(reference, held, held.value)
    if not value.strip():
        raise SecretError(f"{reference}: it is empty; store the secret there")
    return Secret(value.strip())


def _extract_json(reference: Reference, held: _CachedSecret, text: str) -> str:
    document = held.document
    if reference.json_key is None:
        if isinstance(document, dict):
            raise SecretError(f"{reference}: holds a JSON object; say which of its keys: {reference}#json-key")
        return text
    if not isinstance(document, dict):
        raise SecretError(f"{reference}: does not hold a JSON object; store one, or leave out #{reference.json_key}")
    value = document.get(reference.json_key)
    if not isinstance(value, str):
        what = "is not text" if reference.json_key in document else "is not there; check its spelling"
        raise SecretError(f"{reference}: the JSON key {reference.json_key!r} {what}")
    return value


__all__ = ["FORMS", "Reference", "Secrets", "parse_reference"]
