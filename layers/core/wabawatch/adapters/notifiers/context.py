"""What the composition root gives to notifiers, and the secrets that they get through it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TextIO

import msgspec

from wabawatch.adapters.secrets.vaults import UnansweredError
from wabawatch.errors import DeliveryError, DeliveryErrorKind, SecretError

Reference = Annotated[str, msgspec.Meta(extra={"reference": True}, description="a reference to a secret")]
"""An option that says where a secret is, and never the secret."""

_STORES: Final = ("env:", "file:", "ssm:", "secretsmanager:")


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

    def secret(self, reference: str) -> str:
        """What a reference holds, without the line break that files end in.

        A secret that cannot be read is a failure of the destination: somebody must act, and is told through another.
        The delivery is tried again all the same. A vault that cannot be asked at the moment is a passing failure."""
        try:
            value = self.resolve(reference).strip()
        except UnansweredError as error:
            raise DeliveryError(str(error), DeliveryErrorKind.PASSING) from error
        except SecretError as error:
            raise DeliveryError(str(error), DeliveryErrorKind.DESTINATION) from error
        if not value:
            raise DeliveryError(f"the secret behind {reference} is empty", DeliveryErrorKind.DESTINATION)
        return value


def is_reference(text: str) -> bool:
    return text.startswith(_STORES)


def require_reference(option: str, text: str) -> None:
    """ValueError for a secret that is written out. It names the option before a colon, for the configuration."""
    if not is_reference(text):
        raise ValueError(
            f"{option}: this is a secret; write where it is, not what it is"
            " (env:NAME, file:PATH, ssm:NAME, secretsmanager:NAME[#json-key])"
        )
