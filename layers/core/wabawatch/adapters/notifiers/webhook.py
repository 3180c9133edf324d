"""webhook: the notification document, signed, by POST. Any 2xx is an acceptance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from wabawatch.adapters.notifiers import document
from wabawatch.adapters.notifiers.context import NotifyContext, Reference, is_reference, require_reference
from wabawatch.adapters.notifiers.http_rules import address, failure
from wabawatch.adapters.notifiers.signing import signed
from wabawatch.application.credentials import explain_bad_url
from wabawatch.application.ports import Receipt
from wabawatch.domain.notification import Notification

if TYPE_CHECKING:
    from wabawatch.adapters.notifiers.http import Client

_MOST: Final = 200_000
"""Bytes of a body: no receiver expects more."""
_ACCEPTED: Final = range(200, 300)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: where to, as it is or by reference. `secret`: the reference to the key of the signature."""

    url: str
    secret: Reference

    def __post_init__(self) -> None:
        require_reference("secret", self.secret)
        if not is_reference(self.url) and (why := explain_bad_url(self.url)):
            raise ValueError(f"url: {why}")


class Webhook:
    """Posts to one URL, and signs anew with each attempt."""

    kind = "webhook"

    def __init__(self, name: str, options: Options, world: NotifyContext) -> None:
        self._name = name
        self._options = options
        self._world = world

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        url = self._world.secret(self._options.url) if is_reference(self._options.url) else self._options.url
        secret = self._world.secret(self._options.secret)
        body = document.encode(notification, _MOST)
        headers = {"X-Wabawatch-Notification-Id": _ascii(notification.id), **signed(secret, self._world.now(), body)}
        answer = self._client.post(address(url, f"the url of {self._name}"), body, headers)
        if answer.status not in _ACCEPTED:
            raise failure(answer)
        return Receipt(thread)

    @cached_property
    def _client(self) -> Client:
        from wabawatch.adapters.notifiers.http import Client  # noqa: PLC0415 - requests waits for the first delivery

        return Client(self._world.patience)


def _ascii(text: str) -> str:
    """What a header can hold."""
    return "".join(character for character in text if " " < character <= "~")


def build(name: str, options: Options, world: NotifyContext) -> Webhook:
    return Webhook(name, options, world)
