"""Runs commands that end together with the process that started them, even if that one is killed.

As a script it stands between the two: `guarded.py PARENT COMMAND ...` runs the command in its own process group, and
kills the group once its own parent is no longer the process PARENT. SIGTERM is passed on to the command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_LOOK_EVERY = 0.2
"""Seconds."""


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
    """Start a guarded command; the options are those of Popen. End it with `end`."""
    guard = [sys.executable, "-S", __file__, str(os.getpid())]
    return subprocess.Popen([*guard, *command], start_new_session=True, **options)


def end(process: subprocess.Popen[Any], patience: float = 0) -> None:
    """End a guarded command and all processes that it left, after `patience` seconds by force."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path | None = None, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a guarded command to its end and return what it wrote. `said` is its standard input."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = start(command, env=environment, cwd=cwd, text=True, **pipes)
    try:
        out, err = process.communicate(said)
    finally:
        end(process)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _guard(parent: int, command: Sequence[str]) -> int:
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.poll() is None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY)
    return process.returncode


if __name__ == "__main__":
    sys.exit(_guard(int(sys.argv[1]), sys.argv[2:]))
