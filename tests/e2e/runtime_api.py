"""The Lambda Runtime API on loopback, and one function under the real runtime's client against it.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

from tests.e2e.emulator import PYTHON

_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:artefact"
_TIMEOUT = 60


class Runtime:
    """A function's process, as Lambda starts it. `init_seconds` is its CPU time until it asked for work."""

    def __init__(self, function: Path, layer: Path | None, environment: dict[str, str]) -> None:
        self._events: queue.Queue[bytes] = queue.Queue()
        self._answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._asked = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._events, self._answers, self._asked))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._output = TemporaryFile("w+b")  # noqa: SIM115 - open as long as the process runs
        self._process = subprocess.Popen(
            [PYTHON, "-m", "awslambdaric", "app.handler"],
            cwd=function,
            env=environment | self._own_environment(function, layer),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        if not self._asked.wait(_TIMEOUT):
            said = "\n".join(self._lines)
            self.stop()
            raise AssertionError(f"the function did not start:\n{said}")
        self.init_seconds = _cpu_seconds(self._process.pid)

    def _own_environment(self, function: Path, layer: Path | None) -> dict[str, str]:
        return {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "artefact",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "LAMBDA_TASK_ROOT": str(function),
            "_HANDLER": "app.handler",
            "PYTHONPATH": str(layer / "python") if layer else "",
            "PYTHONDONTWRITEBYTECODE": "1",  # a layer can't be written to, so that every cold start compiles
        }

    @property
    def _lines(self) -> list[str]:
        """All that it wrote, which it does before it answers."""
        return os.pread(self._output.fileno(), 10_000_000, 0).decode().splitlines()

    def invoke(self, event: object) -> tuple[str, Any]:
        """("response", what it returned) or ("error", Lambda's error document)."""
        self._events.put(json.dumps(event).encode())
        try:
            return self._answers.get(timeout=_TIMEOUT)
        except queue.Empty:
            raise AssertionError("no answer:\n" + "\n".join(self._lines)) from None

    def log(self) -> list[dict[str, Any]]:
        """The JSON lines it wrote so far."""
        return [json.loads(line) for line in self._lines if line.startswith("{")]

    @property
    def peak_megabytes(self) -> float:
        """The most memory it ever held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def stop(self) -> None:
        """End the process and the server."""
        self._process.kill()
        self._process.wait()
        self._output.close()
        self._events.put(b"")  # lets a request that waits for work end
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _cpu_seconds(pid: int) -> float:
    """What its main thread has had of a processor, to the nanosecond; other processes' load is not in it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _handler(
    events: queue.Queue[bytes], answers: queue.Queue[tuple[str, Any]], asked: threading.Event
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.set()
            body = events.get()
            if not body:
                self.close_connection = True
                return
            deadline = int((time.time() + _TIMEOUT) * 1000)
            self._answer(
                200,
                body,
                {
                    "Lambda-Runtime-Aws-Request-Id": _ID,
                    "Lambda-Runtime-Deadline-Ms": str(deadline),
                    "Lambda-Runtime-Invoked-Function-Arn": _ARN,
                },
            )

        def do_POST(self) -> None:
            body = json.loads(self._body() or b"null")
            self._answer(202, b'{"status": "OK"}', {})
            answers.put((self.path.rsplit("/", 1)[-1], body))

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (
                {"Content-Length": str(len(body)), "Content-Type": "application/json"} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
