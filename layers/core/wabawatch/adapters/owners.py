"""Names for the processes that hold a lease, by which a later one of the same machine sees that its holder is dead."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def new_owner() -> str:
    """`HOST:BOOT:SPACE:PID:NONCE` of this process; `BOOT` and `SPACE` are empty where the machine does not say them."""
    return ":".join((*_place(), str(os.getpid()), secrets.token_hex(4)))


def is_dead(owner: str) -> bool:
    """Whether the owner was a process that could be seen from here and is no more. Where that cannot be told, it counts
    as alive: its lease will end by itself."""
    *place, pid, _ = owner.split(":") if owner.count(":") == 4 else ("", "", "")  # noqa: PLR2004 - five parts
    if tuple(place) != _place() or not pid.isdecimal() or not pid.strip("0"):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError, ValueError):
        return False
    return False


def _place() -> tuple[str, str, str]:
    """Where process numbers mean what they mean here: the host, its boot, and its namespace of process numbers.
    Containers may share the first, and each counts its processes from 1."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = str((_PROC / "self/ns/pid").stat().st_ino)
    except OSError:
        boot, space = "", ""
    return socket.gethostname().replace(":", "-"), boot, space
