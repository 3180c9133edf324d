"""The simulator in a thread of its own: for tests, and for a watcher that brings its simulator along."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from .changes import EVERYTHING
from .fleet import TYPES
from .scenario import Scenario, Step, load_scenario
from .server import Server, serve
from .simulation import Simulation

T = TypeVar("T")


class RunningServer:
    """A handle for other threads; every method runs in the server's own loop and returns when it is done.

    A subject is a number's id, or an entity as "waba:NAME", "business:NAME", "app:NAME", "template:NAME"; "*" is all.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._stage, self._loop = server.stage, loop
        self.url, self.port, self.simulation = server.url, server.port, server.stage.simulation

    def set(self, subject: str, **fields: Any) -> None:  # noqa: ANN401 - a step's fields, read and refused as such
        """Change something, as `set("waba:acme", status="BLOCKED", reasons=[141006])`; raises ScenarioError."""
        kind, name = _split(subject)
        self._call(lambda: self.simulation.apply(self.simulation.change(kind, name, fields)))

    def heal(self, subject: str = EVERYTHING) -> None:
        self.set(subject, heal=True)

    def numbers(self) -> list[dict[str, Any]]:
        """As GET /simulator/numbers."""
        return self._call(self.simulation.numbers)

    def requests(self) -> dict[str, Any]:
        """As GET /simulator/requests."""
        return self._call(self._stage.requests.document)

    def forget_requests(self) -> None:
        self._call(self._stage.requests.clear)

    def pause(self) -> None:
        self._call(self._stage.clock.pause)

    def resume(self) -> None:
        self._call(self._stage.clock.resume)

    def go_to(self, elapsed: timedelta) -> None:
        """Set the story to this moment after its start; going back starts it anew."""
        self._call(lambda: self._stage.go_to(elapsed))

    def _call(self, work: Callable[[], T]) -> T:
        async def there() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result()


def _split(subject: str) -> tuple[str, str]:
    kind, colon, name = subject.partition(":")
    return (kind, name) if colon and kind in TYPES else ("number", subject)


@contextmanager
def running(
    scenario: Scenario | Simulation | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    paused: bool = False,
    on_step: Callable[[Step], None] | None = None,
) -> Iterator[RunningServer]:
    """Serve until the block ends; without a scenario, the story that comes with the package.

    `paused` holds the story at its start, for tests that move it with `go_to`. `on_step` is called in the server's
    thread. Raises OSError where the address cannot be had.
    """
    simulation = scenario if isinstance(scenario, Simulation) else Simulation(scenario or load_scenario())
    started: Future[tuple[RunningServer, Callable[[], None]]] = Future()

    async def main() -> None:
        stopped = asyncio.Event()
        async with await serve(simulation, host, port, paused=paused, on_step=on_step) as server:
            loop = asyncio.get_running_loop()
            started.set_result((RunningServer(server, loop), lambda: _signal(loop, stopped)))
            await stopped.wait()

    thread = threading.Thread(target=_run, args=(main, started), name="simulator", daemon=True)
    thread.start()
    server, stop = started.result()
    try:
        yield server
    finally:
        stop()
        thread.join()


def _signal(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stopped.set)


def _run(main: Callable[[], Any], started: "Future[Any]") -> None:
    try:
        asyncio.run(main())
    except OSError as refusal:
        if started.done():
            raise
        started.set_exception(refusal)
