"""What poll itself costs, without the network: passes over a fleet whose answers are at hand, on SQLite.

    python -m benchmarks.polling [TARGETS]

Each pass is a fresh process on one core, as each pass of `run --once` is: it reads the configuration, loads snapshots,
detects, commits and records. In the first pass every target is new; in `quiet` nothing changed; in `failed` no target
could be read; in `blocked` all of them changed. The most memory counts: a quiet pass over 100,000 targets must stay
below 200 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from wabawatch.application.poll import PollTask
from wabawatch.application.ports import Target
from wabawatch.bootstrap import Monitor
from wabawatch.domain.health import CALLING, MESSAGING, Entity, Failure, Observation, Report

KINDS = ("first", "quiet", "failed", "quiet", "blocked")


class Source:
    """Answers at once: each number has an account of its own, and ten share a business."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, stopped: Callable[[], bool] = lambda: False
    ) -> Iterable[Observation]:
        del until
        for place, target in enumerate(targets):
            if stopped():
                return
            yield Observation(target.id, datetime.now(UTC), self._outcome(place))

    def _outcome(self, place: int) -> Report | Failure:
        if self._kind == "failed":
            return Failure("timeout", f"no answer within 10 s from host {place % 3}")
        own = {MESSAGING: "BLOCKED" if self._kind == "blocked" else "AVAILABLE", CALLING: "AVAILABLE"}
        well = {MESSAGING: "AVAILABLE", CALLING: "AVAILABLE"}
        return Report(
            (
                Entity("PHONE_NUMBER", str(105954558000000 + place), own),
                Entity("WABA", str(102290129000000 + place), well),
                Entity("BUSINESS", str(272906349000000 + place // 10), well),
                Entity("APP", "670843887433847", well),
            ),
            {MESSAGING: own[MESSAGING]},
        )


def configuration(count: int) -> bytes:
    targets: Iterator[dict[str, object]] = (
        {"id": f"number-{place}", "name": f"Number {place}", "api_key": f"secretsmanager:wabawatch/keys#{place}",
         "labels": {"team": f"team-{place % 20}"}}
        for place in range(count)
    )  # fmt: skip
    return json.dumps({"targets": list(targets), "destinations": {"ops": {"kind": "console"}}}).encode()


def one_pass(kind: str, folder: Path) -> None:
    application = Monitor(f"sqlite:{folder / 'state.db'}", str(folder / "config.json"), {}, resolve=False)
    application.parts.__dict__["source"] = Source(kind)
    run = application.poll(PollTask(application.new_run_id(), application.settings.targets)).run
    application.close()
    print(f"{run.answered} answered, {run.writes} written")


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_bytes(configuration(count))
        print(f"{count} targets, one core, SQLite")
        for kind in KINDS:
            core = str(min(os.sched_getaffinity(0)))
            command = ["taskset", "-c", core, sys.executable, __file__, kind, name]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            said = process.stdout.read().strip() if process.stdout else ""
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu = used.ru_utime + used.ru_stime
            print(f"{kind:8}{cpu:7.2f} s of CPU{used.ru_maxrss / 1024:7.0f} MB   {said}")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in KINDS:
        one_pass(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
