"""A configuration that makes Wabawatch watch the simulator; the keys lie in files or in the environment."""

from pathlib import Path
from typing import Any

import yaml

from wabawatch.application.private_files import write_files

from .fleet import Number
from .simulation import Simulation

_IN_A_HURRY = {"group_interval": "15s", "reasons_interval": "15s"}


def wabawatch_config(simulation: Simulation, url: str, keys: Path | None = None) -> dict[str, Any]:
    """The configuration as a mapping. Keys are `file:` references into the folder `keys`, or `env:` without one.

    A story tells in minutes what takes days; so the intervals between two messages about one incident are shorter."""
    return {
        "source": {"base_url": url, "timeout": "10s"},
        "targets": [_target(*numbered, keys) for numbered in enumerate(simulation.scenario.fleet.numbers, 1)],
        "destinations": {"console": {"kind": "console"}},
        **({"policy": dict(_IN_A_HURRY)} if simulation.scenario.steps else {}),
    }


def key_environment(simulation: Simulation) -> dict[str, str]:
    """Variable → key, for the references that `wabawatch_config` makes without a folder."""
    return {_variable(place): number.key for place, number in enumerate(simulation.scenario.fleet.numbers, 1)}


def write_config(simulation: Simulation, url: str, folder: Path) -> Path:
    """Write `config.yaml` and `keys/ID` for each number, for their owner only; return the path of the former.

    What was written there before is replaced. Raises OSError, also where a folder is a link or another user's."""
    place = folder.absolute()
    document = wabawatch_config(simulation, url, place / "keys")
    write_files(place, {"config.yaml": yaml.safe_dump(document, sort_keys=False, allow_unicode=True)})
    write_files(
        place / "keys", {number.id: number.key + "\n" for number in simulation.scenario.fleet.numbers}, closed=True
    )
    return place / "config.yaml"


def _target(place: int, number: Number, keys: Path | None) -> dict[str, Any]:
    reference = f"file:{keys / number.id}" if keys else f"env:{_variable(place)}"
    target: dict[str, Any] = {"id": number.id, "name": number.name, "api_key": reference}
    return target | ({"labels": dict(number.labels)} if number.labels else {})


def _variable(place: int) -> str:
    """By place and not by id: ids differ in what a variable's name cannot hold."""
    return f"SIMULATED_KEY_{place}"
