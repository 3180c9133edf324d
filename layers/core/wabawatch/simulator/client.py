"""Run the simulator in a thread and control it from other threads: for tests and for `wabawatch demo`."""

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from wabawatch.simulator.changes import EVERYTHING
from wabawatch.simulator.fleet import TYPES
from wabawatch.simulator.scenario import Scenario, Step, load_scenario
from wabawatch.simulator.server import Server, serve
from wabawatch.simulator.simulation import Simulation

T = TypeVar("T")


class RunningServer:
    """Controls a server from other threads: every method runs in the server's event loop and returns when it is done.

    A subject is the id of a number, or "waba:NAME", "business:NAME", "app:NAME" or "template:NAME"; "*" is all of them.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._control, self._loop = server.control, loop
        self.url, self.port, self.simulation = server.url, server.port, server.control.simulation

    def set(self, subject: str, **fields: Any) -> None:  # noqa: ANN401 - the fields of a step, parsed and checked as such
        """Change something: `set("waba:acme", status="BLOCKED", reasons=[141006])`. Raises ScenarioError."""
        kind, colon, name = subject.partition(":")
        if not colon or kind not in TYPES:
            kind, name = "number", subject
        self._call(lambda: self.simulation.apply(self.simulation.change(kind, name, fields)))

    def heal(self, subject: str = EVERYTHING) -> None:
        self.set(subject, heal=True)

    def numbers(self) -> list[dict[str, Any]]:
        """Return the numbers as GET /simulator/numbers does."""
        return self._call(self.simulation.numbers)

    def requests(self) -> dict[str, Any]:
        """Return the request counts as GET /simulator/requests does."""
        return self._call(self._control.requests.document)

    def clear_requests(self) -> None:
        self._call(self._control.requests.clear)

    def pause(self) -> None:
        self._call(self._control.clock.pause)

    def resume(self) -> None:
        self._call(self._control.clock.resume)

    def go_to(self, elapsed: timedelta) -> None:
        """Set the clock to this time after the scenario's start. An earlier time starts the scenario again."""
        self._call(lambda: self._control.go_to(elapsed))

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()


@contextmanager
def running(
    scenario: Scenario | Simulation | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    paused: bool = False,
    on_step: Callable[[Step], None] | None = None,
) -> Iterator[RunningServer]:
    """Serve a scenario, by default the one of the package, until the block ends.

    `paused` stops the clock at the start, for tests that set it with `go_to`. `on_step` is called in the server's
    thread. Raises OSError if the address is not available.
    """
    simulation = scenario if isinstance(scenario, Simulation) else Simulation(scenario or load_scenario())
    started: Future[tuple[RunningServer, Callable[[], object]]] = Future()

    async def main() -> None:
        stopped = asyncio.Event()
        async with await serve(simulation, host, port, paused=paused, on_step=on_step) as server:
            loop = asyncio.get_running_loop()
            stop = functools.partial(loop.call_soon_threadsafe, stopped.set)
            started.set_result((RunningServer(server, loop), stop))
            await stopped.wait()

    thread = threading.Thread(target=_run, args=(main, started), name="simulator", daemon=True)
    thread.start()
    server, stop = started.result()
    try:
        yield server
    finally:
        stop()
        thread.join()


def _run(main: Callable[[], Any], started: "Future[Any]") -> None:
    try:
        asyncio.run(main())
    except OSError as error:
        if started.done():
            raise
        started.set_exception(error)
