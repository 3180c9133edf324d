"""A health API to develop and demonstrate against: as odd as the real one, and steered by a scenario or by hand.

A scenario (see `scenario`) says who exists and what happens when; a `Simulation` is that fleet in motion, without clock
or sockets; `serve` puts it on a socket, and `running` does so in a thread:

    with running(Scenario(fleet=generated_fleet(40, businesses=1)), paused=True) as server:
        server.set("business:business-1", status="BLOCKED", reasons=[141010])
        server.set("support-de", failure="reset", …)

The same port takes steering by HTTP under /simulator/; GET / explains it with examples.
"""

from .changes import Change
from .client import RunningServer, running
from .config_writer import key_environment, wabawatch_config, write_config
from .failures import FAILURES, Failure
from .fleet import Fleet, Number, generated_fleet
from .quirks import QUIRKS
from .reading import ScenarioError
from .reasons import CATALOGUE, Health, Reason
from .scenario import Scenario, Step, load_scenario, parse_scenario
from .server import Server, serve
from .simulation import Simulation

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
