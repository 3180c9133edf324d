"""A health API to develop and demonstrate against: as odd as the real one, and steered by a scenario or by hand.

A scenario (see `scenario`) says who exists and what happens when; a `Simulation` is that fleet in motion, without clock
or sockets; `serve` puts it on a socket, and `running` does so in a thread:

    with running(Scenario(fleet=generated_fleet(40, businesses=1)), paused=True) as server:
        server.set("business:business-1", status="BLOCKED", reasons=[141010])
        server.set("support-de", failure="reset", …)

The same port takes steering by HTTP under /simulator/; GET / explains it with examples.
"""

from .changes import Change
from .failures import FAILURES, Failure
from .fleet import Fleet, Number, generated_fleet
from .oddities import ODDITIES
from .reading import ScenarioError
from .reasons import CATALOGUE, Health, Reason
from .running import RunningServer, running
from .scenario import Scenario, Step, load_scenario, parse_scenario
from .server import Server, serve
from .simulation import Simulation
from .watching import key_environment, wabawatch_config, write_config

__all__ = [
    "CATALOGUE",
    "FAILURES",
    "ODDITIES",
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
