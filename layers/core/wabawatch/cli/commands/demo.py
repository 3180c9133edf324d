"""`demo`: serve the simulator's scenario and monitor it."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import click

from wabawatch.cli.commands.simulate import load_story
from wabawatch.cli.options import Command, Duration
from wabawatch.cli.session import session
from wabawatch.cli.signals import Stop
from wabawatch.simulator import running, write_config


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
    from wabawatch.cli.commands.run import watch  # noqa: PLC0415 - `simulate` alone needs none of it

    own = session()
    with tempfile.TemporaryDirectory(prefix="wabawatch-") as folder, running(load_story(scenario)) as server:
        own.config = str(write_config(server.simulation, server.url, Path(folder)))
        own.state = f"sqlite:{folder}/state.db"
        own.stack = None
        with Stop(after=duration) as stop:
            watch(own, interval, stop)
        own.close()
