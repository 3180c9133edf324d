"""File descriptors: how many connections a process may have at once, and whether it can open one more."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

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
