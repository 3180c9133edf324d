"""`simulate` and `demo`: the simulated health API, served by itself or watched at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from wabawatch.cli.arguments import Duration
from wabawatch.cli.exits import NotNowError
from wabawatch.cli.options import Command
from wabawatch.cli.output import show, words
from wabawatch.cli.session import session
from wabawatch.cli.stopping import Stop
from wabawatch.errors import ConfigurationError
from wabawatch.simulator import RunningServer, Scenario, ScenarioError, Step, load_scenario, running, write_config


@click.command(
    cls=Command,
    short_help="Serve a simulated health API.",
    examples="""
    $ wabawatch simulate
    $ wabawatch simulate --write-config ~/fleet       # and in another terminal:
    $ wabawatch --config ~/fleet/config.yaml --state sqlite:$HOME/fleet/state.db run --interval 5s
    $ wabawatch simulate --port 8360 --scenario my-story.yaml
    """,
)
@click.option("--port", type=click.IntRange(0, 65_535), default=8360, show_default=True, help="0: any that is free.")
@click.option("--scenario", metavar="FILE", help="Who exists and what happens; by default a story of three minutes.")
@click.option(
    "--write-config", "folder", metavar="DIR", help="Write a configuration that watches it, and its keys, there."
)
def simulate(port: int, scenario: str | None, folder: str | None) -> None:
    """Serve a health API with a fleet and a story until stopped. GET / explains how to steer it by hand."""
    with Stop() as stop, _serving(_scenario(scenario), port) as server:
        show(words(f"health API at {server.url}; {server.url}/ explains how to steer it; Ctrl-C ends it"))
        if folder is not None:
            _write(server, Path(folder))
        stop.wait(None)


def _write(server: RunningServer, folder: Path) -> None:
    try:
        path = write_config(server.simulation, server.url, folder)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    state = path.parent / "state.db"
    show(words(f"watch it:  wabawatch --config {path} --state sqlite:{state} run --interval 5s"))


def _scenario(path: str | None) -> Scenario:
    try:
        return load_scenario(path)
    except ScenarioError as error:
        raise ConfigurationError(str(error)) from error


@contextmanager
def _serving(scenario: Scenario, port: int) -> Iterator[RunningServer]:
    with ExitStack() as opened:
        try:
            server = opened.enter_context(running(scenario, port=port, on_step=_tell))
        except OSError as error:
            raise NotNowError(f"port {port} cannot be had ({error.strerror}); choose another with --port") from error
        yield server


def _tell(step: Step) -> None:
    if step.caption:
        show(words(f"{_clock(step.at)}  {step.caption}"))


def _clock(at: timedelta) -> str:
    minutes, seconds = divmod(int(at.total_seconds()), 60)
    return f"{minutes}:{seconds:02}"


@click.command(
    cls=Command,
    short_help="Watch the simulator's story: all in one, nothing to set up.",
    examples="""
    $ wabawatch demo
    $ wabawatch demo --interval 2s --scenario my-story.yaml
    """,
)
@click.option("--interval", type=Duration(), default="5s", show_default=True, help="Time between two passes.")
@click.option("--scenario", metavar="FILE", help="Another story than the one that comes with the package.")
@click.option("--for", "duration", type=Duration(), help="End by itself after this time.")
def demo(interval: timedelta, scenario: str | None, duration: timedelta | None) -> None:
    """Serve the simulator's story and watch it: numbers become LIMITED and BLOCKED and recover, and the alerts that
    people on call would get appear. State and configuration live in a temporary folder and go with it."""
    from wabawatch.cli.run import watch  # noqa: PLC0415 - `simulate` alone needs none of it

    own = session()
    with tempfile.TemporaryDirectory(prefix="wabawatch-") as folder, running(_scenario(scenario)) as server:
        own.config = str(write_config(server.simulation, server.url, Path(folder)))
        own.state = f"sqlite:{folder}/state.db"
        own.stack = None
        with Stop(after=duration) as stop:
            watch(own, interval, stop)
        own.close()
