"""The simulator on a socket: GET /health_status, steering under /simulator/, help at /."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .answers import Reply, plain
from .control import Control
from .http import Conversation, Request
from .scenario import Step
from .simulation import Simulation
from .stage import Stage
from .storyclock import StoryClock

_LOOK_EVERY = 0.2
"""Seconds between two looks at the story, for those who want to be told of its steps."""


class Server:
    """A simulation that listens. Belongs to one event loop; other threads steer it through `running`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.url = ""
        self.port = 0
        self._control = Control(stage)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def listen(self, host: str, port: int) -> None:
        """Start; raises OSError where the address cannot be had."""
        self._listener = await asyncio.start_server(self._converse, host, port, backlog=1024)
        address, self.port = self._listener.sockets[0].getsockname()[:2]
        self.url = f"http://[{address}]:{self.port}" if ":" in address else f"http://{address}:{self.port}"
        self._keep(asyncio.create_task(self._follow_story()))

    async def close(self) -> None:
        """Stop listening and drop every connection, those that trickle too."""
        if self._listener:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow_story(self) -> None:
        while True:
            self.stage.catch_up()
            await asyncio.sleep(_LOOK_EVERY)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._keep(task)
        await Conversation(reader, writer, self._respond).run()

    async def _respond(self, request: Request) -> Reply:
        self.stage.catch_up()
        if request.path.partition("?")[0] != "/health_status":
            return self._control.respond(request)
        if request.method != "GET":
            return plain(405, "Only GET is answered here", headers=(("Allow", "GET"),))
        return await self._health(request)

    async def _health(self, request: Request) -> Reply:
        """What is true when the answer leaves, not when the question came."""
        simulation, key = self.stage.simulation, request.headers.get("d360-api-key")
        number = simulation.number_of(key)
        with self.stage.requests.request(number.id if number else None, request.headers, reused=request.reused):
            await asyncio.sleep(simulation.scenario.latency.total_seconds())
            return simulation.answer(key, reused=request.reused)


async def serve(
    simulation: Simulation,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    paused: bool = False,
    on_step: Callable[[Step], None] | None = None,
) -> Server:
    """A server that listens; the story starts now, unless paused. `on_step` hears of each step as it is taken.

    Raises OSError where the address cannot be had. Close the server, or use it in `async with`.
    """
    server = Server(Stage(simulation, StoryClock(paused=paused), on_step))
    await server.listen(host, port)
    return server
