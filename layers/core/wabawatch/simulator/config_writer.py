"""Write a Wabawatch configuration that monitors the simulator, with the API keys in files or in the environment."""

from pathlib import Path
from typing import Any

import yaml

from wabawatch.application.private_files import write_files
from wabawatch.simulator.fleet import Number
from wabawatch.simulator.simulation import Simulation

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
