"""Name the process that holds a lease, so that a later one of the same machine can see that it has ended."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def new_process_id() -> str:
    """Return `HOST:BOOT:SPACE:PID:NONCE` of this process; `BOOT` and `SPACE` are empty where they are unknown."""
    return ":".join((*_scope(), str(os.getpid()), secrets.token_hex(4)))


def is_dead(owner: str) -> bool:
    """Return whether the owner was a process visible from here, and has ended. If that is unknown, it counts as
    alive: its lease will expire."""
    *place, pid, _ = owner.split(":") if owner.count(":") == 4 else ("", "", "")  # noqa: PLR2004 - five parts
    if tuple(place) != _scope() or not pid.isdecimal() or not pid.strip("0"):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError):
        return False
    return False


def _scope() -> tuple[str, str, str]:
    """Return where this process's PIDs are valid: the host, its boot, and the PID namespace. Containers may share the
    host name, and each has its own PIDs."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = str((_PROC / "self/ns/pid").stat().st_ino)
    except OSError:
        boot, space = "", ""
    return socket.gethostname().replace(":", "-"), boot, space
