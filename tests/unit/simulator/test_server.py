"""The server: keys, connections, request counts, and control over HTTP."""

import http.client
import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from wabawatch.simulator import Scenario, ScenarioError, Simulation, generated_fleet, running


@pytest.fixture
def control(client):
    def control(method, path, body=None):
        status, _, answer = client.get(method=method, path=path, body=json.dumps(body) if body is not None else None)
        return status, json.loads(answer)

    return control


@pytest.mark.parametrize("key", [pytest.param("sim_nobody", id="unknown"), pytest.param(" ", id="empty")])
def test_a_key_that_is_not_known_gets_401_in_the_provider_s_envelope(client, key):
    status, _, body = client.get(key=key)
    assert (status, json.loads(body)["meta"]["http_code"]) == (401, 401)


def test_a_request_without_a_key_gets_401(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stream:
        stream.sendall(b"GET /health_status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_key_belongs_to_one_number_and_can_be_chosen(server, client):
    ids = {number["id"]: number["entities"][0]["id"] for number in server.numbers()}
    assert json.loads(client.get()[2])["id"] == ids["support-de"]
    assert json.loads(client.get(key="brazilian-key")[2])["id"] == ids["sales-br"]


def test_one_connection_carries_many_requests(server, client):
    connection = client.connect()
    assert [client.get(connection)[0] for _ in range(5)] == [200] * 5
    connection.close()
    assert server.requests()["connections"] == 1
    assert server.requests()["total"] == 5


def test_a_request_that_is_not_http_gets_400(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stream:
        stream.sendall(b"hello\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 400 ")


def exchange(server, request):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stream:
        stream.sendall(request)
        stream.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: stream.recv(65536), b""))


def test_a_client_that_expects_100_continue_gets_it(server):
    start = (
        b"PUT /simulator/numbers/support-de HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 17\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stream:
        stream.sendall(start)
        assert stream.recv(1000).startswith(b"HTTP/1.1 100 ")
        stream.sendall(b'{"failure":"html"}'[:17])
        assert stream.recv(1000).startswith(b"HTTP/1.1 400 "), "one brace short: not JSON"


def test_a_body_without_end_is_refused(server):
    size = 1024 * 1024 + 1
    start = f"PUT /simulator/numbers/support-de HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    assert exchange(server, start + b" " * size).startswith(b"HTTP/1.1 413 ")


def test_a_connection_that_asks_to_be_closed_is_closed(server):
    answer = exchange(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", "/health_status", 405, id="health is only read"),
        pytest.param("GET", "/v1/configs/webhook", 404, id="there is nothing else of the provider's"),
        pytest.param("PATCH", "/simulator/numbers/support-de", 405, id="a change is PUT, POST or DELETE"),
        pytest.param("PUT", "/simulator/planets/mars", 404, id="an unknown kind of entity"),
    ],
)
def test_refuses(client, method, path, status):
    assert client.get(method=method, path=path)[0] == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        pytest.param("GET", "/simulator/numbers", {"Host": "rebind.evil.example"}, None, 403, id="another host reads"),
        pytest.param("GET", "/", {"Host": "127.0.0.1.evil.example"}, None, 403, id="it reads the help, with a key"),
        pytest.param("POST", "/simulator/pause", {"Origin": "https://evil.example"}, None, 403, id="a page of a site"),
        pytest.param("POST", "/simulator/pause", {"Origin": "null"}, None, 403, id="a page without a name"),
        pytest.param("PUT", "/simulator/numbers/*", {"Content-Type": "text/plain"}, '{"heal":true}', 415, id="text"),
        pytest.param("PUT", "/simulator/numbers/*", {}, '{"failure":"html"}', 415, id="no type"),
        pytest.param("GET", "/simulator/story", {"Host": "localhost:8360"}, None, 200, id="this machine by its name"),
        pytest.param("GET", "/simulator/story", {"Host": "[::1]:8360"}, None, 200, id="this machine by its address"),
        pytest.param(
            "PUT", "/simulator/numbers/*", {"Host": "localhost", "Origin": "http://localhost",
            "Content-Type": "application/json; charset=utf-8"}, '{"failure":"html"}', 200, id="a page of its own",
        ),
    ],
)  # fmt: skip
def test_only_local_clients_have_control_and_no_web_page_in_a_browser(server, method, path, headers, body, status):
    before = server.numbers()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, body, headers)
    with connection.getresponse() as answer:
        text = answer.read().decode()
    connection.close()
    assert answer.status == status
    if status != 200:
        assert server.numbers() == before
        assert not any(number["key"] in text for number in before)


def test_requests_are_counted_by_number_and_headers_are_shown_without_the_key(client, control):
    client.get()
    client.get()
    client.get(key="brazilian-key")
    client.get(key="nobody")
    status, document = control("GET", "/simulator/requests")
    assert status == 200
    assert document["by_number"] == {"support-de": 2, "sales-br": 1}
    assert (document["total"], document["unknown_key"]) == (4, 1)
    assert "host" in document["last_headers"]
    assert client.key not in json.dumps(document)
    assert "nobody" not in json.dumps(document)
    assert control("DELETE", "/simulator/requests")[1]["total"] == 0


def test_the_maximum_of_concurrent_requests_is_counted(client):
    scenario = Scenario(fleet=generated_fleet(20), latency=timedelta(milliseconds=300))
    with running(scenario) as server, ThreadPoolExecutor(20) as pool:
        keys = [number["key"] for number in server.numbers()]
        slow_client = type(client)(server, "support-de")
        assert {answer[0] for answer in pool.map(lambda key: slow_client.get(key=key), keys)} == {200}
        assert server.requests()["max_concurrent"] > 1
        assert server.requests()["in_progress"] == 0


def test_help_shows_commands_that_work_as_printed(client):
    status, headers, body = client.get(path="/")
    lines = [line.strip() for line in body.decode().splitlines() if line.strip().startswith("curl -H")]
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "D360-API-KEY" in lines[0]
    assert b"reset_reused" in body
    assert b"141006" in body
    printed = subprocess.run(["sh", "-c", lines[0]], capture_output=True, check=True, timeout=10).stdout
    assert json.loads(printed)["health_status"]["can_send_message"] == "AVAILABLE"


def test_the_numbers_are_listed_with_keys_entities_and_status(control, client):
    status, document = control("GET", "/simulator/numbers")
    number = document["numbers"][0]
    assert status == 200
    assert (number["id"], number["name"], number["key"]) == ("support-de", "Support Germany", client.key)
    assert [found["entity_type"] for found in number["entities"]] == ["PHONE_NUMBER", "WABA", "BUSINESS", "APP"]
    assert (number["status"], number["overall"], number["failure"]) == ("AVAILABLE", "AVAILABLE", None)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_entity_is_changed_and_healed_over_http(control, client, method):
    status, document = control(method, "/simulator/wabas/acme-eu", {"status": "BLOCKED", "reasons": [141006]})
    assert status == 200
    assert [number["status"] for number in document["numbers"]] == ["BLOCKED", "BLOCKED", "AVAILABLE", "AVAILABLE"]
    assert client.health()["health_status"]["can_send_message"] == "BLOCKED"
    assert control("DELETE", "/simulator/waba/acme-eu")[0] == 200
    assert client.health()["health_status"]["can_send_message"] == "AVAILABLE"


def test_a_star_means_all_and_healing_all_numbers_heals_everything(control, server):
    control("PUT", "/simulator/numbers/*", {"failure": "reset"})
    control("PUT", "/simulator/businesses/acme", {"status": "BLOCKED"})
    assert {number["failure"] for number in server.numbers()} == {"reset"}
    control("DELETE", "/simulator/numbers/%2A")
    assert {(number["failure"], number["status"]) for number in server.numbers()} == {(None, "AVAILABLE")}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        pytest.param("numbers/support-de", {"statsu": "BLOCKED"}, "write status", id="unknown field"),
        pytest.param("numbers/suport-de", {"status": "BLOCKED"}, "write support-de", id="unknown number"),
        pytest.param(
            "numbers/support-de", {"failure": "timeout"}, 'failure: "timeout" is not known here', id="unknown failure"
        ),
        pytest.param("numbers/support-de", {}, "nothing changes here", id="nothing to do"),
        pytest.param("numbers/support-de", [], "expected a mapping", id="no mapping"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(control, server, path, body, expected):
    before = server.numbers()
    status, document = control("PUT", f"/simulator/{path}", body)
    assert status == 400
    assert expected in document["error"]
    assert server.numbers() == before


def test_a_body_that_is_not_json_is_refused(client):
    status, _, body = client.get(method="PUT", path="/simulator/numbers/support-de", body="status=BLOCKED")
    assert status == 400
    assert "not JSON" in json.loads(body)["error"]


def test_a_running_server_can_heal_and_clear_its_counts(server, client):
    server.set("support-de", failure="text")
    client.get()
    server.clear_requests()
    server.heal("support-de")
    assert server.requests()["total"] == 0
    assert "health_status" in client.health()


def test_a_running_server_refuses_a_wrong_change(server):
    with pytest.raises(ScenarioError, match="write acme-eu"):
        server.set("waba:acme-ue", status="BLOCKED")


def test_a_port_in_use_raises_os_error(scenario, server):
    with pytest.raises(OSError, match="address"), running(scenario, port=server.port):
        pass


def test_a_simulation_can_be_prepared_before_it_is_served(scenario):
    simulation = Simulation(scenario)
    simulation.apply(simulation.change("waba", "acme-eu", {"status": "LIMITED"}))
    with running(simulation) as server:
        assert server.numbers()[0]["status"] == "LIMITED"


def test_closing_ends_connections_that_trickle_and_those_that_wait(scenario, caplog):
    with running(scenario) as server:
        server.set("support-de", failure="trickle_body")
        server.set("orders-es", failure={"kind": "slow", "delay": "1h"})
        streams = []
        for number in server.numbers()[:2]:
            stream = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            stream.sendall(f"GET /health_status HTTP/1.1\r\nHost: x\r\nD360-API-KEY: {number['key']}\r\n\r\n".encode())
            streams.append(stream)
        streams[0].recv(10)
    for stream in streams:
        stream.close()
    assert [record.getMessage() for record in caplog.records] == []
