"""The process itself: its ID, which holds leases, and how many connections it may have at once."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
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


RESERVED: Final = 128
"""Kept for the state, the clients of AWS and the resolver's threads (20 in libcurl, with a few descriptors each)."""
ON_LAMBDA: Final = 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; nobody can raise it."""


def connection_limit(descriptors: int | None = None) -> int | None:
    """Return how many connections a process may have at once; None where nothing limits them.

    `descriptors` is how many files it may open; None: what the system says of this process."""
    found = _soft_limit() if descriptors is None else descriptors
    return None if found is None else max(1, found - RESERVED)


def lower_concurrency(wanted: int, descriptors: int | None = None) -> tuple[int, str]:
    """Return the number of concurrent probes, and a warning if that is fewer than wanted ("" otherwise)."""
    limit = connection_limit(descriptors)
    if limit is None or wanted <= limit:
        return wanted, ""
    files, advice = f"{limit + RESERVED:,}", f"write {limit} or less"
    if descriptors is None:
        advice += f", or raise the limit (ulimit -n {wanted + RESERVED})"
    return limit, (
        f"source.concurrency is {wanted}, and {limit} probes run concurrently: a process may open {files} files"
        f"{'' if descriptors is None else ' on Lambda'}, of which {RESERVED} are kept for other work; {advice}"
    )


def is_exhausted() -> bool:
    """Return whether no further descriptor can be opened at the moment."""
    with suppress(OSError), socket.socket():
        return False
    return True


def _soft_limit() -> int | None:
    try:
        import resource  # noqa: PLC0415 - there is none on Windows, which has no such limit
    except ImportError:
        return None
    found, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if found == resource.RLIM_INFINITY else found
