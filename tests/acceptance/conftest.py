from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from wabawatch.simulator import Scenario, generated_fleet, running, write_config


class Sink:
    """A Slack-like incoming webhook that can fail, and remembers what it was sent.

    `heard` is called when a message has come in and is not answered yet."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.heard: Callable[[], None] = lambda: None
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = sink.answers.pop(0) if sink.answers else 200
                if status == 200:
                    sink.messages.append(json.loads(body))
                sink.heard()
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"ok" if status == 200 else b"no")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T000/B000/secret-path"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def texts(self) -> list[str]:
        return [json.dumps(message, ensure_ascii=False) for message in self.messages]


class Site:
    """A simulated fleet, a configuration that watches it, and the command line."""

    def __init__(self, folder: Path, server: Any, sink: Sink) -> None:
        self.folder = folder
        self.server = server
        self.sink = sink
        path = write_config(server.simulation, server.url, folder)
        settings = yaml.safe_load(path.read_text())
        settings["destinations"] = {"ops": {"kind": "slack", "webhook_url": "env:SLACK_WEBHOOK_URL"}}
        self.config = path
        self.settings = settings
        self.save()

    def save(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SLACK_WEBHOOK_URL": self.sink.url,
            "WABAWATCH_STATE": f"sqlite:{self.folder / 'state.db'}",
            "WABAWATCH_CONFIG": str(self.config),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "wabawatch", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def once(self) -> dict[str, Any]:
        done = self.call("run", "--once", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, sink: Sink) -> Iterator[Site]:
    options = getattr(request, "param", {"count": 1})
    scenario = Scenario(fleet=generated_fleet(**options), latency=timedelta())
    with running(scenario) as server:
        yield Site(tmp_path, server, sink)
