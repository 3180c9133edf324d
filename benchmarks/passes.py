"""What a whole pass costs: `wabawatch run --once` over a fleet, on one core, against the floor of only asking.

    python -m benchmarks.passes [TARGETS]

Each request is answered after 100 ms. Every contender is a fresh process on one core, measured from the interpreter's
start to its end, in several rounds in turn; the medians count. A pass reads the configuration and the keys, probes,
detects, writes the state and tells. In `a tenth blocked` a tenth of the fleet's businesses are blocked since the last
pass; in `again` nothing has changed. The floor is what asks the same by bare pycurl and forgets the answers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.probes import CONCURRENCY, LATENCY, bare_pycurl
from wabawatch.simulator import RunningServer, Scenario, generated_fleet, running, write_config

ROUNDS = 3
Cost = tuple[float, float, float]
"""Seconds in all, seconds of CPU, and the most memory in MB."""


def measured(*command: str) -> Cost:
    """Ends the benchmark where the command fails."""
    core, started = min(os.sched_getaffinity(0)), perf_counter()
    alone = ["taskset", "-c", str(core), sys.executable, *command]
    process = subprocess.Popen(alone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def rounds(server: RunningServer, folder: Path) -> dict[str, list[Cost]]:
    config = write_config(server.simulation, server.url, folder)
    places = ("--config", str(config), "--state", f"sqlite:{folder / 'state.db'}")
    a_pass = ("-m", "wabawatch", *places, "run", "--once", "--json")
    found: dict[str, list[Cost]] = {"bare pycurl": [], "the first pass": [], "a tenth blocked": [], "again": []}
    for _ in range(ROUNDS):
        (folder / "state.db").unlink(missing_ok=True)
        server.heal()
        found["bare pycurl"].append(measured(__file__, "floor", server.url, str(folder / "keys")))
        found["the first pass"].append(measured(*a_pass))
        for place in range(1, len(server.numbers()) // 10 + 1, 10):
            server.set(f"business:business-{place}", status="BLOCKED", reasons=[141010])
        found["a tenth blocked"].append(measured(*a_pass))
        found["again"].append(measured(*a_pass))
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    fleet = generated_fleet(count, wabas=count, businesses=max(count // 10, 1))
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Scenario(fleet=fleet, latency=LATENCY), paused=True) as server,
    ):
        report(rounds(server, Path(folder)), count)


def report(found: dict[str, list[Cost]], count: int) -> None:
    print(f"{count} targets, answers after {LATENCY.total_seconds() * 1000:.0f} ms, {CONCURRENCY} at once, one core")
    middle = {name: tuple(map(statistics.median, zip(*costs, strict=True))) for name, costs in found.items()}
    floor = middle["bare pycurl"][1]
    for name, (wall, cpu, memory) in middle.items():
        print(f"{name:18}{wall:6.2f} s in all{cpu:6.2f} s of CPU{cpu / floor:6.2f} x the floor{memory:6.0f} MB")


def floor(url: str, keys: Path) -> None:
    bare_pycurl((url, 0, {path.name: path.read_text().strip() for path in keys.iterdir()}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["floor"]:
        floor(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
