"""Many requests at once from one thread: libcurl does the protocols, a selector tells which socket is ready."""

from __future__ import annotations

import selectors
import time
from datetime import timedelta
from typing import Final

import certifi
import pycurl

from wabawatch.adapters.dialog360.answers import Answer
from wabawatch.adapters.dialog360.exchange import Exchange

_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE
_EVENTS: Final = {pycurl.POLL_IN: _READ, pycurl.POLL_OUT: _WRITE, pycurl.POLL_INOUT: _READ | _WRITE}


class Transport:
    """Connections are kept for the next request, and for the next pass. Belongs to one thread.

    Deadlines stand still while the caller does something else: an answer that lies in the socket's buffer meanwhile is
    not late."""

    def __init__(self, timeout: timedelta, concurrency: int, ca_file: str | None = None) -> None:
        self._timeout = timeout.total_seconds()
        self._sockets = selectors.DefaultSelector()
        self._watched: set[int] = set()
        self._alarm: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_alarm)
        self._multi.setopt(pycurl.M_MAXCONNECTS, concurrency)
        # the same authorities on every machine; pycurl's wheel would take what it finds in the places of some systems
        self._ca_file = ca_file or certifi.where()
        self._concurrency = concurrency
        self._idle: list[Exchange] = []
        self._busy: dict[pycurl.Curl, Exchange] = {}
        self._away = 0.0
        self._seen = time.monotonic()

    @property
    def free(self) -> bool:
        return len(self._busy) < self._concurrency

    @property
    def busy(self) -> bool:
        return bool(self._busy)

    def start(self, url: str, key: str, token: object) -> None:
        """Begin a GET of `url`; its answer comes from `wait` with the token. Raises where libcurl cannot take it."""
        self._come_back()
        exchange = self._idle.pop() if self._idle else Exchange(self._ca_file)
        exchange.ask(url, key, token, self._now() + self._timeout)
        self._multi.add_handle(exchange.curl)
        self._busy[exchange.curl] = exchange

    def wait(self, seconds: float) -> list[tuple[object, Answer]]:
        """The answers that are in after at most this long, and those whose deadline has passed."""
        self._come_back()
        self._turn(max(0.0, min(seconds, self._until_first_deadline())))
        answers = [*self._finished(), *self._overdue()]
        self._seen = time.monotonic()
        return answers

    def abandon(self) -> None:
        """Drop what is under way; no answer of it will come."""
        for exchange in list(self._busy.values()):
            self._release(exchange)

    def close(self) -> None:
        self.abandon()
        self._multi.close()
        self._sockets.close()

    def _come_back(self) -> None:
        now = time.monotonic()
        self._away += now - self._seen
        self._seen = now

    def _now(self) -> float:
        return time.monotonic() - self._away

    def _until_first_deadline(self) -> float:
        """All have the same time, so that the one that was started first is due first."""
        first = next(iter(self._busy.values()), None)
        return first.deadline - self._now() if first else float("inf")

    def _turn(self, seconds: float) -> None:
        if self._alarm is not None:
            seconds = min(seconds, max(0.0, self._alarm - time.monotonic()))
        for ready, events in self._sockets.select(seconds):
            readable = pycurl.CSELECT_IN if events & _READ else 0
            writable = pycurl.CSELECT_OUT if events & _WRITE else 0
            self._multi.socket_action(ready.fd, readable | writable)
        if self._alarm is not None and time.monotonic() >= self._alarm:
            self._alarm = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _finished(self) -> list[tuple[object, Answer]]:
        answers: list[tuple[object, Answer]] = []
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            answers += [self._answered(curl) for curl in done]
            for curl, error, message in failed:
                if self._busy[curl].lost_its_connection:
                    self._repeat(self._busy[curl])
                else:
                    answers.append(self._failed(curl, error, message))
        return answers

    def _answered(self, curl: pycurl.Curl) -> tuple[object, Answer]:
        exchange = self._busy[curl]
        answer = exchange.token, exchange.answer()
        self._release(exchange)
        return answer

    def _failed(self, curl: pycurl.Curl, error: int, message: str) -> tuple[object, Answer]:
        exchange = self._busy[curl]
        answer = exchange.token, exchange.broken(error, message or pycurl.easy_strerror(error))
        self._release(exchange)
        return answer

    def _repeat(self, exchange: Exchange) -> None:
        """In the time that is left. A new connection that is reset is not tried again: libcurl repeats no such."""
        self._multi.remove_handle(exchange.curl)
        exchange.ask_again()
        self._multi.add_handle(exchange.curl)

    def _overdue(self) -> list[tuple[object, Answer]]:
        answers: list[tuple[object, Answer]] = []
        while self._until_first_deadline() <= 0:
            exchange = next(iter(self._busy.values()))
            answers.append((exchange.token, exchange.overdue(self._timeout)))
            self._release(exchange)
        return answers

    def _release(self, exchange: Exchange) -> None:
        del self._busy[exchange.curl]
        self._multi.remove_handle(exchange.curl)
        exchange.forget()
        self._idle.append(exchange)

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

    def _set_alarm(self, milliseconds: int) -> None:
        self._alarm = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
