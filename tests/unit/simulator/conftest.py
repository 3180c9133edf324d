"""A server for these tests, and a client that can return the raw bytes."""

import http.client
import json
import socket

import pytest

from wabawatch.simulator import parse_scenario, running

SCENARIO = """
fleet:
  numbers:
    - {id: support-de, name: Support Germany, waba: acme-eu, business: acme, app: desk}
    - {id: orders-es, name: Orders Spain, waba: acme-eu, business: acme, app: desk, templates: [shipped]}
    - {id: sales-br, name: Sales Brazil, waba: acme-latam, business: acme, app: desk, key: brazilian-key}
    - {id: bookings-no, name: Bookings Norway, waba: nordwind, calling: unused, app: voice}
"""


class Client:
    """Reads the health of one number, with a new connection for each request unless `connection` is given."""

    def __init__(self, server, number_id="support-de"):
        self.server = server
        self.key = next(number["key"] for number in server.numbers() if number["id"] == number_id)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)

    def get(self, connection=None, path="/health_status", method="GET", key=None, body=None):
        """(status, headers, body) of one request."""
        used = connection or self.connect()
        try:
            content_type = {} if body is None else {"Content-Type": "application/json"}
            used.request(method, path, body, {"D360-API-KEY": key or self.key} | content_type)
            with used.getresponse() as response:
                return response.status, response.headers, response.read()
        finally:
            if used is not connection:
                used.close()

    def health(self):
        return json.loads(self.get()[2])

    def raw(self, limit=10_000_000):
        """Return every byte until the server closes, or until there are `limit`; raises ConnectionResetError."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as stream:
            stream.sendall(f"GET /health_status HTTP/1.1\r\nHost: x\r\nD360-API-KEY: {self.key}\r\n\r\n".encode())
            received = b""
            while len(received) < limit and (piece := stream.recv(65536)):
                received += piece
            return received


@pytest.fixture
def scenario():
    return parse_scenario(SCENARIO)


@pytest.fixture
def server(scenario):
    with running(scenario) as running_server:
        yield running_server


@pytest.fixture
def client(server):
    return Client(server)
