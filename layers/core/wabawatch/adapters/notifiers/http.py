"""One POST over HTTPS: bounded in time and size, never redirected, and silent about where it went.

A webhook's URL is a secret. requests and urllib3 put it into their exceptions and debug logs, so no exception of theirs
leaves this module, not even as a context, and their log of requests is muted.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from wabawatch.adapters.notifiers.answers import Answer, is_loopback, retry_after
from wabawatch.application.errors import DeliveryError

_CONNECT: Final = 5.0
_BODY: Final = 4096


class _NoAddresses(logging.Filter):
    """urllib3 logs the path of each request below WARNING, and the path of a webhook is its secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


logging.getLogger("urllib3.connectionpool").addFilter(_NoAddresses())


class _Watch:
    """Cuts a connection at the deadline, whatever it is doing: the timeouts of sockets begin anew with each byte, so
    that an answer which trickles would never end. It holds a duplicate, because TLS takes the first one over."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self.has_cut = False

    def over(self, connection: socket.socket, seconds: float) -> None:
        self._socket = connection.dup()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        self.has_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._socket.close()


class _Watched(threading.local):
    """The watch of the delivery that this thread makes."""

    watch: _Watch | None = None
    seconds: float = 0.0


_watched = _Watched()


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watch_over(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watch_over(super()._new_conn())


def _watch_over(connection: socket.socket) -> socket.socket:
    if _watched.watch is not None:
        _watched.watch.over(connection, _watched.seconds)
    return connection


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """Connections that a watch can cut."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - handed through
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        return manager


class _Session(requests.Session):
    """requests reads a redirect's whole body, however long, to say where it leads; nobody wants to know."""

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[requests.Response]:  # noqa: ANN401 - not looked at
        return iter(())


class Client:
    """One session for one notifier. A connection serves one request: deliveries are rare, and a kept one that the
    server has closed meanwhile would look like a failure."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long an exchange may take in all."""
        self._seconds = seconds
        self._session = _Session()
        self._session.auth = _as_it_is
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Any answer at all; DeliveryError, worth another try, where there is none."""
        watch = _watched.watch = _Watch()
        _watched.seconds = self._seconds
        try:
            outcome = self._exchange(url, body, headers)
        finally:
            _watched.watch = None
            watch.end()
        if watch.has_cut:  # to http.client a cut looks like the end of the headers
            raise DeliveryError(f"no answer within {self._seconds:g} s")
        if isinstance(outcome, str):
            raise DeliveryError(outcome)
        return outcome

    def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | str:
        """What was answered, or why nothing was, in words that name no address."""
        session = self._session
        session.trust_env = not is_loopback(url)
        try:
            with session.post(
                url,
                data=body,
                headers={**_HEADERS, **headers},
                allow_redirects=False,
                stream=True,
                timeout=(min(_CONNECT, self._seconds), self._seconds),
            ) as response:
                text = response.raw.read(_BODY, decode_content=False).decode("utf-8", "replace")
                return Answer(response.status_code, text, retry_after(response.headers))
        except requests.exceptions.SSLError:
            return "the TLS handshake failed: look at the certificate"
        except requests.exceptions.Timeout:
            return "no answer in time"
        except (requests.exceptions.RequestException, HTTPError, OSError, ValueError) as error:
            return f"no connection, or one that broke ({type(error).__name__})"


_HEADERS: Final = {
    "Accept-Encoding": "identity",
    "Connection": "close",
    "Content-Type": "application/json",
    "User-Agent": "wabawatch",
}


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In place of requests' own: a .netrc must not add credentials to a webhook."""
    return request
