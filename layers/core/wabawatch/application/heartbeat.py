"""Send heartbeats: one for each complete run, and a success only when the work was really done."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

import msgspec

from wabawatch.application.ports import DocumentStore, RunStore
from wabawatch.domain.heartbeat import HeartbeatPing, HeartbeatRules, LastHeartbeatPing, next_heartbeat_ping

_LAST: Final = "heartbeat"


class HeartbeatSender(Protocol):
    """Sends to a dead-man's switch, which alarms when no success came for a while, or when it receives a failure."""

    def send(self, pulse: HeartbeatPing) -> None:
        """Raises DeliveryError."""
        ...


class HeartbeatStore(RunStore, DocumentStore, Protocol):
    """What heartbeats are made of, and the last one."""


def send_start(sender: HeartbeatSender, run_id: str, expected: int) -> HeartbeatPing:
    """Send that a run over so many targets begins, so that the switch can measure its duration and notice a run that
    never ends. Raises DeliveryError."""
    pulse = HeartbeatPing(run_id, "start", f"{expected} targets to read")
    sender.send(pulse)
    return pulse


def send_heartbeat(
    store: HeartbeatStore,
    sender: HeartbeatSender,
    *,
    rules: HeartbeatRules,
    oldest_undelivered: timedelta,
    shards: int = 1,
) -> HeartbeatPing | None:
    """Send the heartbeat of the latest complete run, once; return it, or None where none is due.

    `shards` is how many the fleet has now. The heartbeat is stored after it was sent: where the switch cannot be
    reached, the next round tries again."""
    due = next_heartbeat_ping(store.coverages(), shards, _last_pulse(store), oldest_undelivered, rules)
    if due is None:
        return None
    pulse, last = due
    sender.send(pulse)
    store.save_document(_LAST, msgspec.json.encode(last))
    return pulse


def _last_pulse(store: DocumentStore) -> LastHeartbeatPing:
    """Return the last heartbeat. A document that cannot be decoded causes one heartbeat too many, never one too few."""
    try:
        return msgspec.json.decode(store.document(_LAST) or b"{}", type=LastHeartbeatPing)
    except msgspec.DecodeError:
        return LastHeartbeatPing()
