"""A Slack-like incoming webhook: answers `ok`, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/services/T000/B000/secret-part-of-the-url"


class Sink:
    """What arrived at the webhook, in order. `refuse` makes it answer 503 until it is unset."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.messages: list[dict[str, Any]] = []
        self.refuse = False

    def texts(self) -> list[str]:
        """Each message as one text, whatever its blocks."""
        return [json.dumps(message, ensure_ascii=False) for message in self.messages]


@contextmanager
def webhook_sink() -> Iterator[Sink]:
    """Serve on a free loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != PATH:
                self._answer(404, b"no_service")
            elif sink.refuse:
                self._answer(503, b"service_unavailable")
            else:
                sink.messages.append(json.loads(body))
                self._answer(200, b"ok")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sink = Sink(f"http://127.0.0.1:{server.server_port}{PATH}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
