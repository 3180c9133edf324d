"""How a number can fail to answer about its health: each kind turns the answer it would have given into another reply.

Statuses, envelopes and the gist of the texts follow 360dialog's documentation and public reports; the words are
our own.
"""

import functools
import gzip
import itertools
import zlib
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from .answers import (
    JSON,
    Answer,
    Misbehaviour,
    Reply,
    camel_envelope,
    graph_envelope,
    head,
    json_answer,
    plain,
    snake_envelope,
)

MIB = 1024 * 1024
_FLOOD = 1000
_NEW_IDS = itertools.count(900_000_000_000_000)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of FAILURES and its settings; those that its kind does not use are ignored.

    `times` is how many requests fail before the number answers again, None for all; `size` counts bytes as they are
    after decompression; `retry_after` is seconds or an HTTP date, as the header carries it.
    """

    kind: str
    times: int | None = None
    delay: timedelta = timedelta(seconds=30)
    retry_after: str | None = None
    location: str = "http://elsewhere.invalid/health_status"
    size: int | None = None
    every: timedelta = timedelta(milliseconds=200)

    @property
    def only_reused(self) -> bool:
        """It strikes only a connection that has carried an answer before, as an idle one that the server gave up."""
        return self.kind == "reset_reused"

    def strike(self, healthy: Answer) -> Reply:
        return FAILURES[self.kind](self, healthy)

    def headers(self, usual: str | None = None) -> tuple[tuple[str, str], ...]:
        wait = self.retry_after or usual
        return (("Retry-After", wait),) if wait else ()


def _slow(failure: Failure, healthy: Answer) -> Reply:
    return msgspec.structs.replace(healthy, delay=failure.delay)


def _rate_limit(failure: Failure, _healthy: Answer) -> Reply:
    return snake_envelope(400, "Too fast: you have exceeded the endpoint rate limit", headers=failure.headers())


def _throttled(failure: Failure, _healthy: Answer) -> Reply:
    return graph_envelope(429, "Application request limit reached", 4, "OAuthException", failure.headers("30"))


def _unavailable(failure: Failure, _healthy: Answer) -> Reply:
    return camel_envelope(503, "Service is being updated", failure.headers("60"))


def _redirect(failure: Failure, _healthy: Answer) -> Reply:
    return Answer(302, b"", (("Location", failure.location),))


def _html(_failure: Failure, _healthy: Answer) -> Reply:
    page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Welcome &lt;guest&gt;</h1></body></html>"
    return plain(200, page, "text/html; charset=utf-8")


def _truncated_json(_failure: Failure, healthy: Answer) -> Reply:
    return msgspec.structs.replace(healthy, body=healthy.body[: len(healthy.body) // 2])


def _half(healthy: Answer) -> bytes:
    fields = {"Content-Type": JSON, "Content-Length": str(len(healthy.body))}
    return head(200, fields) + healthy.body[: len(healthy.body) // 2]


def _short_body(_failure: Failure, healthy: Answer) -> Reply:
    return Misbehaviour(_half(healthy), "close")


def _reset_midway(_failure: Failure, healthy: Answer) -> Reply:
    return Misbehaviour(_half(healthy), "reset")


def _reset(_failure: Failure, _healthy: Answer) -> Reply:
    return Misbehaviour(b"", "reset")


def _no_http(_failure: Failure, _healthy: Answer) -> Reply:
    return Misbehaviour(b"220 mail.example ESMTP ready\r\n", "close")


def _trickle_headers(failure: Failure, _healthy: Answer) -> Reply:
    return Misbehaviour(b"HTTP/1.1 200 OK\r\n", "trickle", b"X-Padding: a\r\n", failure.every)


def _trickle_body(failure: Failure, _healthy: Answer) -> Reply:
    start = head(200, {"Content-Type": JSON, "Transfer-Encoding": "chunked"})
    return Misbehaviour(start, "trickle", b"1\r\n \r\n", failure.every)


def _oversize(failure: Failure, healthy: Answer) -> Reply:
    """A healthy answer behind so much white space that only a reader without a limit finds it."""
    return msgspec.structs.replace(healthy, body=b" " * (failure.size or 3 * MIB) + healthy.body)


def _gzip(_failure: Failure, healthy: Answer) -> Reply:
    return _zipped(healthy, gzip.compress(healthy.body, mtime=0))


def _gzip_bomb(failure: Failure, healthy: Answer) -> Reply:
    return _zipped(healthy, _inflating(failure.size or 32 * MIB) + gzip.compress(healthy.body, mtime=0))


def _stacked_gzip(_failure: Failure, healthy: Answer) -> Reply:
    return _zipped(healthy, stacked_gzip(4), "gzip, gzip, gzip, gzip")


def _entity_flood(_failure: Failure, _healthy: Answer) -> Reply:
    """A thousand blocked entities, all of them new in each answer."""
    listed = [{"entity_type": "WABA", "id": str(next(_NEW_IDS)), "can_send_message": "BLOCKED"} for _ in range(_FLOOD)]
    return json_answer(200, {"health_status": {"can_send_message": "BLOCKED", "entities": listed}})


def _zipped(healthy: Answer, body: bytes, encoding: str = "gzip") -> Answer:
    headers = (*healthy.headers, ("Content-Encoding", encoding))
    return msgspec.structs.replace(healthy, body=body, headers=headers)


@functools.cache
def _inflating(size: int) -> bytes:
    """A gzip member that becomes `size` spaces, made piece by piece so that the simulator never holds them."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b" " * MIB) for _ in range(size // MIB)]
    return b"".join([*pieces, packer.compress(b" " * (size % MIB)), packer.flush()])


@functools.cache
def stacked_gzip(layers: int) -> bytes:
    """About 15 KB of gzip within gzip. The innermost member's file name never ends, so that a reader that undoes all
    layers works on gigabytes (three layers) or terabytes (four) and gets no byte out of them.
    """
    start, block = b"\x1f\x8b\x08\x08" + bytes(6), b"a" * 1024
    for _ in range(layers - 1):
        packer = zlib.compressobj(9, wbits=31)
        start = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
        block = packer.compress(block * (MIB // len(block))) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (16 * 1024 // len(block))


def _always(answer: Answer) -> Callable[[Failure, Answer], Reply]:
    return lambda _failure, _healthy: answer


FAILURES: Mapping[str, Callable[[Failure, Answer], Reply]] = {
    "slow": _slow,
    "unauthorized": _always(snake_envelope(401, "Invalid api key, or it has expired")),
    "unauthorized_says_404": _always(snake_envelope(401, "No account found for this api key", says=404)),
    "forbidden": _always(graph_envelope(403, "(#10) This app may not read the account", 10, "OAuthException")),
    "rate_limit": _rate_limit,
    "throttled": _throttled,
    "disabled": _always(camel_envelope(400, "The channel 4915550100 has been disabled")),
    "payment_overdue": _always(camel_envelope(400, "Blocked until payment of the overdue invoices has arrived")),
    "bad_request": _always(graph_envelope(400, "(#100) A parameter is not valid", 100, "GraphMethodException")),
    "not_found": _always(json_answer(404, {"error": "No such path"})),
    "rejected": _always(json_answer(422, {"error": "This request cannot be worked on"})),
    "server_error": _always(json_answer(500, {"error": "Internal error"})),
    "bad_gateway": _always(plain(502, "The WhatsApp API is not available")),
    "bad_gateway_html": _always(plain(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")),
    "unavailable": _unavailable,
    "html": _html,
    "text": _always(plain(200, "OK")),
    "empty_object": _always(json_answer(200, {})),
    "empty_list": _always(json_answer(200, [])),
    "null": _always(json_answer(200, None)),
    "empty_body": _always(Answer(200, b"")),
    "not_utf8": _always(Answer(200, b'{"health_status": {"can_send_message": "\xff\xfe"}}')),
    "truncated": _truncated_json,
    "short_body": _short_body,
    "reset": _reset,
    "reset_midway": _reset_midway,
    "reset_reused": _reset,
    "no_http": _no_http,
    "trickle_headers": _trickle_headers,
    "trickle_body": _trickle_body,
    "redirect": _redirect,
    "oversize": _oversize,
    "gzip": _gzip,
    "gzip_bomb": _gzip_bomb,
    "stacked_gzip": _stacked_gzip,
    "entity_flood": _entity_flood,
}
