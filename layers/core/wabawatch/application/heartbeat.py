"""The heartbeat: once for each complete run, and only when the work was really done."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

import msgspec

from wabawatch.application.ports import Store
from wabawatch.domain.heartbeat import HeartbeatPing, HeartbeatRules, LastHeartbeatPing, next_heartbeat_ping

_LAST: Final = "heartbeat"


class HeartbeatSender(Protocol):
    """A dead-man's switch: alarms when no success came for a while, or when it is told of a failure."""

    def send(self, pulse: HeartbeatPing) -> None:
        """Raises DeliveryError."""
        ...


def begin(switch: HeartbeatSender, run_id: str, expected: int) -> HeartbeatPing:
    """Tell the switch that a run over so many targets begins: it can then say how long one takes, and that one began
    and never ended. Raises DeliveryError."""
    found = HeartbeatPing(run_id, "start", f"{expected} targets to read")
    switch.send(found)
    return found


def beat(
    store: Store, switch: HeartbeatSender, vital: HeartbeatRules, oldest_undelivered: timedelta, shards: int = 1
) -> HeartbeatPing | None:
    """Tell the switch of the latest complete run, once; return the pulse that was sent.

    `shards` is into how many the fleet is divided now. Recorded after it was sent: a switch that could not be reached
    is tried again in the next round."""
    found = next_heartbeat_ping(store.coverages(), shards, _last_pulse(store), oldest_undelivered, vital)
    if found is None:
        return None
    pulse, remembered = found
    switch.send(pulse)
    store.save_document(_LAST, msgspec.json.encode(remembered))
    return pulse


def _last_pulse(store: Store) -> LastHeartbeatPing:
    """A document that cannot be read costs one pulse too many, and never one too few."""
    try:
        return msgspec.json.decode(store.document(_LAST) or b"{}", type=LastHeartbeatPing)
    except msgspec.DecodeError:
        return LastHeartbeatPing()
