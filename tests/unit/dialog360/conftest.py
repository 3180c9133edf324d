import json
import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

import pytest

from wabawatch.adapters.dialog360 import Dialog360Source, Settings
from wabawatch.adapters.dialog360.answers import Answer
from wabawatch.adapters.dialog360.parsing import read_answer
from wabawatch.application.ports import Target
from wabawatch.errors import NotFetchedError, SecretError

KEY = "d360SecretKey0123456789"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def key():
    return KEY


@pytest.fixture
def read():
    """Read a body as the answer to a probe of the target `n1`."""

    def read(body, status=200, headers=None, *, key=KEY, target="n1", broken=None):
        if not isinstance(body, bytes):
            body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return read_answer(Answer(status, headers or {}, body, broken), target, key, NOW)

    return read


@pytest.fixture
def report(read):
    """The report that a document's `health_status` gives."""

    def report(health, **fields):
        return read({"health_status": health, "id": "100", **fields})

    return report


@pytest.fixture
def entity(report):
    """The only entity of a report, from its fields; a healthy number where nothing else is said."""

    def entity(**fields):
        entry = {"entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE"} | fields
        return report({"can_send_message": "AVAILABLE", "entities": [entry]}).entities[0]

    return entity


def http(body=b"", status=200, **headers):
    """The bytes of an answer; a document becomes JSON, and `Content_Length` a header of that name."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Length": len(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Text", *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def healthy(status="AVAILABLE"):
    return http({"health_status": {"can_send_message": status}})


class Request:
    """What came: the head as text, its headers, and where: the how manieth request of which connection."""

    def __init__(self, head, connection, turn):
        self.head, self.connection, self.turn = head, connection, turn
        pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.headers = {name.lower(): value for name, value in pairs}

    @property
    def key(self):
        return self.headers.get("d360-api-key")


class RawServer:
    """Does on the wire whatever `answer(request)` lists: bytes to send, seconds to wait, "close", "reset"."""

    def __init__(self, wrap=lambda stream: stream):
        self.answer = lambda _: [healthy()]
        self.requests = []
        self.connections = 0
        self._wrap = wrap
        self._streams = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ended = threading.Event()

    def __enter__(self):
        self._spawn(self._accept)
        return self

    def __exit__(self, *_):
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for stream in self._streams:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for stream in self._streams:
            stream.close()

    def _spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._streams.append(stream)
            self._spawn(self._converse, stream, self.connections)

    def _converse(self, stream, connection):
        with suppress(OSError):
            stream = self._wrap(stream)
            self._streams.append(stream)
            turn = 0
            while head := self._head(stream):
                turn += 1
                request = Request(head, connection, turn)
                self.requests.append(request)
                for action in self.answer(request):
                    if not self._do(stream, action):
                        return

    def _head(self, stream):
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            chunk = stream.recv(65536)
            if not chunk:
                return None
            received += chunk
        return received.decode("latin-1")

    def _do(self, stream, action):
        if isinstance(action, bytes):
            stream.sendall(action)
        elif action in ("close", "reset"):
            if action == "reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                stream.shutdown(socket.SHUT_RDWR)
            stream.close()
            return False
        else:
            self._ended.wait(action)
        return not self._ended.is_set()


@pytest.fixture
def servers():
    """Start raw servers: `servers()`."""
    with ExitStack() as stack:
        yield lambda **kwargs: stack.enter_context(RawServer(**kwargs))


@pytest.fixture
def server(servers):
    return servers()


class Clock:
    """The real time, or the one that a test sets."""

    def __init__(self):
        self.fixed = None

    def now(self):
        return self.fixed or datetime.now(UTC)


class Keys:
    """A key ring by hand: `held` is what is known by reference, `renewed` what reading anew would bring."""

    def __init__(self):
        self.held = {}
        self.renewed = {}
        self.late = set()
        self.prefetched = []
        self.refreshed = []

    def prefetch(self, references, stopped):
        self.is_over = stopped
        self.prefetched.append(list(references))

    def refresh(self, references, stopped):  # noqa: ARG002 - the port's signature
        self.refreshed.append(list(references))
        self.held |= self.renewed

    def held_key(self, reference):
        if reference in self.late:
            raise NotFetchedError(f"{reference}: the time was over")
        try:
            return self.held[reference]
        except KeyError:
            raise SecretError(f"{reference}: not there") from None


class NotifyContext:
    """A source with its keys and its clock, and targets `n1`, `n2`, … at one server."""

    def __init__(self, base_url):
        self.base_url = base_url
        self.keys = Keys()
        self.clock = Clock()
        self.sources = []

    def source(self, **settings):
        fields = {"base_url": self.base_url, "timeout": timedelta(seconds=5)} | settings
        self.sources.append(Dialog360Source(Settings(**fields), self.keys, self.clock))
        return self.sources[-1]

    def targets(self, count=1, base_url=None):
        found = [
            Target(f"n{number}", f"Number {number}", f"env:K{number}", base_url=base_url) for number in range(count)
        ]
        self.keys.held = {target.api_key: f"{KEY}-{target.id}" for target in found} | self.keys.held
        return found

    def observe(self, targets=None, source=None, *, until=None, **settings):
        source = source or self.source(**settings)
        targets = self.targets() if targets is None else targets
        return {one.target: one.outcome for one in source.observe(targets, until=until)}

    def close(self):
        for source in self.sources:
            source.close()


@pytest.fixture
def world(server):
    world = NotifyContext(server.url)
    yield world
    world.close()


@pytest.fixture
def wire():
    """The bytes of answers: `wire.http(body, status, **headers)` and `wire.healthy(status)`."""
    return type("Wire", (), {"http": staticmethod(http), "healthy": staticmethod(healthy)})


@pytest.fixture
def stopwatch():
    started = time.monotonic()
    return lambda: time.monotonic() - started
