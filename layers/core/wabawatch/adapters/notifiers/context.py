"""What the composition root gives to notifiers: secrets, clients, a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from wabawatch.adapters.secrets.backend import UnansweredError
from wabawatch.application.credentials import Secret
from wabawatch.application.secret_reference import explain_bad_reference
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
