"""A notification that is only a test: it shows what a true one looks like, and says that it is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from wabawatch.domain.health import AVAILABLE, BLOCKED, MESSAGING, Reason
from wabawatch.domain.notification import Advice, Notification, ReasonShown, Subject, TargetInfo

_REASON: Final = Reason(
    141006,
    "An example: a payment failed.",
    "An example of what the API suggests: add a valid payment method.",
)


def rehearsal(
    destination: str, deployment: str, now: datetime, notification_id: str, advise: Callable[[Reason], Advice]
) -> Notification:
    """A marked test for one destination, through the same path as everything else."""
    subject = Subject(
        "test",
        "WABA",
        "000000000000000",
        MESSAGING,
        "warning",
        AVAILABLE,
        BLOCKED,
        opened_at=now - timedelta(minutes=5),
        changed_at=now,
        reasons=(ReasonShown(_REASON, advise(_REASON)),),
        affected=(TargetInfo("example", "Example number"),),
        affected_total=1,
    )
    return Notification(
        notification_id,
        "test",
        destination,
        deployment,
        now,
        (subject,),
        headline=f"{destination} can be reached",
        is_test=True,
    )
