"""One value of each stored kind, with every field used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from wabawatch.domain.health import Entity, Failure, Observation, Reason, Report
from wabawatch.domain.incidents import Change, Incident, Member, Told
from wabawatch.domain.runs import Run
from wabawatch.domain.steering import Acknowledgement, Matcher, Silence
from wabawatch.domain.transitions import Evidence, Snapshot, Track, Transition

AT = datetime(2026, 3, 1, 8, 30, 0, 123456, UTC)
MINUTE = timedelta(minutes=1)
UNPAID = Reason(141006, "There is an error with the payment method", "Add a payment method", detail="seen twice")
SIP = Reason(138024, "SIP is not enabled", capability="can_receive_call_sip")
EVIDENCE = (Evidence("BLOCKED", AT - MINUTE), Evidence("PAUSED", AT))

EXAMPLES = {
    "snapshot": Snapshot(
        "support-de",
        7,
        4,
        AT,
        (
            Track("WABA", "102290129340398", "can_send_message", "BLOCKED", AT - MINUTE, (UNPAID,), proven=True),
            Track("PHONE_NUMBER", "0049", "can_send_message", "AVAILABLE", AT, because="WABA 102290129340398"),
            Track("PHONE_NUMBER", "0049", "can_receive_call_sip", None, None, (SIP,), streak=EVIDENCE),
            Track("FLOWER", "x y", "can_bloom", "WILTED", AT - 9 * MINUTE),
            Track("TARGET", "support-de", "health_status", "UNKNOWN", AT, (Reason(description="timeout"),)),
        ),
        ("the overall status is AVAILABLE, and WABA is BLOCKED",),
    ),
    "transition": Transition(
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
        (Reason(description="before"),),
        "BUSINESS 1",
        proven=True,
        evidence=EVIDENCE,
        run_id="run-1",
    ),
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
        version=3,
        revision=2,
        resolved_at=AT + 9 * MINUTE,
        resolution="recovered",
        found=True,
        reasons=(UNPAID,),
        members={"support-de": Member("BLOCKED", AT - MINUTE), "sales": Member("WILTED", AT)},
        left=("gone", "support-fr"),
        folded={"support-fr": 9, "sales": 2, "support-de": 4},
        changes=(Change(AT, "BLOCKED", 2, ("141006",)),),
        flapping_since=AT,
        ledger={
            "ops": Told(
                "BLOCKED", 2, ("141006",), 2, AT, AT, True, 1, 3, {"ts": "17.5"}, 4, AT, AT + MINUTE, "HTTP 503"
            )
        },
        due_at=AT + 5 * MINUTE,
    ),
    "run": Run("run-1", 1, 2, AT, AT + MINUTE, 40, 30, 5, 5, 2, 3, 1, True, "sales", {"timeout": 5}, {"AVAILABLE": 30}),
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
