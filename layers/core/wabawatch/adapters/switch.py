"""A dead-man's switch over HTTPS, as healthchecks.io and its kin speak: the URL for success, URL/start and URL/fail.

Source: https://healthchecks.io/docs/http_api/ (pinging API: success, /start, /fail; the body is kept as a note)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wabawatch.adapters.notifiers.http import Client
from wabawatch.adapters.notifiers.http_rules import address
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.errors import DeliveryError

_NOTE: Final = {"Content-Type": "text/plain; charset=utf-8"}
_PATHS: Final = {"start": "/start", "fail": "/fail"}
_TAKEN: Final = range(200, 300)


class HttpHeartbeatSender:
    """Pings a URL, which is a secret: whoever knows it can keep the switch quiet. `patience` is in seconds."""

    def __init__(self, url: Callable[[], str], patience: float) -> None:
        self._url = url
        self._client = Client(patience)

    def send(self, pulse: HeartbeatPing) -> None:
        """Raises DeliveryError, without the URL; SecretError where it cannot be read."""
        url = address(self._url(), "the heartbeat's url").rstrip("/") + _PATHS.get(pulse.kind, "")
        try:
            answer = self._client.post(url, f"run {pulse.run_id}: {pulse.why}".encode(), _NOTE)
        except DeliveryError as error:
            raise DeliveryError(f"the heartbeat could not be sent: {error}") from None
        if answer.status not in _TAKEN:
            raise DeliveryError(f"the heartbeat was refused (HTTP {answer.status})")
