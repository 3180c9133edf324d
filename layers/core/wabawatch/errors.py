"""What can go wrong, as a tree.

WabawatchError
├── ConfigurationError    the configuration, an argument or an event is wrong; the message says where and what to do
├── SecretError           a reference to a secret cannot be resolved
│   └── NotFetchedError   it was not read before the time was over
├── StoreError            the state cannot be read or written
│   └── SchemaError       the state was written by a later version
├── QueueError            the queue of shards does not take messages for now
├── UnavailableError      AWS refuses requests for now, or cannot be reached: the same call may succeed later
└── DeliveryError         a destination did not take a notification

A failed probe is no error but an observation: see wabawatch.domain.health.Failure.
"""

from __future__ import annotations

import traceback
from enum import StrEnum


class WabawatchError(Exception):
    """The root. Its text is for people: one message, no secret."""


class ConfigurationError(WabawatchError):
    """The configuration, an argument or an event is wrong."""


class SecretError(WabawatchError):
    """A reference to a secret cannot be resolved. Names the reference, never what it holds."""


class NotFetchedError(SecretError):
    """A secret was not read before the time was over, and nothing is known of it."""


class StoreError(WabawatchError):
    """The state cannot be read or written."""


class SchemaError(StoreError):
    """The state was written by a later version of Wabawatch."""


class QueueError(WabawatchError):
    """The queue of shards does not take messages for now."""


class UnavailableError(WabawatchError):
    """AWS refuses requests for now, or cannot be reached. The same call may succeed later."""


class DeliveryErrorKind(StrEnum):
    """Kind of a failed delivery.

    - MESSAGE: this message was refused; the destination works, and may accept other messages.
    - DESTINATION: the destination accepts nothing until it is repaired: a revoked token, a deleted address.
    - PASSING: a retry may succeed: network errors, timeouts, overload, server errors."""

    MESSAGE = "message"
    DESTINATION = "destination"
    PASSING = "passing"


class DeliveryError(WabawatchError):
    """A destination did not take a notification.

    `retry_after` is the wait in seconds that the vendor asked for. Where nothing was answered (`is_answered` False) the
    destination may have taken it all the same."""

    def __init__(
        self,
        message: str,
        kind: DeliveryErrorKind = DeliveryErrorKind.PASSING,
        *,
        retry_after: float | None = None,
        is_answered: bool = True,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.is_answered = is_answered

    @property
    def permanent(self) -> bool:
        """Return whether a retry of the same message cannot succeed until the cause is repaired."""
        return self.kind is not DeliveryErrorKind.PASSING


def describe_place(error: BaseException) -> str:
    """Return an exception's type and where it was raised, without its text, which may quote a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
