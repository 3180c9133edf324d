"""All notifiers, by the word that the configuration uses for them.

Adding one is a module here, a line in KINDS, and a golden file under tests/contract/notifiers/golden. The module has

- `Options`: what its destinations are configured with, a frozen msgspec.Struct that forbids unknown fields;
- `build(name, options, context)`: the notifier of the destination of that name.

A module is imported when the configuration names it, and loads what is large with its first delivery: the function that
only polls reads the same configuration and must start fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final, Protocol, TextIO, cast

import msgspec

from wabawatch.adapters.secrets.backend import UnansweredError
from wabawatch.application.credentials import Secret, explain_bad_reference
from wabawatch.application.ports import Notifier
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError


class NotifyContext(msgspec.Struct, frozen=True):
    """`resolve` turns a reference into its secret, at each delivery, so that a rotated one works at once (SecretError
    where it can't). `client` makes an AWS client from a service's name and a region. The console writes to `console`
    (None: standard output, as it is at that moment). `now` is an aware instant. `patience` is in seconds: how long one
    exchange over HTTP may take in all, with looking up the address and connecting."""

    resolve: Callable[[str], str]
    client: Callable[..., Any]
    console: TextIO | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    patience: float = 10.0

    def secret(self, reference: str) -> Secret:
        """Return the secret of a reference, without surrounding whitespace.

        Raises DeliveryError: DESTINATION if the secret cannot be read (deliveries are retried all the same), PASSING if
        the backend does not respond."""
        try:
            value = Secret(self.resolve(reference).strip())
        except UnansweredError as error:
            raise DeliveryError(str(error), DeliveryErrorKind.PASSING) from error
        except SecretError as error:
            raise DeliveryError(str(error), DeliveryErrorKind.DESTINATION) from error
        if not value:
            raise DeliveryError(f"the secret behind {reference} is empty", DeliveryErrorKind.DESTINATION)
        return value


def require_reference(option: str, text: str) -> None:
    """Raise ValueError for a secret that is written out. It names the option before a colon, for the configuration."""
    if why := explain_bad_reference(text):
        raise ValueError(f"{option}: {why}")


KINDS: Final = {
    "console": "wabawatch.adapters.notifiers.console",
    "slack": "wabawatch.adapters.notifiers.slack",
    "sns": "wabawatch.adapters.notifiers.sns",
    "webhook": "wabawatch.adapters.notifiers.webhook",
}


class _Module(Protocol):
    Options: type[msgspec.Struct]

    def build(self, name: str, options: Any, context: NotifyContext) -> Notifier:  # noqa: ANN401 - of the type that Options names
        ...


def _module(kind: str) -> _Module:
    return cast("_Module", import_module(KINDS[kind]))


class _Options(Mapping[str, type[msgspec.Struct]]):
    def __getitem__(self, kind: str) -> type[msgspec.Struct]:
        return _module(kind).Options

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


OPTIONS: Final = _Options()
"""The options of each kind; the configuration is validated against them."""


def build(name: str, kind: str, options: msgspec.Struct, context: NotifyContext) -> Notifier:
    """The notifier of a destination: its name, one of KINDS, and options of the type in OPTIONS."""
    return _module(kind).build(name, options, context)


__all__ = ["KINDS", "OPTIONS", "NotifyContext", "build"]
