"""Values to store: small, plain, and different where it matters."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from wabawatch.application.ports import Change, MemberRow, PendingChange
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import AVAILABLE, BLOCKED, MESSAGING, Entity, Observation, Reason, Report, TargetInfo
from wabawatch.domain.incident import INLINE_MEMBERS, Incident, Key, Member, NotificationState
from wabawatch.domain.notification import (
    IncidentSummary,
    Notification,
    QueuedLine,
    QueuedNotification,
    ReasonShown,
    Stage,
)
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence
from wabawatch.domain.snapshot import CapabilityState, Evidence, Snapshot, Transition

START = datetime(2026, 3, 1, 8, 30, 0, 123456, UTC)
UNPAID = Reason(141006, "There is an error with the payment method", "Add a payment method")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def snapshot(target: str, version: int = 1, seq: int = 0, minutes: float = 0, status: str = AVAILABLE) -> Snapshot:
    state = CapabilityState("WABA", f"9{target}", MESSAGING, status, at(minutes), was_available=True)
    return Snapshot(target, version, seq, at(minutes), (state,))


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


def pending(made: Change, after: int = 0) -> PendingChange:
    """What is pending of a change once its transitions up to this number are folded."""
    rest = tuple(each for each in made.transitions if each.seq > after)
    return PendingChange(made.snapshot.target, made.observation.observed_at, rest)


def folded(made: Change, up_to: int | None = None) -> tuple[PendingChange, int]:
    """A change for a fold batch: all of it is folded, or its transitions up to a number."""
    return (pending(made), made.transitions[-1].seq if up_to is None else up_to)


def key(entity_id: str = "1") -> Key:
    return Key("WABA", entity_id, MESSAGING)


def incident(incident_id: str, entity_id: str = "1", minutes: float = 0, members: int = 1, **more: object) -> Incident:
    names = [f"number-{position:06}" for position in range(members)]
    opened = Incident(
        incident_id,
        *key(entity_id),
        BLOCKED,
        BLOCKED,
        opened_at=at(minutes),
        confirmed_at=at(minutes),
        changed_at=at(minutes),
        version=1,
        reasons=(UNPAID,),
        counts={BLOCKED: members},
        named={name: Member(BLOCKED, at(minutes)) for name in names[:INLINE_MEMBERS]},
        has_member_rows=members > INLINE_MEMBERS,
    )
    return msgspec.structs.replace(opened, **more)


def later(value: Incident, **more: object) -> Incident:
    """The next version of an incident."""
    return msgspec.structs.replace(value, version=value.version + 1, **more)


def resolved(value: Incident, minutes: float, due_at: datetime | None = None) -> Incident:
    over = {name: Member("", at(minutes)) for name in value.named}
    return later(
        value,
        status=AVAILABLE,
        resolved_at=at(minutes),
        resolution="recovered",
        counts={},
        recovered=value.total_affected,
        named=over,
        due_at=due_at,
    )


def member(minutes: float = 0, status: str = BLOCKED) -> Member:
    return Member(status, at(minutes))


def member_row(incident_id: str, target: str, minutes: float = 0, status: str = BLOCKED) -> MemberRow:
    return MemberRow(incident_id, target, member(minutes, status))


def queued(notification_id: str, destination: str = "ops", incidents: int = 1, **more: object) -> QueuedNotification:
    """A notification about some incidents, of which the message itself shows ten at most."""
    ids = [f"{position:012x}" for position in range(incidents)]
    subjects = tuple(
        IncidentSummary(
            incident_id,
            *key(str(position)),
            severity="critical",
            old=None,
            new=BLOCKED,
            opened_at=at(0),
            changed_at=at(position),
            reasons=(ReasonShown(UNPAID),),
            affected=(TargetInfo("support-de", "Support Germany", {"team": "a"}, BLOCKED),),
            affected_total=1,
        )
        for position, incident_id in enumerate(ids[:10])
    )
    notified = NotificationState(BLOCKED, 1, ("141006",), 1, at(1), at(1), count=1, last_id=notification_id)
    waiting = QueuedNotification(
        notification_id,
        destination,
        Stage.SENDING,
        Notification(notification_id, "digest", destination, "production", at(1), subjects, total=incidents),
        tuple(QueuedLine(incident_id, notified) for incident_id in ids),
    )
    return msgspec.structs.replace(waiting, **more)


def coverage(shard: int = 0, of: int = 2, minutes: float = 0, **more: object) -> ShardCoverage:
    now = ShardCoverage(shard, of, f"run-{minutes}", at(minutes), at(minutes + 1), timedelta(minutes=5), expected=9)
    return msgspec.structs.replace(now, **more)


def day(number: int = 1, shard: int = 0, of: int = 2, **more: object) -> DayCoverage:
    """A day of March."""
    return msgspec.structs.replace(DayCoverage(date(2026, 3, number), shard, of, timedelta(hours=23)), **more)


def run(run_id: str, minutes: float = 0, shard: int = 0, **more: object) -> Run:
    return msgspec.structs.replace(Run(run_id, shard, 2, at(minutes), expected=5), **more)


def silence(silence_id: str, ends: float = 60) -> Silence:
    return Silence(silence_id, Matcher(status=(BLOCKED,), labels={"team": "a"}), "mia", "planned", at(0), at(ends))


def acknowledgement(incident_id: str, author: str = "mia", minutes: float = 0) -> Acknowledgement:
    return Acknowledgement(incident_id, author, at(minutes), BLOCKED, note="on it")
