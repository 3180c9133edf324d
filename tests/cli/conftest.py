from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from wabawatch.cli.main import program
from wabawatch.simulator import Fleet, Number, RunningServer, Scenario, generated_fleet, running, write_config

FLEET = Fleet(
    (
        Number(id="support-de", name="Support Germany", waba="acme-eu", business="acme", labels={"team": "support"}),
        Number(id="sales-br", name="Sales Brazil", waba="acme-br", business="acme", labels={"team": "sales"}),
        Number(id="orders-pl", name="Orders Poland", waba="harbour", business="harbour", labels={"team": "sales"}),
    )
)


class Site:
    """A simulated fleet, a configuration that watches it, a state of its own, and the command line in this process."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.config = write_config(server.simulation, server.url, folder)
        self.settings: dict[str, Any] = yaml.safe_load(self.config.read_text())
        self.environment = {
            "WABAWATCH_STATE": f"sqlite:{folder / 'state.db'}",
            "WABAWATCH_CONFIG": str(self.config),
            "HOME": str(folder),
        }

    def configure(self, **sections: Any) -> None:
        self.settings |= sections
        self.config.write_text(yaml.safe_dump(self.settings))

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(program, list(arguments), prog_name="wabawatch", env=self.environment)

    def ok(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def document(self, *arguments: str) -> dict[str, Any]:
        """The one JSON document on standard output, whatever the exit code."""
        lines = self.call(*arguments, "--json").stdout.splitlines()
        assert len(lines) == 1, lines
        found: dict[str, Any] = json.loads(lines[0])
        return found

    def once(self, times: int = 1) -> dict[str, Any]:
        for _ in range(times):
            done = self.document("run", "--once")
        return done

    def block(self) -> str:
        """Block a number's account, see it, and return the incident's id."""
        self.server.set("waba:acme-eu", status="BLOCKED", reasons=[141006])
        self.once()
        (incident,) = self.document("incidents")["incidents"]
        return str(incident["id"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running(Scenario(fleet=FLEET), paused=True) as server:
        yield Site(server, tmp_path)


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Site]:
    """Thirty numbers of one business that is found blocked: more than an incident names by itself."""
    with running(Scenario(fleet=generated_fleet(30, businesses=1)), paused=True) as server:
        server.set("business:business-1", status="BLOCKED", reasons=[141010])
        found = Site(server, tmp_path)
        found.once()
        yield found


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Each call configures logging anew; leave none of it behind."""
    logger = logging.getLogger("wabawatch")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before
