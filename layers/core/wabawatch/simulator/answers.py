"""What the simulator can give to a request: a proper HTTP answer, or bytes that no proper server would send."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import msgspec

Headers = tuple[tuple[str, str], ...]
JSON = "application/json"


class Answer(msgspec.Struct, frozen=True):
    """A proper answer; Content-Length is added when it is sent. `delay` comes on top of the scenario's latency."""

    status: int
    body: bytes
    headers: Headers = (("Content-Type", JSON),)
    delay: timedelta = timedelta()


class Misbehaviour(msgspec.Struct, frozen=True):
    """Bytes written as they are, and then: reset the connection, close it, or go on with `drip` for ever."""

    sent: bytes
    then: Literal["reset", "close", "trickle"]
    drip: bytes = b""
    every: timedelta = timedelta(milliseconds=200)


Reply = Answer | Misbehaviour


def json_answer(status: int, document: object, headers: Headers = ()) -> Answer:
    return Answer(status, msgspec.json.encode(document), (("Content-Type", JSON), *headers))


def plain(status: int, text: str, content_type: str = "text/plain; charset=utf-8", headers: Headers = ()) -> Answer:
    return Answer(status, text.encode(), (("Content-Type", content_type), *headers))


def snake_envelope(status: int, text: str, *, says: int | None = None, headers: Headers = ()) -> Answer:
    """360dialog's older error envelope; `says` is the status it claims inside, which is not always the true one."""
    meta = {"success": False, "http_code": says or status, "developer_message": text}
    return json_answer(status, {"meta": meta}, headers)


def camel_envelope(status: int, text: str, headers: Headers = ()) -> Answer:
    """360dialog's newer error envelope."""
    meta = {"success": False, "httpCode": status, "developerMessage": text}
    return json_answer(status, {"meta": meta}, headers)


def graph_envelope(status: int, text: str, code: int, kind: str, headers: Headers = ()) -> Answer:
    """The error envelope of Meta's Graph API, which 360dialog hands through."""
    error = {"message": text, "type": kind, "code": code, "fbtrace_id": "AsimulatedTrace00"}
    return json_answer(status, {"error": error}, headers)


def head(status: int, fields: Mapping[str, str]) -> bytes:
    """The start of an answer for those that are written by hand, up to and with the empty line."""
    lines = [f"HTTP/1.1 {status} Simulated", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()
