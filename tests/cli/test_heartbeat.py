"""The heartbeat, from a run of the command line to a switch."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def test_the_heartbeat_is_sent_once_for_each_run_and_a_switch_that_is_away_stops_nothing(site):
    with ThreadingHTTPServer(("127.0.0.1", 0), Pings) as server:
        server.paths = []
        threading.Thread(target=server.serve_forever).start()
        site.configure(heartbeat={"url": f"http://127.0.0.1:{server.server_port}/ping"})
        site.once(times=2)
        site.server.set("*", failure="unauthorized")
        site.once()
        server.shutdown()
    assert server.paths == ["/ping/start", "/ping"] * 2 + ["/ping/start", "/ping/fail"]
    assert site.once()["targets"]["unknown"] == 3


class Pings(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.paths.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass
