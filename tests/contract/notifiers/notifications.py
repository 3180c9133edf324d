"""Notifications to render: one for each kind, as people would get them, and hostile ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from wabawatch.domain.health import (
    AVAILABLE,
    BLOCKED,
    CALLING,
    LIMITED,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    Reason,
    TargetInfo,
)
from wabawatch.domain.incident import DESTINATION, MONITOR
from wabawatch.domain.notification import IncidentSummary, Notification, ReasonShown
from wabawatch.messages.notification import build_sample
from wabawatch.messages.runbook import advise

NOW = datetime(2026, 3, 1, 3, 5, tzinfo=UTC)
OPENED = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
PAYMENT = Reason(
    141006,
    "A payment for this WhatsApp Business account failed.",
    "Add a valid payment method in the account's billing settings.",
)
VERIFICATION = Reason(141010, "The business has not passed verification.", "Complete the business verification.")
GERMANY = TargetInfo("support-de", "Support Germany", {"client": "acme", "team": "support"}, BLOCKED)


def shown(*reasons):
    return tuple(ReasonShown(reason, advise(reason)) for reason in reasons)


def subject(**changes):
    return msgspec.structs.replace(
        IncidentSummary(
            "3f2a9c41d07e",
            "WABA",
            "100200300",
            MESSAGING,
            "critical",
            AVAILABLE,
            BLOCKED,
            OPENED,
            OPENED,
            reasons=shown(PAYMENT),
            affected=(GERMANY,),
            affected_total=1,
            share=1 / 12,
        ),
        **changes,
    )


def nordwind(count, **changes):
    """One business with many numbers, of which twenty are named."""
    numbers = tuple(
        TargetInfo(f"bookings-{n:02}", f"Bookings {n:02}", {"client": "nordwind"}, BLOCKED) for n in range(20)
    )
    return subject(
        **{
            "incident_id": "b7715e02aa10",
            "entity_type": "BUSINESS",
            "entity_id": "900100",
            "reasons": shown(VERIFICATION),
            "affected": numbers[:count],
            "affected_total": count,
            "share": count / 120,
            **changes,
        }
    )


def notification(kind, *subjects, **changes):
    return msgspec.structs.replace(
        Notification(
            "9d3e5b1fa2c64470", kind, "ops", "production", NOW, subjects or (subject(),), total=len(subjects) or 1
        ),
        **changes,
    )


def over(one, **changes):
    return msgspec.structs.replace(
        one, old=one.new, new=AVAILABLE, resolved_at=NOW, changed_at=NOW, resolution="recovered", **changes
    )


UNREAD = subject(
    incident_id="c0ffee000001",
    entity_type=TARGET,
    entity_id="orders-pt",
    capability=READABLE,
    severity="error",
    new=UNKNOWN,
    reasons=shown(Reason(description="unauthorized", detail="HTTP 401: Invalid api_key")),
    affected=(TargetInfo("orders-pt", "Orders Portugal", {"client": "acme"}, UNKNOWN),),
)
CALLS = subject(
    incident_id="ca11500000aa",
    entity_type="PHONE_NUMBER",
    entity_id="555",
    capability=CALLING,
    severity="warning",
    reasons=shown(Reason(138024, "SIP is not enabled.", "", CALLING)),
    affected=(TargetInfo("appointments-it", "Appointments Italy", {}, BLOCKED),),
)
TEMPLATE = subject(
    incident_id="7e31a7e00001",
    entity_type="MESSAGE_TEMPLATE",
    entity_id="998877",
    severity="warning",
    reasons=shown(Reason(141002)),
    affected=(TargetInfo("orders-es", "Orders Spain", {}, BLOCKED),),
)
MASS_FAILURE = subject(
    incident_id="b11d00000001",
    entity_type=MONITOR,
    entity_id="readability",
    capability=READABLE,
    severity="error",
    new=UNKNOWN,
    reasons=shown(Reason(description="mass_failure", detail="9 of 12 targets could not be read")),
    affected=(),
    affected_total=0,
    share=0.0,
)
DEAD = msgspec.structs.replace(
    MASS_FAILURE,
    incident_id="dead00000001",
    entity_type=DESTINATION,
    entity_id="ops",
    capability="delivery",
    reasons=shown(Reason(description="undeliverable", detail="HTTP 410")),
)
CHANGES = tuple((OPENED + timedelta(minutes=10 * n), BLOCKED if n % 2 == 0 else AVAILABLE) for n in range(6))

STORIES = {
    "opened": notification("opened"),
    "opened-forty": notification("opened", nordwind(40)),
    "opened-found": notification("opened", subject(new=LIMITED, old=None, preexisting=True, severity="warning")),
    "opened-unread": notification("opened", UNREAD),
    "opened-calling": notification("opened", CALLS),
    "opened-template": notification("opened", TEMPLATE),
    "opened-mass-failure": notification("opened", MASS_FAILURE),
    "opened-destination": notification("opened", DEAD),
    "opened-new-word": notification("opened", subject(new="PAUSED", severity="warning")),
    "escalated": notification("escalated", subject(old=LIMITED), sequence=2),
    "eased": notification("eased", subject(old=BLOCKED, new=LIMITED, severity="warning"), sequence=2),
    "reasons_changed": notification(
        "reasons_changed", subject(old=BLOCKED, reasons=shown(VERIFICATION), reasons_gone=(PAYMENT,)), sequence=3
    ),
    "spread": notification("spread", nordwind(40, old=BLOCKED, affected_before=4), sequence=2),
    "receded": notification("receded", nordwind(2, old=BLOCKED, affected_before=40, recovered_total=38), sequence=3),
    "reminder": notification("reminder", subject(old=BLOCKED, acknowledged_by="maria"), sequence=4),
    "resolved": notification("resolved", over(subject()), sequence=2),
    "resolved-forty": notification("resolved", over(nordwind(40)), sequence=4),
    "resolved-unwatched": notification("resolved", msgspec.structs.replace(over(subject()), resolution="unwatched")),
    "brief": notification("brief", msgspec.structs.replace(over(subject()), old=AVAILABLE, new=BLOCKED)),
    "flapping": notification("flapping", subject(history=CHANGES), sequence=3),
    "flapping_ended": notification("flapping_ended", subject(old=BLOCKED, history=CHANGES), sequence=4),
    "digest": notification("digest", nordwind(40), subject(), UNREAD, over(CALLS), total=9, id="d16e57000000aaaa"),
    "test": build_sample("ops", "production", NOW, "7e570000000000aa", advise),
}
