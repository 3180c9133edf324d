"""Names for the processes that hold a lease, by which a later one of the same machine sees that its holder is dead."""

from __future__ import annotations

import os
import secrets
import socket


def new_owner() -> str:
    """`HOST:PID:NONCE` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """Whether the owner was a process of this machine that is no more. Where that cannot be told, it counts as alive:
    its lease will end by itself."""
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit() or pid == "0":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
