"""One value of each stored kind, with every field used."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import Entity, Failure, Observation, Reason, Report, TargetInfo
from wabawatch.domain.incident import Change, Incident, Member, NotificationState
from wabawatch.domain.notification import (
    Advice,
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

AT = datetime(2026, 3, 1, 8, 30, 0, 123456, UTC)
MINUTE = timedelta(minutes=1)
UNPAID = Reason(141006, "There is an error with the payment method", "Add a payment method", detail="seen twice")
SIP = Reason(138024, "SIP is not enabled", capability="can_receive_call_sip")
EVIDENCE = (Evidence("BLOCKED", AT - MINUTE), Evidence("PAUSED", AT))
TRANSITION = Transition(
    "support-de",
    4,
    "WABA",
    "102290129340398",
    "can_send_message",
    "AVAILABLE",
    "BLOCKED",
    AT,
    AT - MINUTE,
    (UNPAID, SIP),
    "BUSINESS 1",
    was_available=True,
    evidence=EVIDENCE,
    run_id="run-1",
)
TOLD = NotificationState(
    status="BLOCKED",
    revision=2,
    reasons=("141006",),
    affected=2,
    at=AT,
    first_at=AT,
    flapping=True,
    reminders=1,
    count=3,
    thread={"ts": "17.5"},
    worst="BLOCKED",
    last_id="n-1",
)
SUBJECT = IncidentSummary(
    "1f2e3d4c5b6a",
    "WABA",
    "102290129340398",
    "can_send_message",
    "critical",
    "LIMITED",
    "BLOCKED",
    AT,
    AT + MINUTE,
    resolved_at=AT + 9 * MINUTE,
    resolution="recovered",
    preexisting=True,
    reasons=(ReasonShown(UNPAID, Advice("you", "pay", "https://example.com")),),
    reasons_gone=(SIP,),
    affected=(TargetInfo("sales", "Sales", {"team": "a"}, "BLOCKED"),),
    affected_total=2,
    affected_before=1,
    recovered_total=3,
    share=0.5,
    history=((AT, "BLOCKED"),),
    acknowledged_by="mia",
)
DAY = DayCoverage(date(2026, 3, 1), 1, 2, 23 * 60 * MINUTE, {"sales": 5 * MINUTE})

EXAMPLES = {
    "snapshot": Snapshot(
        "support-de",
        7,
        4,
        AT,
        (
            CapabilityState(
                "WABA", "102290129340398", "can_send_message", "BLOCKED", AT - MINUTE, (UNPAID,), was_available=True
            ),
            CapabilityState(
                "PHONE_NUMBER", "0049", "can_send_message", "AVAILABLE", AT, caused_by="WABA 102290129340398"
            ),
            CapabilityState("PHONE_NUMBER", "0049", "can_receive_call_sip", None, None, (SIP,), streak=EVIDENCE),
            CapabilityState("FLOWER", "x y", "can_bloom", "WILTED", AT - 9 * MINUTE),
            CapabilityState("TARGET", "support-de", "health_status", "UNKNOWN", AT, (Reason(description="timeout"),)),
        ),
        ("the overall status is AVAILABLE, and WABA is BLOCKED",),
        is_reset=True,
    ),
    "transitions": (TRANSITION, Transition("sales", 5, "APP", "7", "can_bloom", None, "WILTED", AT, AT)),
    "observation": Observation(
        "support-de",
        AT,
        Report(
            (Entity("WABA", "102290129340398", {"can_send_message": "BLOCKED", "can_bloom": "WILTED"}, (UNPAID, SIP)),),
            {"can_send_message": "BLOCKED"},
            ("they disagree",),
        ),
    ),
    "failed observation": Observation("support-de", AT, Failure("throttled", "slow down", 30.5)),
    "incident": Incident(
        id="1f2e3d4c5b6a",
        entity_type="WABA",
        entity_id="102290129340398",
        capability="can_send_message",
        status="BLOCKED",
        worst="BLOCKED",
        opened_at=AT,
        confirmed_at=AT + MINUTE,
        changed_at=AT + 2 * MINUTE,
        generation=4,
        version=3,
        revision=2,
        resolved_at=AT + 9 * MINUTE,
        resolution="recovered",
        preexisting=True,
        reasons=(UNPAID,),
        counts={"BLOCKED": 1, "WILTED": 1},
        recovered=2,
        named={"support-de": Member("BLOCKED", AT - MINUTE), "sales": Member("", AT)},
        has_member_rows=True,
        changes=(Change(AT, "BLOCKED", 2, ("141006",)),),
        flapping_since=AT,
        notification_log={"ops": TOLD},
        due_at=AT + 5 * MINUTE,
    ),
    "member": Member("BLOCKED", AT),
    "queued notification": QueuedNotification(
        "n-1",
        "ops",
        Stage.SENT,
        Notification("n-1", "digest", "ops", "production", AT, (SUBJECT,), 3, 2, "two incidents", is_test=True),
        (QueuedLine("1f2e3d4c5b6a", TOLD), QueuedLine("6a5b4c3d2e1f", NotificationState())),
        {"ts": "17.5"},
        2,
        AT - MINUTE,
        AT + MINUTE,
        "HTTP 503",
        refused=True,
        sent_at=AT,
    ),
    "shard coverage": ShardCoverage(
        1, 2, "run-1", AT, AT + MINUTE, 5 * MINUTE, 40, {"sales": AT - MINUTE, "support-de": None}, DAY
    ),
    "day coverage": DAY,
    "run": Run(
        "run-1",
        1,
        2,
        AT,
        AT + MINUTE,
        40,
        30,
        5,
        5,
        2,
        3,
        1,
        True,
        "sales",
        {"timeout": 5},
        {"AVAILABLE": 30},
        {141006: 2},
    ),
    "silence": Silence(
        "s-1",
        Matcher(
            ("BLOCKED",),
            ("critical",),
            ("WABA",),
            ("WABA:1",),
            ("can_send_message",),
            ("sales",),
            {"team": "a"},
            (1,),
            5,
        ),
        "mia",
        "moving house",
        AT,
        AT + MINUTE,
    ),
    "acknowledgement": Acknowledgement("1f2e3d4c5b6a", "mia", AT, "BLOCKED", AT + MINUTE, "on it"),
}
