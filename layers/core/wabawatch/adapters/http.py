"""Send one POST over HTTP, within a total time and a maximum size, with the public API of requests; heartbeats, too.

- **Time.** The timeouts of requests count from byte to byte and for each address, and a name lookup has none. So each
  request runs in a daemon thread, which is abandoned when the total time is over. A server with `_MAX_ABANDONED`
  requests that still hang gets no further one until one of them ends.
- **Size.** At most `_MAX_BODY` bytes of the response are read, undecoded.
- **Address.** `explain_bad_url` has checked the URL: https, or http to this machine, and no user name in it. Redirects
  are not followed, so that a server cannot lead a request elsewhere. `.netrc` is not read. Names are resolved only when
  the request connects; which address a name has is not checked, because a webhook may be in a private network.
- **TLS** is verified, against the authorities of `REQUESTS_CA_BUNDLE` where it is set. Proxies of the environment are
  used, except for this machine.
- **Heartbeats** are sent as for healthchecks.io: URL for success, URL/start and URL/fail. Source:
  https://healthchecks.io/docs/http_api/ (pinging API: success, /start, /fail; the body is kept as a note).
- **Secrets.** A webhook's URL is a secret. requests and urllib3 put it into their exceptions and logs. So no exception
  of theirs leaves this module, not even as a context, and their log records of these threads are dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests
from urllib3.exceptions import NewConnectionError

from wabawatch.adapters.http_rules import Answer, check_url, parse_retry_after
from wabawatch.application.credentials import host_of, is_loopback
from wabawatch.application.delivery import AbandonedThreads
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.errors import DeliveryError

_CONNECT_SECONDS: Final = 5.0
_MAX_BODY: Final = 4096
_MAX_ABANDONED: Final = 4
"""For each server: one that hangs must neither fill the process with threads nor stop deliveries to others."""
_THREAD: Final = "http-exchange"
_HEADERS: Final = {
    "Accept-Encoding": "identity",
    "Connection": "close",
    "Content-Type": "application/json",
    "User-Agent": "wabawatch",
}

_abandoned: Final = AbandonedThreads()


def _is_from_other_thread(_: logging.LogRecord) -> bool:
    return threading.current_thread().name != _THREAD


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_is_from_other_thread)


class HttpClient:
    """Posts to any server. Each request has its own connection: deliveries are rare, and a kept connection that the
    server has closed meanwhile would look like a failure."""

    def __init__(self, seconds: float) -> None:
        """`seconds` limits a request in total, from the name lookup to the end of the response."""
        self._seconds = seconds

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return the response, whatever its status; a body that did not end in time is returned as far as it came.

        Raises DeliveryError of kind PASSING where there is no response."""
        server = _server_of(url)
        if len(_abandoned.running(server)) >= _MAX_ABANDONED:
            raise DeliveryError(
                f"the last {_MAX_ABANDONED} requests to this server still hang; it gets no further one until one ends"
            )
        delivery = _PostThread(url, body, headers, self._seconds)
        delivery.start()
        delivery.join(self._seconds)
        if delivery.is_alive():
            _abandoned.add(server, delivery)
        response = delivery.response
        if response is None:
            error = delivery.error or f"no answer within {self._seconds:g} s"
            raise DeliveryError(error, is_answered=delivery.was_not_sent)
        return response


def _server_of(url: str) -> str:
    """Return host and port; "" for an invalid URL, which fails later, in the thread."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


class _PostThread(threading.Thread):
    """Sends one request, and holds what has arrived of the response so far."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> None:
        super().__init__(name=_THREAD, daemon=True)
        self._url = url
        self._body = body
        self._headers = headers
        self._seconds = seconds
        self._head: Answer | None = None
        self._received = bytearray()
        self.was_not_sent = False
        """Whether it is certain that the server received nothing."""
        self.error = ""
        """Why there is no response; it names no address."""

    @property
    def response(self) -> Answer | None:
        """None until the status is known."""
        head = self._head
        return head and msgspec.structs.replace(head, body=bytes(self._received).decode("utf-8", "replace"))

    def run(self) -> None:
        try:
            self._post()
        except requests.exceptions.SSLError:
            self.error = "the TLS handshake failed: look at the certificate"
            self.was_not_sent = True
        except requests.exceptions.Timeout as error:
            self.error = "no answer in time"
            self.was_not_sent = isinstance(error, requests.exceptions.ConnectTimeout)
        except Exception as error:  # noqa: BLE001 - a thread's border, and a traceback would quote the URL
            self.error = f"no connection, or one that broke ({type(error).__name__})"
            reason = getattr(error.args[0] if error.args else None, "reason", None)
            self.was_not_sent = isinstance(reason, NewConnectionError)

    def _post(self) -> None:
        """Send through the session's adapter: the session itself would read the whole body of a redirect, and take
        credentials from a .netrc. The body is read byte by byte, so that a slow one ends with the time."""
        ends_at = time.monotonic() + self._seconds
        request = requests.Request("POST", self._url, {**_HEADERS, **self._headers}, data=self._body).prepare()
        with requests.Session() as session:
            session.trust_env = not is_loopback(host_of(self._url))
            settings = session.merge_environment_settings(self._url, {}, stream=True, verify=True, cert=None)
            with session.get_adapter(self._url).send(
                request,
                stream=True,
                timeout=(min(_CONNECT_SECONDS, self._seconds), self._seconds),
                verify=settings["verify"] or True,  # a bundle of the environment, or the usual authorities
                proxies=settings["proxies"],
            ) as response:
                wait = parse_retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
                self._head = Answer(response.status_code, retry_after=wait)
                while len(self._received) < _MAX_BODY and time.monotonic() < ends_at:
                    byte = response.raw.read(1, decode_content=False)
                    if not byte:
                        break
                    self._received += byte


_PING_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8"}
_PING_PATHS: Final = {"start": "/start", "fail": "/fail"}
_PING_ACCEPTED: Final = range(200, 300)


class HttpHeartbeatSender:
    """Pings a URL. It is a secret: anyone who knows it can hide an outage of the monitor. `timeout` is in seconds."""

    def __init__(self, url: Callable[[], str], timeout: float) -> None:
        self._url = url
        self._client = HttpClient(timeout)

    def send(self, pulse: HeartbeatPing) -> None:
        """Send one ping. Raises DeliveryError, without the URL, or SecretError where the URL cannot be read."""
        url = check_url(self._url(), "the heartbeat's url").rstrip("/") + _PING_PATHS.get(pulse.kind, "")
        try:
            response = self._client.post(url, f"run {pulse.run_id}: {pulse.why}".encode(), _PING_HEADERS)
        except DeliveryError as error:
            raise DeliveryError(f"the heartbeat could not be sent: {error}") from None
        if response.status not in _PING_ACCEPTED:
            raise DeliveryError(f"the heartbeat was refused (HTTP {response.status})")
