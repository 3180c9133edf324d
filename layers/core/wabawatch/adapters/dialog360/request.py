"""Send a request over a reusable libcurl handle, and hold its response."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
import pycurl

from wabawatch.adapters.process import is_exhausted
from wabawatch.domain.health import Failure

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body, both as sent and after decompression."""
_MAX_HEADERS: Final = 64 * 1024
_MAX_DIGITS: Final = 300
_GZIP: Final = 16 + zlib.MAX_WBITS

_CAUSES: Final[Mapping[int, str]] = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_PARTIAL_FILE: "unreadable",
    pycurl.E_WRITE_ERROR: "unreadable",
    pycurl.E_BAD_CONTENT_ENCODING: "unreadable",
    pycurl.E_UNSUPPORTED_PROTOCOL: "unreadable",  # the response is not HTTP, or HTTP/0.9
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "unreadable",
}
"""Failure causes by libcurl error; every other error means that the host was not reached."""
_DESCRIPTOR_ERRORS: Final = frozenset({pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_CONNECT, pycurl.E_OUT_OF_MEMORY})
"""libcurl also reports these where the process has no free file descriptor: it hides the system's error."""


class Response(msgspec.Struct, frozen=True):
    """An HTTP response, or as much of it as arrived. `status` is 0 without a status line; header names are in lower
    case; `error` says why the response is incomplete."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: Failure | None = None

    @property
    def is_success(self) -> bool:
        """Whether a whole response came, with any 2xx."""
        return not self.error and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def text(self) -> str:
        return self.body.decode(json.detect_encoding(self.body), "replace")


def parse_json(text: str) -> object:
    """Parse JSON; return None for anything that cannot be parsed."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _parse_int(digits: str) -> int | None:
    """Return None for an integer of thousands of digits, which Python refuses to parse: the rest is still read."""
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _collect_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build the object. A key that occurs more than once holds a tuple of all its values."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    values: dict[str, list[object]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: given[0] if len(given) == 1 else tuple(given) for name, given in values.items()}


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_collect_pairs, parse_int=_parse_int, parse_constant=lambda _: None
)


class Request:
    """One request at a time. The key never shows: there is no `__repr__`, and `clear` removes the header."""

    def __init__(self, ca_file: str) -> None:
        self.curl = _make_handle(ca_file)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._allow_send)
        self.curl.setopt(pycurl.SOCKOPTFUNCTION, self._note_new_socket)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self.token: object = None
        self.deadline = 0.0
        self._is_retry = False
        self._reset()

    def prepare(self, url: str, key: str, token: object, deadline: float) -> None:
        """Set up the request; `token` is returned with its response."""
        self.token, self.deadline = token, deadline
        self.curl.setopt(pycurl.URL, url)
        self.curl.setopt(pycurl.HTTPHEADER, [f"D360-API-KEY: {key}", "Accept: application/json"])
        self.curl.setopt(pycurl.FRESH_CONNECT, 0)
        self._is_retry = False
        self._reset()

    def retry(self) -> None:
        """Set up the same request over a new connection."""
        self.curl.setopt(pycurl.FRESH_CONNECT, 1)
        self._is_retry = True
        self._reset()

    def clear(self) -> None:
        self.curl.setopt(pycurl.HTTPHEADER, [])
        self.token = None
        self._reset()

    @property
    def lost_connection(self) -> bool:
        """Return whether a kept-alive connection was dead, and libcurl was stopped from trying another one."""
        return self._is_lost and not self._is_retry

    def response(self) -> Response:
        """Return the complete response."""
        if self._gzip is not None and not self._gzip.eof:
            return self.fail(pycurl.E_BAD_CONTENT_ENCODING, "the gzip of the body has no end")
        return Response(self._status, self._headers, bytes(self._body))

    def fail(self, error: int, message: str) -> Response:
        """Return what arrived before libcurl gave up."""
        failure = Failure(_CAUSES.get(error, "unreachable"), self._refusal or message)
        if error in _DESCRIPTOR_ERRORS and not self._sent and is_exhausted():
            failure = Failure("no_descriptors", "too many open files; lower source.concurrency, or raise the limit")
        return Response(self._status, self._headers, bytes(self._body), failure)

    def time_out(self, seconds: float) -> Response:
        """Return what arrived before the deadline, `seconds` after the start."""
        missing = "connection" if not self._sent else "end of the answer" if self._status else "answer"
        return Response(self._status, self._headers, b"", Failure("timeout", f"no {missing} within {seconds:g} s"))

    def _reset(self) -> None:
        self._sent = 0
        self._has_new_socket = False
        self._is_lost = False
        self._refusal = ""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._encodings: list[str] = []
        self._gzip: zlib._Decompress | None = None
        self._body_bytes = 0
        self._body = bytearray()

    def _note_new_socket(self, *_socket: object) -> int:
        """Note a new socket; libcurl calls this for each."""
        self._has_new_socket = True
        return pycurl.SOCKOPT_OK

    def _allow_send(self, *_addresses: object) -> int:
        """Allow one retry, over a new connection; libcurl calls this before it sends the request.

        By itself it retries up to five times, over one dead kept-alive connection after another."""
        self._sent += 1
        allowed = self._sent == 1 or self._has_new_socket
        self._is_lost = not allowed
        self._has_new_socket = False
        return pycurl.PREREQFUNC_OK if allowed else pycurl.PREREQFUNC_ABORT

    def _take_header(self, line: bytes) -> int:
        self._header_bytes += len(line)
        if self._header_bytes > _MAX_HEADERS:
            return self._refuse(f"the answer is larger than {_MAX_HEADERS // 1024} KiB of headers")
        if line.startswith(b"HTTP/"):
            self._status = _parse_status(line)
            self._headers = {}
            self._encodings = []
        else:
            name, _, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            self._headers[name] = value
            if name == "content-encoding":
                self._encodings += value.lower().split(",")
        return len(line)

    def _take_body(self, chunk: bytes) -> int:
        """Append a chunk of the body. Both the sent and the decompressed size are limited: gzip expands a
        thousandfold, and the name in its header can be endless and yields no data."""
        if not self._body_bytes and not self._choose_decoder():
            return 0
        self._body_bytes += len(chunk)
        try:
            data = chunk if self._gzip is None else self._gzip.decompress(chunk, MAX_BODY + 1 - len(self._body))
        except zlib.error:
            return self._refuse("the body is not the gzip that Content-Encoding says")
        self._body += data
        if max(self._body_bytes, len(self._body)) > MAX_BODY:
            return self._refuse(f"the answer is larger than {MAX_BODY // 1024**2} MiB")
        if self._gzip is not None and self._gzip.unused_data:
            return self._refuse("the body goes on after the end of its gzip")
        return len(chunk)

    def _choose_decoder(self) -> bool:
        """Choose the decoder by Content-Encoding; return False for an encoding that is refused.

        libcurl would decode up to five nested encodings, and check no deadline meanwhile."""
        if len(self._encodings) > 1:
            self._refuse("more than one Content-Encoding; only a single gzip is read")
            return False
        encoding = self._encodings[0] if self._encodings else ""
        if encoding == "gzip":
            self._gzip = zlib.decompressobj(_GZIP)
        elif encoding not in {"", "identity"}:
            self._refuse(f"Content-Encoding {encoding}; only gzip is read")
            return False
        return True

    def _refuse(self, why: str) -> int:
        """Record the reason, and return the value that makes libcurl abort."""
        self._refusal = why
        return 0


def _parse_status(line: bytes) -> int:
    words = line.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _make_handle(ca_file: str) -> pycurl.Curl:
    """Make a handle with the options that all requests share. No redirects, .netrc or proxies: they could send the
    key to another host."""
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.NETRC, pycurl.NETRC_IGNORED),
        (pycurl.PROXY, ""),  # otherwise libcurl takes one from the environment
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.DEFAULT_PROTOCOL, "https"),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),  # one broken connection fails one probe, not all of them
        (pycurl.HTTP09_ALLOWED, 0),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
        (pycurl.CAINFO, ca_file),
        (pycurl.ACCEPT_ENCODING, "gzip"),
        (pycurl.HTTP_CONTENT_DECODING, 0),  # `_take_body` does it, within bounds
        (pycurl.USERAGENT, "wabawatch"),
        (pycurl.MAXAGE_CONN, 100),  # an older one may be dead without a sign, behind a NAT or in a frozen Lambda
        (pycurl.NOSIGNAL, 1),
        (pycurl.VERBOSE, 0),
    ):
        curl.setopt(option, value)
    return curl
