"""The configuration as values: everything that a deployment can choose."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Final

import msgspec

from wabawatch.application.ports import Target
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import Policy
from wabawatch.domain.routing import Route, SeverityRule, Window
from wabawatch.domain.schedule import Weekly

BASE_URL: Final = "https://waba-v2.360dialog.io"
DEPLOYMENT: Final = "wabawatch"


class Source(msgspec.Struct, frozen=True):
    """How targets are read. `timeout` is the whole time of one probe; `requests_per_second` None: no limit."""

    base_url: str = BASE_URL
    timeout: timedelta = timedelta(seconds=10)
    concurrency: int = 64
    requests_per_second: float | None = None


class Destination(msgspec.Struct, frozen=True):
    """A configured place. `options` is the notifier's own struct; secrets in it are references, never values."""

    kind: str
    options: msgspec.Struct


class Heartbeat(msgspec.Struct, frozen=True):
    """A dead-man's switch: `url` (https, or a reference to a secret) is told when a run begins (/start), of success
    after one in which at least `min_coverage` (0 to 1) of the targets were read while no notification waits longer than
    `max_delivery_age`, and of failure (/fail) after any other."""

    url: str
    min_coverage: float = 0.95
    max_delivery_age: timedelta = timedelta(minutes=15)


MONDAY_MORNING: Final = Weekly(("mon",), time(9), time(9), "UTC")


class Settings(msgspec.Struct, frozen=True):
    """One whole configuration. `runbook` maps a reason code, or the word for a cause, to our own advice on it.

    No routes at all: every destination is told of everything. `digest` None: old troubles come in no weekly digest.
    `heartbeat` and `history_days` None: as the environment says."""

    targets: tuple[Target, ...]
    destinations: dict[str, Destination]
    source: Source = Source()
    routes: tuple[Route, ...] = ()
    policy: Policy = Policy()
    windows: tuple[Window, ...] = ()
    severities: tuple[SeverityRule, ...] = ()
    runbook: dict[int | str, Advice] = {}
    heartbeat: Heartbeat | None = None
    digest: Weekly | None = MONDAY_MORNING
    deployment: str = DEPLOYMENT
    history_days: int | None = None
