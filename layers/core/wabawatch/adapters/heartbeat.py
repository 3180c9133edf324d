"""Send heartbeats to an external monitor by HTTPS, as for healthchecks.io: URL for success, URL/start and URL/fail.

Source: https://healthchecks.io/docs/http_api/ (pinging API: success, /start, /fail; the body is kept as a note)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wabawatch.adapters.http import HttpClient
from wabawatch.adapters.http_rules import check_url
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.errors import DeliveryError

_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8"}
_PATHS: Final = {"start": "/start", "fail": "/fail"}
_ACCEPTED: Final = range(200, 300)


class HttpHeartbeatSender:
    """Pings a URL. It is a secret: anyone who knows it can hide an outage of the monitor. `timeout` is in seconds."""

    def __init__(self, url: Callable[[], str], timeout: float) -> None:
        self._url = url
        self._client = HttpClient(timeout)

    def send(self, pulse: HeartbeatPing) -> None:
        """Send one ping. Raises DeliveryError, without the URL, or SecretError where the URL cannot be read."""
        url = check_url(self._url(), "the heartbeat's url").rstrip("/") + _PATHS.get(pulse.kind, "")
        try:
            response = self._client.post(url, f"run {pulse.run_id}: {pulse.why}".encode(), _HEADERS)
        except DeliveryError as error:
            raise DeliveryError(f"the heartbeat could not be sent: {error}") from None
        if response.status not in _ACCEPTED:
            raise DeliveryError(f"the heartbeat was refused (HTTP {response.status})")
