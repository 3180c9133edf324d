"""webhook: the JSON payload, signed, by POST. Any 2xx is an acceptance.

`X-Wabawatch-Signature` is `v1=` and the HMAC-SHA256, in hexadecimal, over the timestamp, a full stop, and the raw body;
its key is the secret that both sides share. `X-Wabawatch-Timestamp` is in seconds since 1970. A receiver computes the
same over what it got, compares in constant time, and refuses a timestamp that is more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from wabawatch.adapters.http_rules import check_url, delivery_error
from wabawatch.adapters.notifiers.registry import NotifyContext, require_reference
from wabawatch.application.credentials import SecretReference, explain_bad_url, is_reference
from wabawatch.application.ports import Receipt
from wabawatch.domain.notification import Notification

if TYPE_CHECKING:
    from wabawatch.adapters.http import HttpClient

_MAX_BODY: Final = 200_000
"""Bytes of a body: no receiver expects more."""
_ACCEPTED: Final = range(200, 300)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: where to, as it is or by reference. `secret`: the reference to the key of the signature."""

    url: str
    secret: SecretReference

    def __post_init__(self) -> None:
        require_reference("secret", self.secret)
        if not is_reference(self.url) and (why := explain_bad_url(self.url)):
            raise ValueError(f"url: {why}")


class Webhook:
    """Posts to one URL. Each attempt has a signature of its own."""

    kind = "webhook"

    def __init__(self, name: str, options: Options, context: NotifyContext) -> None:
        self._name = name
        self._options = options
        self._context = context

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        from wabawatch.messages.json_payload import encode_payload  # noqa: PLC0415 - poll builds no messages

        url = self._context.secret(self._options.url) if is_reference(self._options.url) else self._options.url
        secret = self._context.secret(self._options.secret)
        body = encode_payload(notification, _MAX_BODY)
        headers = {"X-Wabawatch-Notification-Id": _ascii(notification.id), **sign(secret, self._context.now(), body)}
        answer = self._client.post(check_url(url, f"the url of {self._name}"), body, headers)
        if answer.status not in _ACCEPTED:
            raise delivery_error(answer)
        return Receipt(thread)

    @cached_property
    def _client(self) -> HttpClient:
        from wabawatch.adapters.http import HttpClient  # noqa: PLC0415 - requests waits for the first delivery

        return HttpClient(self._context.patience)


def sign(secret: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove a body sent at this instant."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return {"X-Wabawatch-Timestamp": timestamp, "X-Wabawatch-Signature": f"v1={digest.hexdigest()}"}


def _ascii(text: str) -> str:
    """Keep what a header can hold."""
    return "".join(character for character in text if " " < character <= "~")


def build(name: str, options: Options, context: NotifyContext) -> Webhook:
    return Webhook(name, options, context)
