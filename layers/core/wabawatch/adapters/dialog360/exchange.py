"""One request and its answer, on one libcurl handle that is used again for the next."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

import pycurl

from wabawatch.adapters.descriptors import is_exhausted
from wabawatch.adapters.dialog360.answers import Answer
from wabawatch.domain.health import Failure

MOST_BODY: Final = 1024 * 1024
"""Bytes of a body, as it is sent and after decompression."""
_MOST_HEADERS: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_GO: Final = pycurl.PREREQFUNC_OK
_STOP: Final = pycurl.PREREQFUNC_ABORT

_CAUSES: Final[Mapping[int, str]] = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_PARTIAL_FILE: "unreadable",
    pycurl.E_WRITE_ERROR: "unreadable",
    pycurl.E_BAD_CONTENT_ENCODING: "unreadable",
    pycurl.E_UNSUPPORTED_PROTOCOL: "unreadable",  # what came is no HTTP, or of version 0.9
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "unreadable",
}
"""libcurl's errors by what they say of the target; all others mean that it was not reached."""
_OF_NO_DESCRIPTOR: Final = frozenset({pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_CONNECT, pycurl.E_OUT_OF_MEMORY})
"""What libcurl also says where this process cannot open a socket: it does not hand on the system's own error."""


class Exchange:
    """Never shows its key: no `__repr__` of its own, and the header is taken off the handle when the answer is in."""

    def __init__(self, ca_file: str) -> None:
        self.curl = _handle(ca_file)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._may_send)
        self.curl.setopt(pycurl.SOCKOPTFUNCTION, self._connect_anew)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self.token: object = None
        self.deadline = 0.0
        self._again = False
        self._begin()

    def ask(self, url: str, key: str, token: object, deadline: float) -> None:
        """Prepare the request; `token` is handed back with its answer."""
        self.token, self.deadline = token, deadline
        self.curl.setopt(pycurl.URL, url)
        self.curl.setopt(pycurl.HTTPHEADER, [f"D360-API-KEY: {key}", "Accept: application/json"])
        self.curl.setopt(pycurl.FRESH_CONNECT, 0)
        self._again = False
        self._begin()

    def ask_again(self) -> None:
        """The same request over a new connection."""
        self.curl.setopt(pycurl.FRESH_CONNECT, 1)
        self._again = True
        self._begin()

    def forget(self) -> None:
        self.curl.setopt(pycurl.HTTPHEADER, [])
        self.token = None
        self._begin()

    @property
    def lost_its_connection(self) -> bool:
        """A kept-alive connection turned out to be dead, and libcurl was kept from trying yet another one."""
        return self._lost and not self._again

    def answer(self) -> Answer:
        """Read the whole answer."""
        if self._gzip is not None and not self._gzip.eof:
            return self.broken(pycurl.E_BAD_CONTENT_ENCODING, "the gzip of the body has no end")
        return Answer(self._status, self._headers, bytes(self._body))

    def broken(self, error: int, message: str) -> Answer:
        """What came before libcurl gave up."""
        failure = Failure(_CAUSES.get(error, "unreachable"), self._refused or message)
        if error in _OF_NO_DESCRIPTOR and not self._sent and is_exhausted():
            failure = Failure("no_descriptors", "too many open files; lower source.concurrency, or raise the limit")
        return Answer(self._status, self._headers, bytes(self._body), failure)

    def overdue(self, seconds: float) -> Answer:
        """What came before the deadline, `seconds` after the start."""
        missing = "connection" if not self._sent else "end of the answer" if self._status else "answer"
        return Answer(self._status, self._headers, b"", Failure("timeout", f"no {missing} within {seconds:g} s"))

    def _begin(self) -> None:
        self._sent = 0
        self._anew = False
        self._lost = False
        self._refused = ""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._encodings: list[str] = []
        self._gzip: zlib._Decompress | None = None
        self._body_bytes = 0
        self._body = bytearray()

    def _connect_anew(self, *_socket: object) -> int:
        """Called for each new socket."""
        self._anew = True
        return pycurl.SOCKOPT_OK

    def _may_send(self, *_addresses: object) -> int:
        """Called before each sending of the request. libcurl repeats it up to five times, over one dead kept-alive
        connection after another; once is enough, over a new one."""
        self._sent += 1
        allowed = self._sent == 1 or self._anew
        self._lost = not allowed
        self._anew = False
        return _GO if allowed else _STOP

    def _take_header(self, line: bytes) -> int:
        self._header_bytes += len(line)
        if self._header_bytes > _MOST_HEADERS:
            return self._refuse(f"the answer is larger than {_MOST_HEADERS // 1024} KiB of headers")
        if line.startswith(b"HTTP/"):
            self._status = _status(line)
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
        """Keep a piece of the body. Both what is sent and what comes out of it are bounded: gzip expands a
        thousandfold, and the name in its header can be endless and gives nothing.
        """
        if not self._body_bytes and not self._choose_decoder():
            return 0
        self._body_bytes += len(chunk)
        try:
            data = chunk if self._gzip is None else self._gzip.decompress(chunk, MOST_BODY + 1 - len(self._body))
        except zlib.error:
            return self._refuse("the body is not the gzip that Content-Encoding says")
        self._body += data
        if max(self._body_bytes, len(self._body)) > MOST_BODY:
            return self._refuse(f"the answer is larger than {MOST_BODY // 1024**2} MiB")
        if self._gzip is not None and self._gzip.unused_data:
            return self._refuse("the body goes on after the end of its gzip")
        return len(chunk)

    def _choose_decoder(self) -> bool:
        """Prepare for the body by the Content-Encoding of its answer; False where that is refused.

        libcurl would undo up to five encodings, one within another, and look at no deadline meanwhile.
        """
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
        """Note why the answer is given up, and return what makes libcurl do so."""
        self._refused = why
        return 0


def _status(line: bytes) -> int:
    words = line.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _handle(ca_file: str) -> pycurl.Curl:
    """What is the same for every request. Redirects, .netrc and proxies could carry the key to another host."""
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
