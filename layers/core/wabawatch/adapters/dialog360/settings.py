"""How the source asks."""

from __future__ import annotations

from datetime import timedelta

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """`timeout` covers a whole probe, from the name's resolution to the last byte. Without `requests_per_second` only
    `concurrency` limits. `ca_file` (PEM) replaces the public authorities, for a gateway with a certificate of its own.
    """

    base_url: str = "https://waba-v2.360dialog.io"
    timeout: timedelta = timedelta(seconds=10)
    concurrency: int = 64
    requests_per_second: float | None = None
    ca_file: str | None = None
