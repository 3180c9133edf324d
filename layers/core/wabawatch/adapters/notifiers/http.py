"""One POST over HTTPS: bounded in time and size, never redirected, and silent about where it went.

The time-outs of requests count from byte to byte and for each address, and looking up a name has none. So each exchange
runs in a thread of its own, which is given up when the total time is over.

A webhook's URL is a secret. requests and urllib3 put it into their exceptions and logs, so no exception of theirs
leaves this module, not even as a context, and what they log in these threads is dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests
from urllib3.exceptions import NewConnectionError

from wabawatch.adapters.notifiers.http_rules import Answer
from wabawatch.adapters.retry_after import parse_retry_after
from wabawatch.application.abandoned import AbandonedThreads
from wabawatch.application.credentials import host_of, is_loopback
from wabawatch.errors import DeliveryError

_CONNECT: Final = 5.0
_BODY: Final = 4096
_MOST_ABANDONED: Final = 4
"""For each server: one that hangs must neither fill the process with threads nor stop deliveries to others."""
_THREAD: Final = "http-exchange"
_HEADERS: Final = {
    "Accept-Encoding": "identity",
    "Connection": "close",
    "Content-Type": "application/json",
    "User-Agent": "wabawatch",
}

_abandoned: Final = AbandonedThreads()


def _is_not_ours(_: logging.LogRecord) -> bool:
    return threading.current_thread().name != _THREAD


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_is_not_ours)


class Client:
    """Posts to any server. A connection serves one request: deliveries are rare, and a kept one that the server has
    closed meanwhile would look like a failure."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long an exchange may take in all, from looking up the name to the end of the answer."""
        self._seconds = seconds

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return any answer at all; of one whose body did not end in time, what had come. Raises DeliveryError, worth
        another try, where there is none."""
        server = _server(url)
        if len(_abandoned.running(server)) >= _MOST_ABANDONED:
            raise DeliveryError(
                f"the last {_MOST_ABANDONED} exchanges with this server hang; it is not asked again yet"
            )
        exchange = _Exchange(url, body, headers, self._seconds)
        thread = threading.Thread(target=exchange.run, name=_THREAD, daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            _abandoned.add(server, thread)
        answer = exchange.answer
        if answer is None:
            trouble = exchange.trouble or f"no answer within {self._seconds:g} s"
            raise DeliveryError(trouble, is_answered=exchange.was_not_sent)
        return answer


def _server(url: str) -> str:
    """Host and port; what is no URL fails later, in the exchange."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


class _Exchange:
    """One request and what has come of its answer so far."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> None:
        self._url = url
        self._body = body
        self._headers = headers
        self._seconds = seconds
        self._head: Answer | None = None
        self._received = bytearray()
        self.was_not_sent = False
        """Whether it is certain that the server got nothing."""
        self.trouble = ""
        """Why there is no answer, in words that name no address."""

    @property
    def answer(self) -> Answer | None:
        """None until the status is known."""
        head = self._head
        return head and msgspec.structs.replace(head, body=bytes(self._received).decode("utf-8", "replace"))

    def run(self) -> None:
        try:
            self._post()
        except requests.exceptions.SSLError:
            self.trouble = "the TLS handshake failed: look at the certificate"
            self.was_not_sent = True
        except requests.exceptions.Timeout as error:
            self.trouble = "no answer in time"
            self.was_not_sent = isinstance(error, requests.exceptions.ConnectTimeout)
        except Exception as error:  # noqa: BLE001 - a thread's border, and a traceback would quote the URL
            self.trouble = f"no connection, or one that broke ({type(error).__name__})"
            reason = getattr(error.args[0] if error.args else None, "reason", None)
            self.was_not_sent = isinstance(reason, NewConnectionError)

    def _post(self) -> None:
        """Send by the session's adapter: the session itself would read the whole body of a redirect, and take
        credentials from a .netrc. The body is read byte by byte, so that one that trickles ends with the time."""
        until = time.monotonic() + self._seconds
        request = requests.Request("POST", self._url, {**_HEADERS, **self._headers}, data=self._body).prepare()
        with requests.Session() as session:
            session.trust_env = not is_loopback(host_of(self._url))
            settings = session.merge_environment_settings(self._url, {}, stream=True, verify=True, cert=None)
            timeout = (min(_CONNECT, self._seconds), self._seconds)
            trusted = settings["verify"] or True  # a bundle of certificates of the environment, or the usual one
            with session.get_adapter(self._url).send(
                request, stream=True, timeout=timeout, verify=trusted, proxies=settings["proxies"]
            ) as response:
                wait = parse_retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
                self._head = Answer(response.status_code, retry_after=wait)
                while len(self._received) < _BODY and time.monotonic() < until:
                    byte = response.raw.read(1, decode_content=False)
                    if not byte:
                        break
                    self._received += byte
