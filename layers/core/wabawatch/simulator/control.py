"""Steering by hand, over HTTP on the same port; `HELP` is its documentation."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import msgspec

from wabawatch.application.credentials import host_of, is_loopback

from .answers import Answer, json_answer, plain
from .failures import FAILURES
from .fleet import TYPES
from .http import Request
from .quirks import QUIRKS
from .reading import Origin, ScenarioError, Section, duration
from .reasons import CATALOGUE
from .scenario import Step
from .stage import Stage

HELP = """A simulated WhatsApp health API. Nothing here is real.

Read one number's health, as a monitor does (every number has a key of its own):
  curl -H 'D360-API-KEY: {key}' {url}/health_status

See every number, its key, its entities and its status; what was asked so far; where the story is:
  curl {url}/simulator/numbers
  curl {url}/simulator/requests                 (-X DELETE counts from zero again)
  curl {url}/simulator/story

Change something; numbers, wabas, businesses, apps and templates are known by name, '*' is all of them. A body must say
that it is JSON:
  JSON='Content-Type: application/json'
  curl -X PUT -H "$JSON" {url}/simulator/wabas/{waba} -d '{{"status": "BLOCKED", "reasons": [141006]}}'
  curl -X PUT -H "$JSON" {url}/simulator/numbers/{number} -d '{{"failure": {{"kind": "unauthorized", "times": 3}}}}'
  curl -X PUT -H "$JSON" {url}/simulator/numbers/{number} -d '{{"failure": {{"kind": "slow", "delay": "8s"}}}}'
  curl -X PUT -H "$JSON" {url}/simulator/numbers/{number} -d '{{"quirks": ["no_wrapper", "jitter"]}}'
  curl -X DELETE {url}/simulator/wabas/{waba}     heals it
  curl -X DELETE '{url}/simulator/numbers/*'    heals everything

Hold the story, let it go on, or set it:
  curl -X POST {url}/simulator/pause
  curl -X POST {url}/simulator/resume
  curl -X POST -H "$JSON" {url}/simulator/skip -d '{{"to": "60s"}}'     or {{"by": "20s"}}

Fields of a change: status, any can_…, reasons, info, seen_by, failure, quirks, heal.
Reasons: {reasons}, or {{"code": …, "description": …, "possible_solution": …}}.
Failures: {failures}.
Quirks: {quirks}.
"""

_PLURALS = {"wabas": "waba", "businesses": "business", "numbers": "number", "apps": "app", "templates": "template"}
_CHANGING = ("PUT", "POST", "DELETE")
_KINDS = _PLURALS | {kind: kind for kind in TYPES}


class Control:
    """Answers everything but /health_status."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fixed: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/"): self._help,
            ("GET", "/simulator"): self._help,
            ("GET", "/simulator/numbers"): self._numbers,
            ("GET", "/simulator/requests"): self._requests,
            ("DELETE", "/simulator/requests"): self._forget_requests,
            ("GET", "/simulator/story"): self._story,
            ("POST", "/simulator/pause"): self._pause,
            ("POST", "/simulator/resume"): self._resume,
            ("POST", "/simulator/skip"): self._skip,
        }

    def respond(self, request: Request) -> Answer:
        if refusal := _refuse_foreign(request):
            return refusal
        path = request.path.partition("?")[0].rstrip("/") or "/"
        try:
            fixed = self._fixed.get((request.method, path))
            return fixed(request) if fixed else self._change(request, path)
        except ScenarioError as mistake:
            return json_answer(400, {"error": str(mistake)})

    def _change(self, request: Request, path: str) -> Answer:
        kind, _, name = path.removeprefix("/simulator/").partition("/")
        if not path.startswith("/simulator/") or kind not in _KINDS or not name:
            return json_answer(404, {"error": f"there is nothing at {path}; GET / lists what there is"})
        if request.method not in _CHANGING:
            headers = (("Allow", ", ".join(_CHANGING)),)
            return json_answer(405, {"error": "PUT or POST changes it, DELETE heals it"}, headers)
        fields = {"heal": True} if request.method == "DELETE" else _body(request).fields
        simulation = self._stage.simulation
        simulation.apply(simulation.change(_KINDS[kind], unquote(name), fields))
        return self._numbers(request)

    def _help(self, request: Request) -> Answer:
        number = self._stage.simulation.scenario.fleet.numbers[0]
        lists = {"failures": FAILURES, "quirks": QUIRKS, "reasons": map(str, CATALOGUE)}
        words = {name: ", ".join(values) for name, values in lists.items()}
        filled = HELP.format(
            url=f"http://{request.headers.get('host')}", key=number.key, number=number.id, waba=number.waba, **words
        )
        return plain(200, filled)

    def _numbers(self, _request: Request) -> Answer:
        return json_answer(200, {"numbers": self._stage.simulation.numbers()})

    def _requests(self, _request: Request) -> Answer:
        return json_answer(200, self._stage.requests.document())

    def _forget_requests(self, request: Request) -> Answer:
        self._stage.requests.clear()
        return self._requests(request)

    def _story(self, _request: Request) -> Answer:
        scenario, clock = self._stage.simulation.scenario, self._stage.clock
        document = {
            "title": scenario.title,
            "elapsed": round(clock.elapsed().total_seconds(), 3),
            "paused": clock.paused,
            "repeat": scenario.repeat,
            "steps": [_described(step) for step in scenario.steps],
        }
        return json_answer(200, document)

    def _pause(self, request: Request) -> Answer:
        self._stage.clock.pause()
        return self._story(request)

    def _resume(self, request: Request) -> Answer:
        self._stage.clock.resume()
        return self._story(request)

    def _skip(self, request: Request) -> Answer:
        body = _body(request)
        body.allow(("to", "by"))
        start = timedelta() if "to" in body else self._stage.clock.elapsed()
        self._stage.go_to(start + body.need("to" if "to" in body else "by", duration))
        return self._story(request)


def _refuse_foreign(request: Request) -> Answer | None:
    """Refuse what a web page in a browser on this machine could send: it can name any host (DNS rebinding), and post
    anything but JSON to any address, though it says then where it comes from."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not is_loopback(host_of(f"//{host}")):
        return json_answer(403, {"error": "the Host header names another machine; write http://127.0.0.1 or localhost"})
    if origin is not None and origin != f"http://{host}":
        return json_answer(403, {"error": "the request comes from another site's page (Origin header)"})
    if request.body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return json_answer(415, {"error": "send the body with the header Content-Type: application/json"})
    return None


def _described(step: Step) -> dict[str, Any]:
    change = step.change
    return {"at": step.at.total_seconds(), "kind": change.kind, "names": change.names, "caption": step.caption}


def _body(request: Request) -> Section:
    origin = Origin("the request's body")
    try:
        return Section(msgspec.json.decode(request.body), "", origin)
    except msgspec.DecodeError as mistake:
        raise origin.refuse("", f"this is no JSON: {mistake}") from None
