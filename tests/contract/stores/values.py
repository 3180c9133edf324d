"""Values to store: small, plain, and different where it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zlib import crc32

import msgspec

from wabawatch.application.ports import Change
from wabawatch.domain.health import AVAILABLE, BLOCKED, MESSAGING, Entity, Observation, Reason, Report
from wabawatch.domain.incidents import Incident, Member
from wabawatch.domain.runs import Run
from wabawatch.domain.steering import Acknowledgement, Matcher, Silence
from wabawatch.domain.transitions import Evidence, Snapshot, Track, Transition

START = datetime(2026, 3, 1, 8, 30, 0, 123456, UTC)
UNPAID = Reason(141006, "There is an error with the payment method", "Add a payment method")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def snapshot(target: str, version: int = 1, seq: int = 0, minutes: float = 0, status: str = AVAILABLE) -> Snapshot:
    track = Track("WABA", f"9{target}", MESSAGING, status, at(minutes), proven=True)
    return Snapshot(target, version, seq, at(minutes), (track,))


def observation(target: str, minutes: float = 0, status: str = AVAILABLE) -> Observation:
    entity = Entity("WABA", f"9{target}", {MESSAGING: status}, (UNPAID,) if status == BLOCKED else ())
    return Observation(target, at(minutes), Report((entity,), {MESSAGING: status}))


def transition(target: str, seq: int, minutes: float = 0, entity_id: str = "") -> Transition:
    return Transition(
        target,
        seq,
        "WABA",
        entity_id or f"9{target}",
        MESSAGING,
        AVAILABLE,
        BLOCKED,
        at(minutes),
        at(minutes),
        reasons=(UNPAID,),
        evidence=(Evidence(BLOCKED, at(minutes)),),
        run_id="run-1",
    )


def change(target: str, version: int = 1, minutes: float = 0, seqs: tuple[int, ...] = ()) -> Change:
    """A commit's worth: the snapshot of this version and the transitions of these numbers."""
    status = BLOCKED if seqs else AVAILABLE
    transitions = tuple(transition(target, seq, minutes, f"entity-{seq}") for seq in seqs)
    seen = snapshot(target, version, seqs[-1] if seqs else 0, minutes, status)
    return Change(seen, transitions, observation(target, minutes, status))


def incident(incident_id: str, entity_id: str = "1", minutes: float = 0, members: int = 1, **more: object) -> Incident:
    ids = [f"number-{crc32(bytes(str(position), 'ascii')):08x}" for position in range(members)]
    opened = Incident(
        incident_id,
        "WABA",
        entity_id,
        MESSAGING,
        BLOCKED,
        BLOCKED,
        opened_at=at(minutes),
        confirmed_at=at(minutes),
        changed_at=at(minutes),
        version=1,
        reasons=(UNPAID,),
        members={name: Member(BLOCKED, at(minutes + position / 7)) for position, name in enumerate(ids)},
        folded={name: position + 1 for position, name in enumerate(ids)},
    )
    return msgspec.structs.replace(opened, **more)


def later(value: Incident, **more: object) -> Incident:
    """The next version of an incident."""
    return msgspec.structs.replace(value, version=value.version + 1, **more)


def resolved(value: Incident, minutes: float, due_at: datetime | None = None) -> Incident:
    left = tuple(value.members)
    return later(value, status=AVAILABLE, resolved_at=at(minutes), members={}, left=left, due_at=due_at)


def run(run_id: str, minutes: float = 0, shard: int = 0, **more: object) -> Run:
    return msgspec.structs.replace(Run(run_id, shard, 2, at(minutes), expected=5), **more)


def silence(silence_id: str, ends: float = 60) -> Silence:
    return Silence(silence_id, Matcher(status=(BLOCKED,), labels={"team": "a"}), "mia", "planned", at(0), at(ends))


def acknowledgement(incident_id: str, author: str = "mia", minutes: float = 0) -> Acknowledgement:
    return Acknowledgement(incident_id, author, at(minutes), BLOCKED, note="on it")
