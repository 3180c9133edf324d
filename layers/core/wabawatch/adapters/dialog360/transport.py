"""Run many requests concurrently in one thread: libcurl handles the protocols, a selector reports the ready sockets."""

from __future__ import annotations

import selectors
import time
from datetime import timedelta
from typing import Final

import certifi
import pycurl

from wabawatch.adapters.dialog360.request import Request, Response

_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE
_EVENTS: Final = {pycurl.POLL_IN: _READ, pycurl.POLL_OUT: _WRITE, pycurl.POLL_INOUT: _READ | _WRITE}


class Transport:
    """Keeps connections for the next request and the next pass. Belongs to one thread.

    Deadlines pause while the caller does other work: a response that waits in the socket's buffer meanwhile is not
    late."""

    def __init__(self, timeout: timedelta, concurrency: int, ca_file: str | None = None) -> None:
        self._timeout = timeout.total_seconds()
        self._sockets = selectors.DefaultSelector()
        self._watched: set[int] = set()
        self._timer: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, concurrency)
        # the same authorities on every machine; pycurl's wheel would search the places of some systems
        self._ca_file = ca_file or certifi.where()
        self._concurrency = concurrency
        self._idle: list[Request] = []
        self._busy: dict[pycurl.Curl, Request] = {}
        self._paused = 0.0
        self._seen = time.monotonic()

    @property
    def has_free_slot(self) -> bool:
        return len(self._busy) < self._concurrency

    @property
    def is_busy(self) -> bool:
        return bool(self._busy)

    def start(self, url: str, key: str, token: object) -> None:
        """Start a GET of `url`; `wait` returns its response with the token. Raises where libcurl refuses it."""
        self._resume_clock()
        request = self._idle.pop() if self._idle else Request(self._ca_file)
        request.prepare(url, key, token, self._now() + self._timeout)
        self._multi.add_handle(request.curl)
        self._busy[request.curl] = request

    def wait(self, seconds: float) -> list[tuple[object, Response]]:
        """Return the responses that arrive within this time, and those whose deadline has passed."""
        self._resume_clock()
        self._drive(max(0.0, min(seconds, self._until_first_deadline())))
        responses = [*self._collect_finished(), *self._collect_overdue()]
        self._seen = time.monotonic()
        return responses

    def abandon(self) -> None:
        """Cancel the pending requests; they get no response."""
        for request in list(self._busy.values()):
            self._release(request)

    def close(self) -> None:
        self.abandon()
        self._multi.close()
        self._sockets.close()

    def _resume_clock(self) -> None:
        now = time.monotonic()
        self._paused += now - self._seen
        self._seen = now

    def _now(self) -> float:
        return time.monotonic() - self._paused

    def _until_first_deadline(self) -> float:
        """Check the oldest request only: all have the same timeout."""
        first = next(iter(self._busy.values()), None)
        return first.deadline - self._now() if first else float("inf")

    def _drive(self, seconds: float) -> None:
        if self._timer is not None:
            seconds = min(seconds, max(0.0, self._timer - time.monotonic()))
        for ready, events in self._sockets.select(seconds):
            readable = pycurl.CSELECT_IN if events & _READ else 0
            writable = pycurl.CSELECT_OUT if events & _WRITE else 0
            self._multi.socket_action(ready.fd, readable | writable)
        if self._timer is not None and time.monotonic() >= self._timer:
            self._timer = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _collect_finished(self) -> list[tuple[object, Response]]:
        responses: list[tuple[object, Response]] = []
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            responses += [self._complete(curl) for curl in done]
            for curl, error, message in failed:
                if self._busy[curl].lost_connection:
                    self._retry(self._busy[curl])
                else:
                    responses.append(self._fail(curl, error, message))
        return responses

    def _complete(self, curl: pycurl.Curl) -> tuple[object, Response]:
        request = self._busy[curl]
        response = request.token, request.response()
        self._release(request)
        return response

    def _fail(self, curl: pycurl.Curl, error: int, message: str) -> tuple[object, Response]:
        request = self._busy[curl]
        response = request.token, request.fail(error, message or pycurl.easy_strerror(error))
        self._release(request)
        return response

    def _retry(self, request: Request) -> None:
        """Send again in the time that is left. A reset of a new connection is not retried: libcurl does not either."""
        self._multi.remove_handle(request.curl)
        request.retry()
        self._multi.add_handle(request.curl)

    def _collect_overdue(self) -> list[tuple[object, Response]]:
        responses: list[tuple[object, Response]] = []
        while self._until_first_deadline() <= 0:
            request = next(iter(self._busy.values()))
            responses.append((request.token, request.time_out(self._timeout)))
            self._release(request)
        return responses

    def _release(self, request: Request) -> None:
        del self._busy[request.curl]
        self._multi.remove_handle(request.curl)
        request.clear()
        self._idle.append(request)

    def _watch(self, what: int, socket: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        events = _EVENTS.get(what)
        if events and socket in self._watched:
            self._sockets.modify(socket, events)
        elif events:
            self._watched.add(socket)
            self._sockets.register(socket, events)
        elif socket in self._watched:
            self._watched.discard(socket)
            self._sockets.unregister(socket)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
