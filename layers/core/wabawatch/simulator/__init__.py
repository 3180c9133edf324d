"""A simulated health API for development, demonstrations and tests, with the failures and quirks of the real one.

A `Scenario` defines the numbers and a list of timed changes. A `Simulation` holds the state of the fleet, without clock
and sockets. `serve` serves it over HTTP; `running` does so in a thread:

    with running(Scenario(fleet=generated_fleet(40, businesses=1)), paused=True) as server:
        server.set("business:business-1", status="BLOCKED", reasons=[141010])
        server.set("support-de", failure="reset", …)

It can also be controlled over HTTP on the same port, under /simulator/; GET / explains how, with examples.
"""

from wabawatch.simulator.changes import Change
from wabawatch.simulator.failures import FAILURES, Failure
from wabawatch.simulator.fleet import CATALOGUE, Fleet, Health, Number, Reason, generated_fleet
from wabawatch.simulator.quirks import QUIRKS
from wabawatch.simulator.reading import ScenarioError
from wabawatch.simulator.scenario import Scenario, Step, load_scenario, parse_scenario
from wabawatch.simulator.server import (
    RunningServer,
    Server,
    key_environment,
    running,
    serve,
    wabawatch_config,
    write_config,
)
from wabawatch.simulator.simulation import Simulation

__all__ = [
    "CATALOGUE",
    "FAILURES",
    "QUIRKS",
    "Change",
    "Failure",
    "Fleet",
    "Health",
    "Number",
    "Reason",
    "RunningServer",
    "Scenario",
    "ScenarioError",
    "Server",
    "Simulation",
    "Step",
    "generated_fleet",
    "key_environment",
    "load_scenario",
    "parse_scenario",
    "running",
    "serve",
    "wabawatch_config",
    "write_config",
]
