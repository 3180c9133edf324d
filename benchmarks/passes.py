"""Measure complete passes: `wabawatch run --once` over a fleet, on one core, compared with only making the requests.

    python -m benchmarks.passes [TARGETS]

Each request is answered after 100 ms. Every case runs in a new process on one core, measured from its start to its end,
in several rounds; the medians are printed. A pass reads the configuration and the keys, probes, detects, writes the
state and sends notifications. In `a tenth blocked`, a tenth of the businesses became blocked after the previous pass;
in `again` nothing has changed. The baseline makes the same requests with bare pycurl and ignores the responses.
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


def measure(*command: str) -> Cost:
    """Run the command on one core. Exit if it fails."""
    core, started = min(os.sched_getaffinity(0)), perf_counter()
    pinned = ["taskset", "-c", str(core), sys.executable, *command]
    process = subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def measure_rounds(server: RunningServer, folder: Path) -> dict[str, list[Cost]]:
    config = write_config(server.simulation, server.url, folder)
    options = ("--config", str(config), "--state", f"sqlite:{folder / 'state.db'}")
    command = ("-m", "wabawatch", *options, "run", "--once", "--json")
    costs: dict[str, list[Cost]] = {"bare pycurl": [], "the first pass": [], "a tenth blocked": [], "again": []}
    for _ in range(ROUNDS):
        (folder / "state.db").unlink(missing_ok=True)
        server.heal()
        costs["bare pycurl"].append(measure("-m", "benchmarks.passes", "baseline", server.url, str(folder / "keys")))
        costs["the first pass"].append(measure(*command))
        for position in range(1, len(server.numbers()) // 10 + 1, 10):
            server.set(f"business:business-{position}", status="BLOCKED", reasons=[141010])
        costs["a tenth blocked"].append(measure(*command))
        costs["again"].append(measure(*command))
    return costs


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    fleet = generated_fleet(count, wabas=count, businesses=max(count // 10, 1))
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Scenario(fleet=fleet, latency=LATENCY), paused=True) as server,
    ):
        report(measure_rounds(server, Path(folder)), count)


def report(costs: dict[str, list[Cost]], count: int) -> None:
    print(f"{count} targets, responses after {LATENCY.total_seconds() * 1000:.0f} ms, {CONCURRENCY} at once, one core")
    medians = {name: tuple(map(statistics.median, zip(*rounds, strict=True))) for name, rounds in costs.items()}
    baseline_cpu = medians["bare pycurl"][1]
    for name, (wall, cpu, memory) in medians.items():
        ratio = cpu / baseline_cpu
        print(f"{name:18}{wall:6.2f} s in all{cpu:6.2f} s of CPU{ratio:6.2f} x the baseline{memory:6.0f} MB")


def run_baseline(url: str, keys: Path) -> None:
    bare_pycurl((url, 0, {path.name: path.read_text().strip() for path in keys.iterdir()}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["baseline"]:
        run_baseline(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
