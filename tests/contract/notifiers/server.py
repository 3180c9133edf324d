"""A server on the loopback interface that answers as told, badly if told so, and keeps what it was sent."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesParser


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """`answers` are used up in turn, the last one for ever. An answer is bytes, or one of SILENCE, RESET, TRICKLE."""

    answers: list = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self._closing.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self.requests.append(_read(connection.makefile("rb")))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(answer):
                    answer(connection, self._closing)
                else:
                    connection.sendall(answer)
            except OSError:
                return


def _read(stream):
    path = stream.readline().split()[1].decode()
    headers = dict(BytesParser().parsebytes(b"".join(iter(stream.readline, b"\r\n"))).items())
    return Request(path, headers, stream.read(int(headers.get("Content-Length", 0))))


def http(status, body=b"", **headers):
    """An answer of HTTP/1.1 that ends the connection."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def silence(_connection, closing):
    closing.wait(30)


def reset(connection, _closing):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def trickle(connection, closing):
    """A header that comes byte by byte, well within every single read's patience, and would end well in time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(60):
        connection.sendall(b"x")
        if closing.wait(0.05):
            return
    connection.sendall(b"\r\nContent-Length: 2\r\n\r\nok")


def flood(connection, closing):
    """A body without end."""
    connection.sendall(b"HTTP/1.1 500 Said\r\n\r\n")
    while not closing.is_set():
        connection.sendall(b"x" * 65536)
