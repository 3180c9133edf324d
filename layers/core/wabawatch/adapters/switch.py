"""A dead-man's switch over HTTPS, as healthchecks.io and its kin speak: GET the URL for success, URL/fail for failure.

Source: https://healthchecks.io/docs/http_api/ (pinging API: success, /start, /fail; the body is kept as a note)."""

from __future__ import annotations

from collections.abc import Callable

from wabawatch.application.errors import DeliveryError
from wabawatch.domain.heartbeat import Pulse


class HttpSwitch:
    """Pings a URL, which is a secret: whoever knows it can keep the switch quiet."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url

    def send(self, pulse: Pulse) -> None:
        """Raises DeliveryError, without the URL."""
        import requests  # noqa: PLC0415 - poll starts faster without it

        address = self._url().rstrip("/") + ("/fail" if pulse.kind == "fail" else "")
        note = f"run {pulse.run_id}: {pulse.why}".encode()
        try:
            answer = requests.post(address, data=note, timeout=(3, 5), allow_redirects=False)
        except requests.RequestException as error:
            raise DeliveryError(f"the heartbeat could not be sent ({type(error).__name__})") from None
        if not answer.ok:
            raise DeliveryError(f"the heartbeat was refused (HTTP {answer.status_code})")
