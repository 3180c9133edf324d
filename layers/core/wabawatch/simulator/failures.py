"""Ways in which a health request can fail: each kind turns the healthy response into another reply.

Statuses, error envelopes and the sense of the texts follow 360dialog's documentation and public reports. The wording is
our own.
"""

import functools
import gzip
import itertools
import zlib
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from wabawatch.simulator.http import JSON, BrokenResponse, Headers, Reply, Response, json_response, text_response

MIB = 1024 * 1024
_FLOOD_SIZE = 1000
_NEW_IDS = itertools.count(900_000_000_000_000)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of FAILURES and its settings. Settings that the kind does not use are ignored.

    `times`: the number of requests that fail before the number answers again; None for all. `size`: bytes after
    decompression. `retry_after`: seconds or an HTTP date, as in the header. `every`: time between two trickled chunks.
    """

    kind: str
    times: int | None = None
    delay: timedelta = timedelta(seconds=30)
    retry_after: str | None = None
    location: str = "http://elsewhere.invalid/health_status"
    size: int | None = None
    every: timedelta = timedelta(milliseconds=200)

    @property
    def needs_reused_connection(self) -> bool:
        """Fail only on a connection that has carried a response before, like an idle one that the server closed."""
        return self.kind == "reset_reused"

    def reply(self, healthy: Response) -> Reply:
        return FAILURES[self.kind](self, healthy)

    def retry_header(self, default: str | None = None) -> Headers:
        wait = self.retry_after or default
        return (("Retry-After", wait),) if wait else ()


def snake_envelope(status: int, text: str, *, claimed_status: int | None = None, headers: Headers = ()) -> Response:
    """Build 360dialog's older error envelope. The status inside it is not always the status of the response."""
    meta = {"success": False, "http_code": claimed_status or status, "developer_message": text}
    return json_response(status, {"meta": meta}, headers)


def camel_envelope(status: int, text: str, headers: Headers = ()) -> Response:
    """Build 360dialog's newer error envelope."""
    meta = {"success": False, "httpCode": status, "developerMessage": text}
    return json_response(status, {"meta": meta}, headers)


def graph_envelope(status: int, text: str, code: int, kind: str, headers: Headers = ()) -> Response:
    """Build the error envelope of Meta's Graph API, which 360dialog passes on."""
    error = {"message": text, "type": kind, "code": code, "fbtrace_id": "AsimulatedTrace00"}
    return json_response(status, {"error": error}, headers)


def _raw_head(status: int, fields: Mapping[str, str]) -> bytes:
    """Build the status line and headers of a response that h11 does not write, with the empty line after them."""
    lines = [f"HTTP/1.1 {status} Simulated", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _half_body(healthy: Response) -> bytes:
    return healthy.body[: len(healthy.body) // 2]


def _short_response(healthy: Response) -> bytes:
    """Build a response whose body is shorter than its Content-Length."""
    return _raw_head(200, {"Content-Type": JSON, "Content-Length": str(len(healthy.body))}) + _half_body(healthy)


def _trickle_body(failure: Failure, _healthy: Response) -> Reply:
    start = _raw_head(200, {"Content-Type": JSON, "Transfer-Encoding": "chunked"})
    return BrokenResponse(start, "trickle", b"1\r\n \r\n", failure.every)


def _trickle_headers(failure: Failure, _healthy: Response) -> Reply:
    return BrokenResponse(b"HTTP/1.1 200 OK\r\n", "trickle", b"X-Padding: a\r\n", failure.every)


def _oversize(failure: Failure, healthy: Response) -> Reply:
    """Put the healthy response behind so much white space that only a client without a size limit reads it."""
    return replace(healthy, body=b" " * (failure.size or 3 * MIB) + healthy.body)


def _entity_flood(_failure: Failure, _healthy: Response) -> Reply:
    """Return a thousand blocked entities, with new ids in each response."""
    entities = [
        {"entity_type": "WABA", "id": str(next(_NEW_IDS)), "can_send_message": "BLOCKED"} for _ in range(_FLOOD_SIZE)
    ]
    return json_response(200, {"health_status": {"can_send_message": "BLOCKED", "entities": entities}})


def _gzip(_failure: Failure, healthy: Response) -> Reply:
    return _compressed(healthy, gzip.compress(healthy.body, mtime=0))


def _gzip_bomb(failure: Failure, healthy: Response) -> Reply:
    return _compressed(healthy, _gzipped_spaces(failure.size or 32 * MIB) + gzip.compress(healthy.body, mtime=0))


def _stacked_gzip(_failure: Failure, healthy: Response) -> Reply:
    return _compressed(healthy, stacked_gzip(4), "gzip, gzip, gzip, gzip")


def _compressed(healthy: Response, body: bytes, encoding: str = "gzip") -> Response:
    return replace(healthy, body=body, headers=(*healthy.headers, ("Content-Encoding", encoding)))


@functools.cache
def _gzipped_spaces(size: int) -> bytes:
    """Build a gzip member that decompresses to `size` spaces, in pieces, so that they are never in memory at once."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b" " * MIB) for _ in range(size // MIB)]
    return b"".join([*pieces, packer.compress(b" " * (size % MIB)), packer.flush()])


@functools.cache
def stacked_gzip(layers: int) -> bytes:
    """Build about 15 KB of gzip within gzip.

    The file name in the innermost member never ends. A client that undoes all layers processes gigabytes (three layers)
    or terabytes (four) and gets no output.
    """
    start, block = b"\x1f\x8b\x08\x08" + bytes(6), b"a" * 1024
    for _ in range(layers - 1):
        packer = zlib.compressobj(9, wbits=31)
        start = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
        block = packer.compress(block * (MIB // len(block))) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (16 * 1024 // len(block))


def _always(reply: Reply) -> Callable[[Failure, Response], Reply]:
    return lambda _failure, _healthy: reply


_LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Welcome &lt;guest&gt;</h1></body></html>"
)

FAILURES: Mapping[str, Callable[[Failure, Response], Reply]] = {
    "slow": lambda failure, healthy: replace(healthy, delay=failure.delay),
    "unauthorized": _always(snake_envelope(401, "Invalid api key, or it has expired")),
    "unauthorized_says_404": _always(snake_envelope(401, "No account found for this api key", claimed_status=404)),
    "forbidden": _always(graph_envelope(403, "(#10) This app may not read the account", 10, "OAuthException")),
    "rate_limit": lambda failure, _healthy: snake_envelope(
        400, "Too fast: you have exceeded the endpoint rate limit", headers=failure.retry_header()
    ),
    "throttled": lambda failure, _healthy: graph_envelope(
        429, "Application request limit reached", 4, "OAuthException", failure.retry_header("30")
    ),
    "disabled": _always(camel_envelope(400, "The channel 4915550100 has been disabled")),
    "payment_overdue": _always(camel_envelope(400, "Blocked until payment of the overdue invoices has arrived")),
    "bad_request": _always(graph_envelope(400, "(#100) A parameter is not valid", 100, "GraphMethodException")),
    "not_found": _always(json_response(404, {"error": "No such path"})),
    "rejected": _always(json_response(422, {"error": "This request cannot be worked on"})),
    "server_error": _always(json_response(500, {"error": "Internal error"})),
    "bad_gateway": _always(text_response(502, "The WhatsApp API is not available")),
    "bad_gateway_html": _always(text_response(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")),
    "unavailable": lambda failure, _healthy: camel_envelope(
        503, "Service is being updated", failure.retry_header("60")
    ),
    "html": _always(text_response(200, _LOGIN_PAGE, "text/html; charset=utf-8")),
    "text": _always(text_response(200, "OK")),
    "empty_object": _always(json_response(200, {})),
    "empty_list": _always(json_response(200, [])),
    "null": _always(json_response(200, None)),
    "empty_body": _always(Response(200, b"")),
    "not_utf8": _always(Response(200, b'{"health_status": {"can_send_message": "\xff\xfe"}}')),
    "truncated": lambda _failure, healthy: replace(healthy, body=_half_body(healthy)),
    "short_body": lambda _failure, healthy: BrokenResponse(_short_response(healthy), "close"),
    "reset": _always(BrokenResponse(b"", "reset")),
    "reset_midway": lambda _failure, healthy: BrokenResponse(_short_response(healthy), "reset"),
    "reset_reused": _always(BrokenResponse(b"", "reset")),
    "no_http": _always(BrokenResponse(b"220 mail.example ESMTP ready\r\n", "close")),
    "trickle_headers": _trickle_headers,
    "trickle_body": _trickle_body,
    "redirect": lambda failure, _healthy: Response(302, b"", (("Location", failure.location),)),
    "oversize": _oversize,
    "gzip": _gzip,
    "gzip_bomb": _gzip_bomb,
    "stacked_gzip": _stacked_gzip,
    "entity_flood": _entity_flood,
}
