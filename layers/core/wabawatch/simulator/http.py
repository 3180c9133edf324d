"""One connection: h11 frames the requests and proper answers; misbehaviour is written past it."""

import asyncio
import contextlib
import functools
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

import h11
import msgspec

from .answers import Answer, Headers, Misbehaviour, Reply, plain

_MOST_BODY = 1024 * 1024


class Request(msgspec.Struct, frozen=True):
    """One request; header names are in lower case. `reused`: the connection has carried an answer before."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    reused: bool = False


Respond = Callable[[Request], Awaitable[Reply]]


@functools.lru_cache(1024)
def _start(status: int, headers: Headers, length: int) -> h11.Response:
    """Kept, because checking the headers anew costs a tenth of an answer."""
    fields = [*headers, ("Content-Length", str(length))]
    return h11.Response(status_code=status, headers=fields, reason=b"Simulated")


class Conversation:
    """Requests and replies of one connection, until one side ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond) -> None:
        self._reader, self._writer, self._respond = reader, writer, respond
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        try:
            await self._talk()
        except h11.RemoteProtocolError as mistake:
            await self._refuse(plain(mistake.error_status_hint, f"this is no HTTP request: {mistake}"))
        except ConnectionError:
            pass  # the client left; there is no one to tell
        except asyncio.CancelledError:
            # The server closes. Not passed on: asyncio's streams (3.11) report a cancelled conversation as an error.
            # Aborted, because closing would wait for a client that may not read.
            self._writer.transport.abort()
        finally:
            self._writer.close()

    async def _talk(self) -> None:
        reused = False
        while request := await self._request(reused=reused):
            reply = await self._respond(request)
            if isinstance(reply, Misbehaviour):
                await self._misbehave(reply)
                return
            await self._send(reply)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()
            reused = True

    async def _request(self, *, reused: bool) -> Request | None:
        head = await self._next()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            body += event.data
            if len(body) > _MOST_BODY:
                raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Request(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, bytes(body), reused)

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def _send(self, answer: Answer) -> None:
        if answer.delay:
            await asyncio.sleep(answer.delay.total_seconds())
        parts = (
            self._http.send(_start(answer.status, answer.headers, len(answer.body))),
            self._http.send(h11.Data(data=answer.body)),
            self._http.send(h11.EndOfMessage()),
        )
        self._writer.write(b"".join(part or b"" for part in parts))
        await self._writer.drain()

    async def _refuse(self, answer: Answer) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(ConnectionError):
                await self._send(answer)

    async def _misbehave(self, misbehaviour: Misbehaviour) -> None:
        self._writer.write(misbehaviour.sent)
        await self._writer.drain()
        if misbehaviour.then == "reset":
            self._reset()
        while misbehaviour.then == "trickle":
            self._writer.write(misbehaviour.drip)
            await self._writer.drain()
            await asyncio.sleep(misbehaviour.every.total_seconds())

    def _reset(self) -> None:
        """Without lingering, closing sends RST instead of FIN."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
