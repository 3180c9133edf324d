"""plan: what a destination should know of an incident now, against what it was last told; the difference is the news.

The decision carries its reason as data: `why` is shown by `explain`, logged, and tested.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from wabawatch.domain.health import AVAILABLE, BLOCKED, READABLE, identities, rank
from wabawatch.domain.incidents import Incident, Told
from wabawatch.domain.policy import Policy


class Mute(msgspec.Struct, frozen=True):
    """A silence or a maintenance window that holds, with its name for people."""

    why: str
    ends_at: datetime


class Situation(msgspec.Struct, frozen=True):
    """Everything but the incident and the ledger that decides about one destination.

    `mute_then` is the mute that held when a resolved incident ended; `opens_at` is when working hours begin, for what
    can wait until then (None: now); `digest_at` is the next weekly digest after a given instant, where there is one.
    """

    now: datetime
    routed: bool = True
    mute: Mute | None = None
    mute_then: Mute | None = None
    opens_at: datetime | None = None
    acknowledged: bool = False
    acknowledged_until: datetime | None = None
    blind: bool = False
    group_wait: timedelta = timedelta(0)
    digest_due_at: datetime | None = None


class Decision(msgspec.Struct, frozen=True):
    """`kind` is one of messages.KINDS, or None: say nothing, because of `why`; look again at `due_at` if it is set."""

    kind: str | None
    why: str
    due_at: datetime | None = None


QUIET = frozenset(
    {
        "up_to_date", "not_routed", "never_told", "group_wait", "group_interval", "reasons_interval", "reasons_quiet",
        "muted", "muted_throughout", "working_hours", "flapping", "blind", "acknowledged", "retry_wait",
        "no_more_reminders",
    }
)  # fmt: skip
"""The reasons for saying nothing. A muted decision's reason goes on with the mute's name: `muted: silence 3f2a`."""


def plan(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision:
    """Decide for one destination.

    1. A delivery that failed waits for its turn.
    2. Who is not on a route hears only how what it knows of goes on.
    3. News that is held back (mute, hours, blindness, flapping) is held, never dropped: the difference stays.
    4. Otherwise the difference between the ledger and the incident is told; where there is none, a reminder may be due.
    """
    if told.retry_at is not None and told.retry_at > situation.now:
        return Decision(None, "retry_wait", told.retry_at)
    news = _news(incident, told, situation, policy)
    if news.kind is None:
        return news
    return _held(incident, told, situation) or news


def _news(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision:
    heard = told.status is not None and rank(told.status) > 0
    if not situation.routed and not heard and not told.flapping:
        return Decision(None, "not_routed")
    if incident.flapping_since is not None or told.flapping:
        return _flapping(incident, told, policy)
    if not incident.is_open:
        return _ended(told, situation, heard=heard)
    if not heard:
        return _first(incident, situation)
    return _difference(incident, told, situation, policy) or _reminder(incident, told, situation, policy)


def _held(incident: Incident, told: Told, situation: Situation) -> Decision | None:
    if situation.mute is not None:
        return Decision(None, f"muted: {situation.mute.why}", situation.mute.ends_at)
    if situation.blind and incident.capability == READABLE and not incident.about_monitor and told.status is None:
        return Decision(None, "blind")
    if situation.opens_at is not None and situation.opens_at > situation.now:
        return Decision(None, "working_hours", situation.opens_at)
    return None


def _flapping(incident: Incident, told: Told, policy: Policy) -> Decision:
    if incident.flapping_since is None:
        return Decision("flapping_ended", "it has settled")
    if told.flapping:
        calm_at = incident.changes[-1].at + policy.flapping.window if incident.changes else None
        return Decision(None, "flapping", calm_at)
    return Decision("flapping", f"{len(incident.changes)} changes")


def _ended(told: Told, situation: Situation, *, heard: bool) -> Decision:
    if heard:
        return Decision("resolved", "it was told of the problem")
    if told.status is not None:
        return Decision(None, "up_to_date")
    if situation.mute_then is not None or situation.mute is not None:
        return Decision(None, "muted_throughout")
    return Decision("brief", "it came and went before it could be told")


def _first(incident: Incident, situation: Situation) -> Decision:
    ready_at = incident.confirmed_at + situation.group_wait
    if ready_at > situation.now:
        return Decision(None, "group_wait", ready_at)
    return Decision("opened", "not told yet")


def _difference(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision | None:
    """The first of: another status, other reasons, another number of targets; the last two not too often."""
    before, after = rank(told.status or AVAILABLE), rank(incident.status)
    if told.status != incident.status:
        return Decision("eased" if after < before else "escalated", f"{told.status} was told")
    spoken_at = told.at or incident.opened_at
    waiting: Decision | None = None
    if set(told.reasons) != identities(incident.reasons) and incident.status == BLOCKED:
        ready_at = spoken_at + policy.reasons_interval
        if ready_at <= situation.now:
            return Decision("reasons_changed", "other reasons were told")
        waiting = Decision(None, "reasons_interval", ready_at)
    if told.affected != len(incident.members) and situation.routed:
        ready_at = spoken_at + policy.group_interval
        if ready_at <= situation.now:
            grew = len(incident.members) > told.affected
            return Decision("spread" if grew else "receded", f"{told.affected} affected were told")
        waiting = Decision(None, "group_interval", min(ready_at, waiting.due_at or ready_at) if waiting else ready_at)
    return waiting


def _reminder(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision:
    if not situation.routed:
        return Decision(None, "not_routed")
    if situation.acknowledged:
        return Decision(None, "acknowledged", situation.acknowledged_until)
    waits = policy.reminders.get(incident.status.lower(), ())
    if not waits:
        return Decision(None, "no_more_reminders")
    due_at = (told.at or incident.opened_at) + waits[min(told.reminders, len(waits) - 1)]
    if situation.digest_due_at is not None and incident.status != BLOCKED:
        due_at = max(due_at, situation.digest_due_at)
    if due_at > situation.now:
        return Decision(None, "up_to_date", due_at)
    return Decision("reminder", "still so")


def record_sent(incident: Incident, told: Told, kind: str, now: datetime, thread: dict[str, str]) -> Told:
    """The ledger's line after a delivery that went through."""
    return Told(
        status=incident.told_status,
        revision=incident.revision,
        reasons=tuple(sorted(identities(incident.reasons))),
        affected=len(incident.members),
        at=now,
        first_at=told.first_at or now,
        flapping=kind == "flapping",
        reminders=told.reminders + 1 if kind == "reminder" else (told.reminders if kind in _MINOR else 0),
        count=told.count + 1,
        thread=thread or told.thread,
    )


_MINOR = frozenset({"reasons_changed", "spread", "receded"})
"""News that does not begin the reminders anew."""


def record_failed(told: Told, error: str, now: datetime, policy: Policy, retry_after: float | None) -> Told:
    """The ledger's line after a delivery that failed: nothing was told, and the next attempt waits."""
    wait = policy.retry.wait(told.attempts + 1)
    if retry_after is not None:
        wait = max(wait, timedelta(seconds=min(retry_after, 86_400)))
    return msgspec.structs.replace(
        told,
        attempts=told.attempts + 1,
        failing_since=told.failing_since or now,
        retry_at=now + wait,
        error=error,
    )
