"""A configuration that makes Wabawatch watch the simulator; the keys lie in files or in the environment."""

from pathlib import Path
from typing import Any

import yaml

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
    """Write `config.yaml` and `keys/ID` for each number, the keys readable by their owner only; the path of the former.

    What was written there before is replaced. Raises OSError.
    """
    keys = folder.resolve() / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    keys.chmod(0o700)
    for number in simulation.scenario.fleet.numbers:
        _write_private(keys / number.id, number.key)
    path = folder.resolve() / "config.yaml"
    document = wabawatch_config(simulation, url, keys)
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")
    return path


def _write_private(path: Path, content: str) -> None:
    """No moment at which others could read it: the file is made private before it is filled."""
    path.touch(0o600)
    path.chmod(0o600)
    path.write_text(content + "\n", "utf-8")


def _target(place: int, number: Number, keys: Path | None) -> dict[str, Any]:
    reference = f"file:{keys / number.id}" if keys else f"env:{_variable(place)}"
    target: dict[str, Any] = {"id": number.id, "name": number.name, "api_key": reference}
    return target | ({"labels": dict(number.labels)} if number.labels else {})


def _variable(place: int) -> str:
    """By place and not by id: ids differ in what a variable's name cannot hold."""
    return f"SIMULATED_KEY_{place}"
