"""A monitored number as people know it."""

from __future__ import annotations

import msgspec


class TargetInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target's id, name and labels. In a notification `status` is what an affected target has."""

    id: str
    name: str
    labels: dict[str, str] = {}
    status: str = ""
