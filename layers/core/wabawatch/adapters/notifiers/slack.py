"""slack: one Slack channel, by an incoming webhook, which can neither edit messages nor reply in threads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wabawatch.adapters.http_rules import Answer, check_url, delivery_error
from wabawatch.adapters.notifiers.registry import NotifyContext, require_reference
from wabawatch.application.credentials import SecretReference
from wabawatch.application.ports import Receipt
from wabawatch.domain.notification import Notification
from wabawatch.errors import DeliveryError, DeliveryErrorKind

if TYPE_CHECKING:
    from wabawatch.adapters.http import HttpClient

_DESTINATION_ERRORS: Final = frozenset(
    {
        "action_prohibited", "channel_is_archived", "channel_not_found", "invalid_token", "no_active_hooks",
        "no_service", "no_service_id", "no_team", "posting_to_general_channel_denied", "team_disabled",
        "user_not_found",
    }
)  # fmt: skip
"""Error codes of Slack, with various HTTP statuses, that reject every message until the destination is repaired."""
_MESSAGE_ERRORS: Final = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "invalid_payload", "msg_blocks_too_long", "msg_too_long", "no_text",
        "too_many_attachments",
    }
)  # fmt: skip
"""Slack's answers where it refuses this message alone."""
_OK: Final = 200
_NOT_UNDERSTOOD: Final = frozenset({400, 413})


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`webhook_url`: the reference to the incoming webhook's URL, which is a secret."""

    webhook_url: SecretReference

    def __post_init__(self) -> None:
        require_reference("webhook_url", self.webhook_url)


class Slack:
    """Posts Block Kit; where Slack does not understand that, the same as plain text."""

    kind = "slack"

    def __init__(self, name: str, options: Options, context: NotifyContext) -> None:
        self._name = name
        self._options = options
        self._context = context

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        from wabawatch.adapters.notifiers.slack_payload import build_payload, build_plain_payload  # noqa: PLC0415 - poll builds no messages

        url = check_url(self._context.secret(self._options.webhook_url), f"the webhook_url of {self._name}")
        answer = self._post(url, build_payload(notification))
        if answer.status in _NOT_UNDERSTOOD and _known_word(answer) not in _DESTINATION_ERRORS:
            answer = self._post(url, build_plain_payload(notification))
        _check(answer)
        return Receipt(thread)

    def _post(self, url: str, payload: dict[str, Any]) -> Answer:
        return self._client.post(url, msgspec.json.encode(payload), {})

    @cached_property
    def _client(self) -> HttpClient:
        from wabawatch.adapters.http import HttpClient  # noqa: PLC0415 - requests waits for the first delivery

        return HttpClient(self._context.patience)


def _known_word(answer: Answer) -> str:
    """Return the body where it is a word that Slack uses, otherwise ""."""
    word = answer.body.strip()
    return word if word == "ok" or word in _DESTINATION_ERRORS | _MESSAGE_ERRORS else ""


def _check(answer: Answer) -> None:
    word = _known_word(answer)
    if word in _DESTINATION_ERRORS:
        raise DeliveryError(f"Slack says {word} (HTTP {answer.status})", DeliveryErrorKind.DESTINATION)
    if word in _MESSAGE_ERRORS:
        raise DeliveryError(f"Slack says {word} (HTTP {answer.status})", DeliveryErrorKind.MESSAGE)
    if answer.status != _OK:
        raise delivery_error(answer)
    if word != "ok":
        raise DeliveryError("HTTP 200, but not Slack's `ok`: something else answers at this address")


def build(name: str, options: Options, context: NotifyContext) -> Slack:
    return Slack(name, options, context)
