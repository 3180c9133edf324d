"""plan: what a destination should know of an incident now, against what it was last told; the difference is the news.

The decision carries its reason as data: `why` is shown by `explain`, logged, and tested.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.domain.health import AVAILABLE, BLOCKED, READABLE, identities, is_urgent, rank
from wabawatch.domain.incidents import Incident, Told
from wabawatch.domain.policy import Policy


class Mute(msgspec.Struct, frozen=True):
    """A silence or a maintenance window that holds, with its name for people."""

    why: str
    ends_at: datetime


class Situation(msgspec.Struct, frozen=True):
    """Everything but the incident and the ledger that decides about one destination.

    `mute_first` and `mute_then` are the mutes that held when a resolved incident was confirmed and when it ended;
    `opens_at` is when working hours begin, for what can wait until then (None: now); `digest_due_at` is the next weekly
    digest after the last news, where there is one; `paused_until` is when a destination that is down is asked again,
    `retry_at` when the last notification about this incident is, which it did not take.
    """

    now: datetime
    routed: bool = True
    mute: Mute | None = None
    mute_first: Mute | None = None
    mute_then: Mute | None = None
    opens_at: datetime | None = None
    acknowledged: bool = False
    acknowledged_until: datetime | None = None
    blind: bool = False
    group_wait: timedelta = timedelta(0)
    digest_due_at: datetime | None = None
    paused_until: datetime | None = None
    retry_at: datetime | None = None


class Decision(msgspec.Struct, frozen=True):
    """`kind` is one of messages.KINDS, or None: say nothing, because of `why`; look again at `due_at` if it is set."""

    kind: str | None
    why: str
    due_at: datetime | None = None


_SKEW: Final = timedelta(minutes=1)
"""How far the clocks of two machines may differ before one of them counts as wrong."""

QUIET: Final = frozenset(
    {
        "up_to_date", "not_routed", "group_wait", "group_interval", "reasons_interval", "reasons_quiet",
        "muted", "muted_throughout", "working_hours", "flapping", "blind", "acknowledged", "retry_wait",
        "no_more_reminders",
    }
)  # fmt: skip
"""The reasons for saying nothing. A muted decision's reason goes on with the mute's name: `muted: silence 3f2a`."""


def plan(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision:
    """Decide for one destination.

    1. The difference between the ledger and the incident is the news; where there is none, a reminder may be due. Who
       is not on a route hears only how what it knows of goes on.
    2. News that is held back (mute, hours, blindness) is held, never dropped: the difference stays.
    3. After a delivery that failed the next one waits for its turn.
    """
    news = _news(incident, told, situation, policy)
    if news.kind is None:
        return news
    return _held(incident, situation) or _backing_off(situation, policy) or news


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


def _held(incident: Incident, situation: Situation) -> Decision | None:
    if situation.mute is not None:
        return Decision(None, f"muted: {situation.mute.why}", situation.mute.ends_at)
    if situation.blind and _hidden_by_blindness(incident):
        return Decision(None, "blind")
    if situation.opens_at is not None and situation.opens_at > situation.now:
        return Decision(None, "working_hours", situation.opens_at)
    return None


def _hidden_by_blindness(incident: Incident) -> bool:
    """While most of the fleet cannot be read, one incident says so for all; but not where the provider itself says that
    a channel is down."""
    unread = incident.capability == READABLE and not incident.about_monitor
    return unread and incident.is_open and not is_urgent(incident.reasons)


def _backing_off(situation: Situation, policy: Policy) -> Decision | None:
    """Waits that are longer than any that is ever set were set before the clock was set back."""
    farthest = situation.now + policy.retry.longest + _SKEW
    waits = [at for at in (situation.retry_at, situation.paused_until) if at and situation.now < at <= farthest]
    return Decision(None, "retry_wait", max(waits)) if waits else None


def _ready_at(since: datetime, wait: timedelta, now: datetime) -> datetime | None:
    """When a wait ends that is not over yet. One that begins in the future is over: the clock was set back."""
    ready_at = since + wait
    return ready_at if now < ready_at <= now + wait + _SKEW else None


def _flapping(incident: Incident, told: Told, policy: Policy) -> Decision:
    if incident.flapping_since is None:
        return Decision("flapping_ended", "it has settled")
    if told.flapping:
        if rank(incident.status) > rank(told.worst):
            return Decision("escalated", "worse than anything that was told of the flapping")
        calm_at = incident.changes[-1].at + policy.flapping.window if incident.changes else None
        return Decision(None, "flapping", calm_at)
    return Decision("flapping", f"{len(incident.changes)} changes")


def _ended(told: Told, situation: Situation, *, heard: bool) -> Decision:
    if heard:
        return Decision("resolved", "it was told of the problem")
    if told.status is not None:
        return Decision(None, "up_to_date")
    if situation.mute_first is not None and situation.mute_then is not None:
        return Decision(None, "muted_throughout")
    return Decision("brief", "it came and went before it could be told")


def _first(incident: Incident, situation: Situation) -> Decision:
    ready_at = _ready_at(incident.confirmed_at, situation.group_wait, situation.now)
    if ready_at is not None:
        return Decision(None, "group_wait", ready_at)
    return Decision("opened", "not told yet")


def _difference(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision | None:
    """The first of: another status, other reasons, another number of targets; the last two not too often."""
    before, after = rank(told.status or AVAILABLE), rank(incident.status)
    if told.status != incident.status:
        return Decision("eased" if after < before else "escalated", f"{told.status} was told")
    of_reasons = _other_reasons(incident, told, situation, policy)
    of_extent = _other_extent(incident, told, situation, policy)
    found = [one for one in (of_reasons, of_extent) if one is not None]
    speaking = [one for one in found if one.kind is not None]
    return next(iter(speaking or sorted(found, key=lambda one: one.due_at or situation.now)), None)


def _other_reasons(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision | None:
    """Said at most once in an interval; below BLOCKED only when the provider now says that the channel is down."""
    if not _reasons_differ(incident, told):
        return None
    if is_urgent(incident.reasons):
        return Decision("reasons_changed", "the provider says that the channel is down")
    if incident.status != BLOCKED:
        return None
    ready_at = _ready_at(told.at or incident.opened_at, policy.reasons_interval, situation.now)
    if ready_at is not None:
        return Decision(None, "reasons_interval", ready_at)
    return Decision("reasons_changed", "other reasons were told")


def _reasons_differ(incident: Incident, told: Told) -> bool:
    return set(told.reasons) != identities(incident.reasons)


def _other_extent(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision | None:
    if told.affected == incident.affected or not situation.routed:
        return None
    ready_at = _ready_at(told.at or incident.opened_at, policy.group_interval, situation.now)
    if ready_at is not None:
        return Decision(None, "group_interval", ready_at)
    grew = incident.affected > told.affected
    return Decision("spread" if grew else "receded", f"{told.affected} affected were told")


def _reminder(incident: Incident, told: Told, situation: Situation, policy: Policy) -> Decision:
    if not situation.routed:
        return Decision(None, "not_routed")
    if situation.acknowledged:
        return Decision(None, "acknowledged", situation.acknowledged_until)
    waits = policy.reminders.get(incident.status.lower(), ())
    if not waits:
        return Decision(None, "no_more_reminders")
    wait = waits[min(told.reminders, len(waits) - 1)]
    due_at = _ready_at(told.at or incident.opened_at, wait, situation.now) or situation.now
    if situation.digest_due_at is not None and incident.status != BLOCKED:
        due_at = max(due_at, situation.digest_due_at)
    if due_at > situation.now:
        return Decision(None, "reasons_quiet" if _reasons_differ(incident, told) else "up_to_date", due_at)
    return Decision("reminder", "still so")
