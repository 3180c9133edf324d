"""AWS by a script: each operation answers as its test says, in the shapes that botocore documents.

Requests are validated by botocore as always, and answers against the operation's output shape: a field that AWS does
not have is an error here. What no script answers goes on, to moto."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.response import StreamingBody
from botocore.session import get_session
from botocore.validate import validate_parameters

REGION = "eu-central-1"


class Denied:
    """The answer to whoever may not do something, as most services word it."""

    def __init__(self, code: str = "AccessDeniedException", message: str = "no") -> None:
        self.error = {"Error": {"Code": code, "Message": message}}


@cache
def _session() -> Any:
    """One for all tests: reading the models of ten services takes longer than everything else."""
    return get_session()


@cache
def client(service: str, user: str = "test") -> Any:
    """A client that moto answers; each user has one of its own."""
    keys = {"aws_access_key_id": user, "aws_secret_access_key": "x"}
    return _session().create_client(service, region_name=REGION, **keys)


class ScriptedAws:
    """`script`: answers by `service:Operation`; a function gets the request. `changes`: what is done to a request
    before it is sent. `actions`: what was called."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script = script
        self.changes: dict[str, Callable[[dict[str, Any]], object]] = {}
        self.actions: set[str] = set()
        self._request: dict[str, Any] = {}
        self._cleanup = ExitStack()
        self._known: set[str] = set()

    def client(self, service: str) -> Any:
        found = client(service, "scripted")
        if service not in self._known:
            self._known.add(service)
            for event, handler in (("before-parameter-build", self._remember), ("before-call", self._answer)):
                found.meta.events.register_first(event, handler)
                self._cleanup.callback(found.meta.events.unregister, event, handler)
        return found

    def close(self) -> None:
        self._cleanup.close()

    def _remember(self, params, model, **_):
        if "WaitTimeSeconds" in params:
            params["WaitTimeSeconds"] = 0  # moto truly waits
        self.changes.get(_name(model), lambda _: None)(params)
        self._request = dict(params)

    def _answer(self, model, **_):
        self.actions.add(_name(model))
        answer = self.script.get(_name(model))
        if callable(answer):
            answer = answer(self._request)
        if answer is None:
            return None
        if isinstance(answer, Denied):
            return AWSResponse("", 403, {}, None), answer.error
        if model.output_shape is not None:
            validate_parameters({k: v for k, v in answer.items() if k != "Payload"}, model.output_shape)
        if "Payload" in answer:
            raw = json.dumps(answer["Payload"]).encode()
            answer = answer | {"Payload": StreamingBody(io.BytesIO(raw), len(raw))}
        return AWSResponse("", 200, {}, None), answer


def _name(model):
    return f"{model.service_model.service_name}:{model.name}"
