"""Serve a simulation over HTTP, and write the configuration that monitors it.

The server has GET /health_status, control under /simulator/, and help at /. It also runs in a thread, controlled from
other threads: for tests and for `wabawatch demo`. The API keys are written to files or given in the environment.
"""

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml

from wabawatch.application.private_files import write_files
from wabawatch.simulator.changes import EVERYTHING
from wabawatch.simulator.control import Control, ScenarioClock
from wabawatch.simulator.fleet import TYPES, Number
from wabawatch.simulator.http import Connection, Reply, Request, text_response
from wabawatch.simulator.scenario import Scenario, Step, load_scenario
from wabawatch.simulator.simulation import Simulation

_STEP_INTERVAL = 0.2
"""Seconds between two checks for due steps, so that `on_step` is called even if no request arrives."""


class Server:
    """Serves a simulation. Belongs to one event loop; other threads use the `RunningServer` of `running`."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.url = ""
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def listen(self, host: str, port: int) -> None:
        """Start to listen. Raises OSError if the address is not available."""
        self._listener = await asyncio.start_server(self._handle_connection, host, port, backlog=1024)
        address, self.port = self._listener.sockets[0].getsockname()[:2]
        self.url = f"http://[{address}]:{self.port}" if ":" in address else f"http://{address}:{self.port}"
        self._track(asyncio.create_task(self._apply_steps()))

    async def close(self) -> None:
        """Stop listening and close every connection, also one whose response never ends."""
        if self._listener:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _apply_steps(self) -> None:
        while True:
            self.control.apply_due_steps()
            await asyncio.sleep(_STEP_INTERVAL)

    def _track(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._track(task)
        await Connection(reader, writer, self._respond).run()

    async def _respond(self, request: Request) -> Reply:
        self.control.apply_due_steps()
        if request.path.partition("?")[0] != "/health_status":
            return self.control.respond(request)
        if request.method != "GET":
            return text_response(405, "Only GET is answered here", headers=(("Allow", "GET"),))
        return await self._health(request)

    async def _health(self, request: Request) -> Reply:
        """Answer with the state after the latency, not with the state when the request arrived."""
        simulation, key = self.control.simulation, request.headers.get("d360-api-key")
        number = simulation.number_of(key)
        with self.control.requests.record(number.id if number else None, request.headers, reused=request.reused):
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
    """Start a server. The scenario's clock starts too, unless `paused`. `on_step` is called with each applied step.

    Raises OSError if the address is not available. Close the server, or use it in `async with`.
    """
    server = Server(Control(simulation, ScenarioClock(paused=paused), on_step))
    await server.listen(host, port)
    return server


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


_SHORT_INTERVALS = {"group_interval": "15s", "reasons_interval": "15s"}


def wabawatch_config(simulation: Simulation, url: str, keys: Path | None = None) -> dict[str, Any]:
    """Build the configuration. API keys are `file:` references into the folder `keys`, or `env:` references without it.

    A scenario with steps gets shorter intervals between notifications, because its incidents last minutes, not days.
    """
    return {
        "source": {"base_url": url, "timeout": "10s"},
        "targets": [
            _target(position, number, keys) for position, number in enumerate(simulation.scenario.fleet.numbers, 1)
        ],
        "destinations": {"console": {"kind": "console"}},
        **({"policy": dict(_SHORT_INTERVALS)} if simulation.scenario.steps else {}),
    }


def key_environment(simulation: Simulation) -> dict[str, str]:
    """Return the environment variables, and their values, to which `wabawatch_config` refers without a folder."""
    return {_variable(position): number.key for position, number in enumerate(simulation.scenario.fleet.numbers, 1)}


def write_config(simulation: Simulation, url: str, folder: Path) -> Path:
    """Write `config.yaml` and a file `keys/ID` for each number, and return the path of the configuration.

    Only the owner can read them. Existing files are replaced. Raises OSError, also if a folder is a symbolic link or
    belongs to another user.
    """
    folder = folder.absolute()
    document = wabawatch_config(simulation, url, folder / "keys")
    keys = {number.id: number.key + "\n" for number in simulation.scenario.fleet.numbers}
    write_files(folder, {"config.yaml": yaml.safe_dump(document, sort_keys=False, allow_unicode=True)})
    write_files(folder / "keys", keys, closed=True)
    return folder / "config.yaml"


def _target(position: int, number: Number, keys: Path | None) -> dict[str, Any]:
    reference = f"file:{keys / number.id}" if keys else f"env:{_variable(position)}"
    target: dict[str, Any] = {"id": number.id, "name": number.name, "api_key": reference}
    return target | ({"labels": dict(number.labels)} if number.labels else {})


def _variable(position: int) -> str:
    """Name the variable by position: two ids may differ only in characters that a variable name cannot have."""
    return f"SIMULATED_KEY_{position}"
