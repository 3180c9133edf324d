"""The heartbeat: once for each complete run, and only when the work was really done."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from wabawatch.application.ports import Store
from wabawatch.domain.heartbeat import Pulse, Vital, pulse

_LAST: Final = "heartbeat"
_RUNS: Final = 64


class Switch(Protocol):
    """A dead-man's switch: alarms when no success came for a while, or when it is told of a failure."""

    def send(self, pulse: Pulse) -> None:
        """Raises DeliveryError."""
        ...


def begin(switch: Switch, run_id: str, expected: int) -> Pulse:
    """Tell the switch that a run over so many targets begins: it can then say how long one takes, and that one began
    and never ended. Raises DeliveryError."""
    found = Pulse(run_id, "start", f"{expected} targets to read")
    switch.send(found)
    return found


def beat(store: Store, switch: Switch, vital: Vital, oldest_undelivered: timedelta) -> Pulse | None:
    """Tell the switch of the latest complete run, once; the pulse that was sent.

    Recorded after it was sent: a switch that could not be reached is tried again in the next round."""
    found = pulse(store.runs(_RUNS), oldest_undelivered, vital)
    if found is None:
        return None
    mark = f"{found.run_id} {found.kind}".encode()
    if store.document(_LAST) == mark:
        return None
    switch.send(found)
    store.save_document(_LAST, mark)
    return found
