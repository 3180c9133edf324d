"""What can go wrong, as a tree.

WabawatchError
├── ConfigurationError    the configuration, an argument or an event is wrong; the message says where and what to do
├── SecretError           a reference to a secret cannot be resolved
├── StoreError            the state cannot be read or written
│   └── SchemaError       the state was written by a later version
├── QueueError            the queue of shards does not take messages for now
└── DeliveryError         a destination did not take a notification

A failed probe is no error but an observation: see wabawatch.domain.health.Failure.
"""

from __future__ import annotations


class WabawatchError(Exception):
    """The root. Its text is for people: one message, no secret."""


class ConfigurationError(WabawatchError):
    """The configuration, an argument or an event is wrong."""


class SecretError(WabawatchError):
    """A reference to a secret cannot be resolved. Names the reference, never what it holds."""


class StoreError(WabawatchError):
    """The state cannot be read or written."""


class SchemaError(StoreError):
    """The state was written by a later version of Wabawatch."""


class QueueError(WabawatchError):
    """The queue of shards does not take messages for now."""


class DeliveryError(WabawatchError):
    """A destination did not take a notification.

    `lasting` tells that trying again cannot help until somebody acts; `retry_after` is the wait in seconds that the
    vendor asked for."""

    def __init__(self, message: str, *, lasting: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.retry_after = retry_after
