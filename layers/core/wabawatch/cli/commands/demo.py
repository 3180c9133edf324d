"""`demo`: serve the simulator's scenario and monitor it."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import click

from wabawatch.cli.commands.run import monitor
from wabawatch.cli.commands.simulate import read_scenario
from wabawatch.cli.exit_codes import Stop
from wabawatch.cli.options import Command, Duration
from wabawatch.cli.session import session
from wabawatch.simulator import running, write_config


@click.command(
    cls=Command,
    short_help="Monitor a simulated fleet; needs no setup.",
    examples="""
    $ wabawatch demo
    $ wabawatch demo --interval 2s --scenario my-scenario.yaml
    """,
)
@click.option("--interval", type=Duration(), default="5s", show_default=True, help="Time between two passes.")
@click.option("--scenario", metavar="FILE", help="Use this scenario instead of the one in the package.")
@click.option("--for", "duration", type=Duration(), help="Stop after this time.")
def demo(interval: timedelta, scenario: str | None, duration: timedelta | None) -> None:
    """Simulate a fleet and monitor it: numbers become LIMITED or BLOCKED and recover, and you see the alerts that an
    on-call team would get. State and configuration are kept in a temporary folder, which is deleted at the end."""
    own = session()
    with tempfile.TemporaryDirectory(prefix="wabawatch-") as folder, running(read_scenario(scenario)) as server:
        own.config = str(write_config(server.simulation, server.url, Path(folder)))
        own.state = f"sqlite:{folder}/state.db"
        own.stack = None
        with Stop(after=duration) as stop:
            monitor(own, interval, stop)
        own.close()
