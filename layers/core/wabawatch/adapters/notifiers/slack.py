"""slack: one Slack channel, by an incoming webhook, which can neither edit nor thread."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wabawatch.adapters.notifiers.context import NotifyContext, Reference, require_reference
from wabawatch.adapters.notifiers.http_rules import Answer, address, failure
from wabawatch.application.ports import Receipt
from wabawatch.domain.notification import Notification
from wabawatch.errors import DeliveryError, DeliveryErrorKind

if TYPE_CHECKING:
    from wabawatch.adapters.notifiers.http import Client

_OF_THE_DESTINATION: Final = frozenset(
    {
        "action_prohibited", "channel_is_archived", "channel_not_found", "invalid_token", "no_active_hooks",
        "no_service", "no_service_id", "no_team", "posting_to_general_channel_denied", "team_disabled",
        "user_not_found",
    }
)  # fmt: skip
"""What Slack answers, under various statuses, where it takes no message until somebody acts."""
_OF_THE_MESSAGE: Final = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "invalid_payload", "msg_blocks_too_long", "msg_too_long", "no_text",
        "too_many_attachments",
    }
)  # fmt: skip
"""What Slack answers where it refuses this message alone."""
_OK: Final = 200
_NOT_UNDERSTOOD: Final = frozenset({400, 413})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`webhook_url`: the reference to the incoming webhook's URL, which is a secret."""

    webhook_url: Reference

    def __post_init__(self) -> None:
        require_reference("webhook_url", self.webhook_url)


class Slack:
    """Posts Block Kit; where Slack does not understand that, the same as plain text."""

    kind = "slack"

    def __init__(self, name: str, options: Options, world: NotifyContext) -> None:
        self._name = name
        self._options = options
        self._world = world

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        from wabawatch.adapters.notifiers.slack_blocks import message, plain_message  # noqa: PLC0415 - poll composes nothing

        url = address(self._world.secret(self._options.webhook_url), f"the webhook_url of {self._name}")
        answer = self._post(url, message(notification))
        if answer.status in _NOT_UNDERSTOOD and _word(answer) not in _OF_THE_DESTINATION:
            answer = self._post(url, plain_message(notification))
        _judge(answer)
        return Receipt(thread)

    def _post(self, url: str, payload: dict[str, Any]) -> Answer:
        return self._client.post(url, msgspec.json.encode(payload), {})

    @cached_property
    def _client(self) -> Client:
        from wabawatch.adapters.notifiers.http import Client  # noqa: PLC0415 - requests waits for the first delivery

        return Client(self._world.patience)


def _word(answer: Answer) -> str:
    """The word in the body, where it is one that Slack uses."""
    word = answer.body.strip()
    return word if word == "ok" or word in _OF_THE_DESTINATION | _OF_THE_MESSAGE else ""


def _judge(answer: Answer) -> None:
    word = _word(answer)
    if word in _OF_THE_DESTINATION:
        raise DeliveryError(f"Slack says {word} (HTTP {answer.status})", DeliveryErrorKind.DESTINATION)
    if word in _OF_THE_MESSAGE:
        raise DeliveryError(f"Slack says {word} (HTTP {answer.status})", DeliveryErrorKind.MESSAGE)
    if answer.status != _OK:
        raise failure(answer)
    if word != "ok":
        raise DeliveryError("HTTP 200, but not Slack's `ok`: something else answers at this address")


def build(name: str, options: Options, world: NotifyContext) -> Slack:
    return Slack(name, options, world)
