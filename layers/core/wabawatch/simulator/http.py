"""HTTP/1.1 for the simulator: requests, responses, and one connection.

h11 frames requests and valid responses. A `BrokenResponse` is written to the socket as it is, without h11.
"""

import asyncio
import contextlib
import functools
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Literal

import h11
import msgspec

Headers = tuple[tuple[str, str], ...]
JSON = "application/json"

_MAX_BODY = 1024 * 1024


class Request(msgspec.Struct, frozen=True):
    """One request. Header names are in lower case. `reused`: the connection has carried a response before."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    reused: bool = False


class Response(msgspec.Struct, frozen=True):
    """A valid response. Content-Length is added when it is sent. `delay` is added to the scenario's latency."""

    status: int
    body: bytes
    headers: Headers = (("Content-Type", JSON),)
    delay: timedelta = timedelta()


class BrokenResponse(msgspec.Struct, frozen=True):
    """Raw bytes, and what follows them: reset the connection, close it, or send `chunk` at every `interval` forever."""

    sent: bytes
    then: Literal["reset", "close", "trickle"]
    chunk: bytes = b""
    interval: timedelta = timedelta(milliseconds=200)


Reply = Response | BrokenResponse
Handler = Callable[[Request], Awaitable[Reply]]


def json_response(status: int, document: object, headers: Headers = ()) -> Response:
    return Response(status, msgspec.json.encode(document), (("Content-Type", JSON), *headers))


def text_response(
    status: int, text: str, content_type: str = "text/plain; charset=utf-8", headers: Headers = ()
) -> Response:
    return Response(status, text.encode(), (("Content-Type", content_type), *headers))


@functools.lru_cache(1024)
def _response_head(status: int, headers: Headers, length: int) -> h11.Response:
    """Build the status line and headers; cached, because h11's validation takes a tenth of the time of a response."""
    fields = [*headers, ("Content-Length", str(length))]
    return h11.Response(status_code=status, headers=fields, reason=b"Simulated")


class Connection:
    """Serves the requests of one connection until one side ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader, self._writer, self._handler = reader, writer, handler
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        try:
            await self._serve()
        except h11.RemoteProtocolError as error:
            await self._reject(text_response(error.error_status_hint, f"this is not an HTTP request: {error}"))
        except ConnectionError:
            pass  # the client closed the connection
        except asyncio.CancelledError:
            # The server closes. Not raised again: asyncio's streams (3.11) report a cancelled handler as an error.
            # Aborted, because closing would wait for a client that may not read.
            self._writer.transport.abort()
        finally:
            self._writer.close()

    async def _serve(self) -> None:
        reused = False
        while request := await self._read_request(reused=reused):
            reply = await self._handler(request)
            if isinstance(reply, BrokenResponse):
                await self._send_broken(reply)
                return
            await self._send(reply)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()
            reused = True

    async def _read_request(self, *, reused: bool) -> Request | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > _MAX_BODY:
                raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Request(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, bytes(body), reused)

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def _send(self, response: Response) -> None:
        if response.delay:
            await asyncio.sleep(response.delay.total_seconds())
        parts = (
            self._http.send(_response_head(response.status, response.headers, len(response.body))),
            self._http.send(h11.Data(data=response.body)),
            self._http.send(h11.EndOfMessage()),
        )
        self._writer.write(b"".join(part or b"" for part in parts))
        await self._writer.drain()

    async def _reject(self, response: Response) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(ConnectionError):
                await self._send(response)

    async def _send_broken(self, response: BrokenResponse) -> None:
        self._writer.write(response.sent)
        await self._writer.drain()
        if response.then == "reset":
            self._reset()
        while response.then == "trickle":
            self._writer.write(response.chunk)
            await self._writer.drain()
            await asyncio.sleep(response.interval.total_seconds())

    def _reset(self) -> None:
        """Close with RST instead of FIN: SO_LINGER with a timeout of zero does that."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
