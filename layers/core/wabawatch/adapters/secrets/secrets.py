"""Secrets by reference: read in batches, kept for some minutes, so that a rotated one is seen without a deployment."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from wabawatch.adapters.secrets.aws import Clients, ParameterStore, SecretsManager
from wabawatch.adapters.secrets.vaults import Closed, Environment, Files, Stopped, UnansweredError, Vault
from wabawatch.application.ports import Clock
from wabawatch.application.secret_reference import ENV, FILE, SECRETS_MANAGER, SSM, Reference, parse_reference
from wabawatch.errors import NotFetchedError, SecretError

_RETRY: Final = timedelta(seconds=30)
"""After which a secret that could not be read is tried again: a thousand targets must not make a thousand attempts."""
_log = logging.getLogger(__name__)


_Moment = tuple[datetime, float]
"""A moment by the wall clock, and by a clock that nobody can set, in seconds."""


_NOT_PARSED: Final = object()


class _Held:
    """What was read of one place, and when. A plain class, so that nothing prints the value."""

    __slots__ = ("_document", "error", "read_at", "tried_at", "value")

    def __init__(self, value: str | None, error: SecretError | None, now: _Moment) -> None:
        self.value, self.error, self.read_at, self.tried_at = value, error, now, now
        self._document: Any = _NOT_PARSED

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value as JSON, None where it is none; parsed once, because one secret holds the keys of many targets."""
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

    A value is read again after `ttl`. Where AWS cannot be asked, the last one goes on being used for `stale_for` more,
    and the log says so. `local` False refuses `env:` and `file:`."""

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
        self._held: dict[tuple[str, str], _Held] = {}
        self._vaults: dict[str, Vault] = {
            ENV: Environment(environment) if local else Closed(ENV),
            FILE: Files() if local else Closed(FILE),
            SSM: ParameterStore(clients),
            SECRETS_MANAGER: SecretsManager(clients),
        }

    def key(self, reference: str) -> str:
        """The value, without white space around it. Raises SecretError, which names the reference and what to do."""
        parsed = parse_reference(reference)
        self._read([parsed], self._is_due, _never)
        return _part(parsed, self._held[parsed.place])

    def held_key(self, reference: str) -> str:
        """As `key`, of what was read before: it reads nothing. Raises NotFetchedError where the time was over, or where
        nobody asked for it."""
        parsed = parse_reference(reference)
        held = self._held.get(parsed.place)
        if held is None:
            raise NotFetchedError(f"{reference}: it has not been read")
        return _part(parsed, held)

    def prefetch(self, references: Iterable[str], stopped: Stopped = _never) -> None:
        """Read what is not at hand, in as few calls as possible, until `stopped`: first that of which nothing is known.

        `key` and `held_key` tell what could not be read. What was not read in time stays as it was known."""
        wanted = sorted(_parsed(references), key=self._is_known)
        self._read(wanted, self._is_due, stopped)

    def refresh(self, references: Iterable[str], stopped: Stopped = _never) -> None:
        """Read these anew, though they are at hand."""
        self._read(_parsed(references), lambda _: True, stopped)

    def _is_known(self, reference: Reference) -> bool:
        held = self._held.get(reference.place)
        return held is not None and held.value is not None

    def _is_due(self, held: _Held | None) -> bool:
        if held is None:
            return True
        fresh = held.error is None and self._age(held.read_at) < self._ttl
        return not fresh and self._age(held.tried_at) >= min(_RETRY, self._ttl)

    def _now(self) -> _Moment:
        return self._clock.now(), self._elapsed()

    def _age(self, then: _Moment) -> timedelta:
        """The longer one by two clocks: one may be set back, the other may stand still while a function is frozen."""
        wall, elapsed = self._now()
        return max(wall - then[0], timedelta(seconds=elapsed - then[1]))

    def _read(self, references: Iterable[Reference], due: Callable[[_Held | None], bool], stopped: Stopped) -> None:
        names: dict[str, dict[str, None]] = {}
        for scheme, name in dict.fromkeys(reference.place for reference in references):
            if due(self._held.get((scheme, name))):
                names.setdefault(scheme, {})[name] = None
        for scheme, wanted in names.items():
            values = self._vaults[scheme].read(list(wanted), stopped)
            stale = [name for name in wanted if self._hold((scheme, name), values[name])]
            if stale:
                _log.warning("%s; the last values of %d secrets stay in use", values[stale[0]], len(stale))

    def _hold(self, place: tuple[str, str], verdict: str | SecretError) -> bool:
        """Keep what was read, or what was known before where nobody could be asked; whether such a value lives on."""
        last = self._held.get(place)
        passing = isinstance(verdict, UnansweredError | NotFetchedError)
        if passing and last and self._age(last.read_at) <= self._ttl + self._stale_for:
            last.tried_at = self._now()
            return last.value is not None
        value, error = (verdict, None) if isinstance(verdict, str) else (None, verdict)
        self._held[place] = _Held(value, error, self._now())
        return False


def _parsed(references: Iterable[str]) -> list[Reference]:
    """Those that are references; the others are told when they are asked for."""
    found = []
    for reference in references:
        try:
            found.append(parse_reference(reference))
        except SecretError:
            continue
    return found


def _part(reference: Reference, held: _Held) -> str:
    if isinstance(held.error, UnansweredError | NotFetchedError):
        raise type(held.error)(str(held.error))
    if held.value is None:
        raise SecretError(str(held.error))
    value = held.value if reference.scheme != SECRETS_MANAGER else _json_part(reference, held, held.value)
    if not value.strip():
        raise SecretError(f"{reference}: it is empty; store the secret there")
    return value.strip()


def _json_part(reference: Reference, held: _Held, text: str) -> str:
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
