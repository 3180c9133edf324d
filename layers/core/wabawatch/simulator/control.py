"""Control of a running simulator over HTTP, on the same port; `HELP` is the documentation of the API.

`Control` also holds what the server needs beside the simulation: the scenario's clock and the log of requests.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, UnsetType

from wabawatch.application.credentials import host_of, is_loopback
from wabawatch.config.walker import FieldError, Fields, mapping
from wabawatch.simulator.failures import FAILURES
from wabawatch.simulator.fleet import CATALOGUE, TYPES
from wabawatch.simulator.http import Request, Response, json_response, text_response
from wabawatch.simulator.quirks import QUIRKS
from wabawatch.simulator.reading import Duration, ScenarioError, read_fields
from wabawatch.simulator.scenario import Step
from wabawatch.simulator.simulation import Simulation

HELP = """A simulated WhatsApp health API. Nothing here is real.

Read the health of one number, as a monitor does (every number has its own key):
  curl -H 'D360-API-KEY: {key}' {url}/health_status

List the numbers with their keys, entities and statuses; the requests so far; the scenario's steps and the time:
  curl {url}/simulator/numbers
  curl {url}/simulator/requests                 (-X DELETE resets the counts)
  curl {url}/simulator/story

Change something. Numbers, wabas, businesses, apps and templates are given by name; '*' is all of them. The request must
have the content type of JSON:
  JSON='Content-Type: application/json'
  curl -X PUT -H "$JSON" {url}/simulator/wabas/{waba} -d '{{"status": "BLOCKED", "reasons": [141006]}}'
  curl -X PUT -H "$JSON" {url}/simulator/numbers/{number} -d '{{"failure": {{"kind": "unauthorized", "times": 3}}}}'
  curl -X PUT -H "$JSON" {url}/simulator/numbers/{number} -d '{{"failure": {{"kind": "slow", "delay": "8s"}}}}'
  curl -X PUT -H "$JSON" {url}/simulator/numbers/{number} -d '{{"quirks": ["no_wrapper", "jitter"]}}'
  curl -X DELETE {url}/simulator/wabas/{waba}     heals it
  curl -X DELETE '{url}/simulator/numbers/*'    heals everything

Pause or resume the scenario, or set its time:
  curl -X POST {url}/simulator/pause
  curl -X POST {url}/simulator/resume
  curl -X POST -H "$JSON" {url}/simulator/skip -d '{{"to": "60s"}}'     or {{"by": "20s"}}

Fields of a change: status, any can_…, reasons, info, seen_by, failure, quirks, heal.
Reasons: {reasons}, or {{"code": …, "description": …, "possible_solution": …}}.
Failures: {failures}.
Quirks: {quirks}.
"""

_SECRET_HEADERS = ("d360-api-key", "authorization", "cookie")
_PLURALS = {"wabas": "waba", "businesses": "business", "numbers": "number", "apps": "app", "templates": "template"}
_CHANGE_METHODS = ("PUT", "POST", "DELETE")
_BODY = "the request's body"
_KINDS = _PLURALS | {kind: kind for kind in TYPES}


class SkipFields(Fields):
    """Fields of a skip: `to` a time after the scenario's start, or forward `by` a duration."""

    to: Duration | UnsetType = UNSET
    by: Duration | UnsetType = UNSET


class ScenarioClock:
    """The time since the scenario's start. It can be paused and set.

    It runs from its creation, unless paused. `now` returns seconds that never decrease.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, paused: bool = False) -> None:
        self._now = now
        self._before = timedelta()
        self._resumed_at: float | None = None if paused else now()

    @property
    def paused(self) -> bool:
        return self._resumed_at is None

    def elapsed(self) -> timedelta:
        running = 0.0 if self._resumed_at is None else self._now() - self._resumed_at
        return self._before + timedelta(seconds=running)

    def pause(self) -> None:
        self._before, self._resumed_at = self.elapsed(), None

    def resume(self) -> None:
        if self._resumed_at is None:
            self._resumed_at = self._now()

    def go_to(self, elapsed: timedelta) -> None:
        self._before = elapsed
        self._resumed_at = None if self.paused else self._now()


class RequestLog:
    """Counts the health requests since the start, or since `clear`. API keys are never kept."""

    def __init__(self) -> None:
        self.in_progress = 0
        self.clear()

    def clear(self) -> None:
        self.total = 0
        self.unknown_key = 0
        self.max_concurrent = 0
        self.connections = 0
        self.by_number: Counter[str] = Counter()
        self.last_headers: dict[str, str] = {}

    @contextmanager
    def record(self, number_id: str | None, headers: Mapping[str, str], *, reused: bool) -> Iterator[None]:
        """Count one request, and as in progress until the block ends."""
        self.total += 1
        self.connections += not reused
        self.last_headers = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        if number_id is None:
            self.unknown_key += 1
        else:
            self.by_number[number_id] += 1
        self.in_progress += 1
        self.max_concurrent = max(self.max_concurrent, self.in_progress)
        try:
            yield
        finally:
            self.in_progress -= 1

    def document(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "unknown_key": self.unknown_key,
            "in_progress": self.in_progress,
            "max_concurrent": self.max_concurrent,
            "connections": self.connections,
            "by_number": dict(self.by_number),
            "last_headers": self.last_headers,
        }


class Control:
    """Moves the simulation with the clock, and answers every request except /health_status.

    `on_step` is called with each step when it is applied.
    """

    def __init__(
        self, simulation: Simulation, clock: ScenarioClock, on_step: Callable[[Step], None] | None = None
    ) -> None:
        self.simulation, self.clock, self.requests = simulation, clock, RequestLog()
        self._on_step = on_step
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/"): self._help,
            ("GET", "/simulator"): self._help,
            ("GET", "/simulator/numbers"): self._numbers,
            ("GET", "/simulator/requests"): self._requests,
            ("DELETE", "/simulator/requests"): self._clear_requests,
            ("GET", "/simulator/story"): self._story,
            ("POST", "/simulator/pause"): self._pause,
            ("POST", "/simulator/resume"): self._resume,
            ("POST", "/simulator/skip"): self._skip,
        }

    def apply_due_steps(self) -> None:
        for step in self.simulation.advance(self.clock.elapsed()):
            if self._on_step:
                self._on_step(step)

    def go_to(self, elapsed: timedelta) -> None:
        """Set the clock, and apply the steps up to that moment."""
        self.clock.go_to(elapsed)
        self.apply_due_steps()

    def respond(self, request: Request) -> Response:
        if rejection := _reject_foreign(request):
            return rejection
        path = request.path.partition("?")[0].rstrip("/") or "/"
        try:
            route = self._routes.get((request.method, path))
            return route(request) if route else self._change(request, path)
        except ScenarioError as error:
            return json_response(400, {"error": str(error)})

    def _change(self, request: Request, path: str) -> Response:
        kind, _, name = path.removeprefix("/simulator/").partition("/")
        if not path.startswith("/simulator/") or kind not in _KINDS or not name:
            return json_response(404, {"error": f"there is nothing at {path}; GET / lists what there is"})
        if request.method not in _CHANGE_METHODS:
            headers = (("Allow", ", ".join(_CHANGE_METHODS)),)
            return json_response(405, {"error": "PUT or POST changes it, DELETE heals it"}, headers)
        fields = {"heal": True} if request.method == "DELETE" else _body(request)
        self.simulation.apply(self.simulation.change(_KINDS[kind], unquote(name), fields))
        return self._numbers(request)

    def _help(self, request: Request) -> Response:
        number = self.simulation.scenario.fleet.numbers[0]
        lists = {"failures": FAILURES, "quirks": QUIRKS, "reasons": map(str, CATALOGUE)}
        joined = {name: ", ".join(values) for name, values in lists.items()}
        url = f"http://{request.headers.get('host')}"
        help_text = HELP.format(url=url, key=number.key, number=number.id, waba=number.waba, **joined)
        return text_response(200, help_text)

    def _numbers(self, _request: Request) -> Response:
        return json_response(200, {"numbers": self.simulation.numbers()})

    def _requests(self, _request: Request) -> Response:
        return json_response(200, self.requests.document())

    def _clear_requests(self, request: Request) -> Response:
        self.requests.clear()
        return self._requests(request)

    def _story(self, _request: Request) -> Response:
        scenario = self.simulation.scenario
        document = {
            "title": scenario.title,
            "elapsed": round(self.clock.elapsed().total_seconds(), 3),
            "paused": self.clock.paused,
            "repeat": scenario.repeat,
            "steps": [_describe_step(step) for step in scenario.steps],
        }
        return json_response(200, document)

    def _pause(self, request: Request) -> Response:
        self.clock.pause()
        return self._story(request)

    def _resume(self, request: Request) -> Response:
        self.clock.resume()
        return self._story(request)

    def _skip(self, request: Request) -> Response:
        body = read_fields(_body(request), _BODY, SkipFields, dict)
        if not body:
            raise ScenarioError(f"{_BODY}: by: missing; write for example by: 20s, or to: 60s")
        self.go_to(body["to"] if "to" in body else self.clock.elapsed() + body["by"])
        return self._story(request)


def _reject_foreign(request: Request) -> Response | None:
    """Reject requests that a web page could make from a browser on this machine.

    A page can use any host name (DNS rebinding), and can post any type but JSON to any address; the browser then sends
    the page's origin.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not is_loopback(host_of(f"//{host}")):
        return json_response(
            403, {"error": "the Host header names another machine; write http://127.0.0.1 or localhost"}
        )
    if origin is not None and origin != f"http://{host}":
        return json_response(403, {"error": "the request comes from another site's page (Origin header)"})
    if request.body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return json_response(415, {"error": "send the body with the header Content-Type: application/json"})
    return None


def _describe_step(step: Step) -> dict[str, Any]:
    change = step.change
    return {"at": step.at.total_seconds(), "kind": change.kind, "names": change.names, "caption": step.caption}


def _body(request: Request) -> dict[str, Any]:
    try:
        return dict(mapping(msgspec.json.decode(request.body)))
    except msgspec.DecodeError as error:
        raise ScenarioError(f"{_BODY}: this is not JSON: {error}") from None
    except FieldError as error:
        raise ScenarioError(f"{_BODY}: {error}") from None
