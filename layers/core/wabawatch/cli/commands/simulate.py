"""`simulate`: serve a simulated health API."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from wabawatch.cli.exit_codes import Stop, TemporaryError
from wabawatch.cli.options import Command
from wabawatch.cli.output import show, words
from wabawatch.errors import ConfigurationError
from wabawatch.simulator import RunningServer, Scenario, ScenarioError, Step, load_scenario, running, write_config


@click.command(
    cls=Command,
    short_help="Serve a simulated health API.",
    examples="""
    $ wabawatch simulate
    $ wabawatch simulate --write-config ~/fleet       # and in another terminal:
    $ wabawatch --config ~/fleet/config.yaml --state sqlite:$HOME/fleet/state.db run --interval 5s
    $ wabawatch simulate --port 8360 --scenario my-scenario.yaml
    """,
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8360, show_default=True, help="0 chooses any free port."
)
@click.option("--scenario", metavar="FILE", help="The fleet and its events; by default a scenario of three minutes.")
@click.option(
    "--write-config", "folder", metavar="DIR", help="Write a configuration that monitors this fleet, and its keys."
)
def simulate(port: int, scenario: str | None, folder: str | None) -> None:
    """Serve a simulated health API until stopped. GET / describes how to control it by hand."""
    with Stop() as stop, _serve(read_scenario(scenario), port) as server:
        show(words(f"health API at {server.url}; {server.url}/ describes how to control it; press Ctrl-C to stop"))
        if folder is not None:
            _write_config(server, Path(folder))
        stop.wait(None)


def _write_config(server: RunningServer, folder: Path) -> None:
    try:
        path = write_config(server.simulation, server.url, folder)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    state = path.parent / "state.db"
    show(words(f"monitor it:  wabawatch --config {path} --state sqlite:{state} run --interval 5s"))


def read_scenario(path: str | None) -> Scenario:
    """Read a scenario; None reads the one in the package. Raise ConfigurationError if it is invalid."""
    try:
        return load_scenario(path)
    except ScenarioError as error:
        raise ConfigurationError(str(error)) from error


@contextmanager
def _serve(scenario: Scenario, port: int) -> Iterator[RunningServer]:
    with ExitStack() as opened:
        try:
            server = opened.enter_context(running(scenario, port=port, on_step=_show_step))
        except OSError as error:
            why = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise TemporaryError(f"port {port} {why}; choose another with --port") from error
        yield server


def _show_step(step: Step) -> None:
    if step.caption:
        show(words(f"{_clock(step.at)}  {step.caption}"))


def _clock(at: timedelta) -> str:
    minutes, seconds = divmod(int(at.total_seconds()), 60)
    return f"{minutes}:{seconds:02}"
