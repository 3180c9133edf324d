"""`notify-test`."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


@pytest.fixture
def hook():
    """A loopback webhook that answers with `status` and keeps what came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            hook.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(hook.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    hook = HTTPServer(("127.0.0.1", 0), Handler)
    hook.bodies, hook.status = [], 200
    thread = threading.Thread(target=hook.serve_forever, daemon=True)
    thread.start()
    yield hook
    hook.shutdown()
    hook.server_close()
    thread.join()


@pytest.fixture
def slack(site, hook):
    site.environment["HOOK"] = f"http://127.0.0.1:{hook.server_port}/services/T/B/hidden"
    site.configure(destinations={"ops": {"kind": "slack", "webhook_url": "env:HOOK"}})
    return site


def test_a_marked_test_goes_through_the_real_path_and_is_not_recorded(slack, hook):
    assert slack.ok("notify-test", "ops") == "delivered to ops\n"
    (body,) = [json.loads(one) for one in hook.bodies]
    assert body["text"].splitlines()[0].endswith("TEST: ops can be reached")
    assert "Nothing has happened" in body["text"]
    assert not any(number["name"] in body["text"] for number in slack.server.numbers())
    assert slack.document("incidents", "--all")["incidents"] == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(404, 64, id="what somebody must repair exits 64"),
        pytest.param(503, 75, id="what may pass exits 75"),
    ],
)
def test_a_refusal_is_told_without_the_url(slack, hook, status, code):
    hook.status = status
    done = slack.call("notify-test", "ops")
    assert done.exit_code == code
    assert "ops did not accept it" in done.stderr
    assert "hidden" not in done.output


def test_the_console_s_test_is_printed(site):
    assert "TEST: " in site.ok("notify-test", "console")
