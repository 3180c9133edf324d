"""plan: what a destination should know of an incident now, against what it was last told; the difference is the news.

The decision carries its reason as data: `why` is shown by `explain`, logged, and tested.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from wabawatch.domain.correlation import count_status_changes
from wabawatch.domain.extent import extent_calm_at, extent_is_news
from wabawatch.domain.health import AVAILABLE, BLOCKED, READABLE, UNKNOWN, identify_reasons, is_urgent, rank
from wabawatch.domain.incident import Incident, NotificationState
from wabawatch.domain.policy import Flapping, Policy
from wabawatch.domain.schedule import Weekly


class Mute(msgspec.Struct, frozen=True):
    """A silence or a maintenance window that holds, with its name for people."""

    why: str
    ends_at: datetime


class Situation(msgspec.Struct, frozen=True):
    """Everything but the incident and the ledger that decides about one destination.

    `about_itself` says that the incident is about this very destination; `muted_throughout` that mutes held from the
    confirmation to the end of an incident that is over; `opens_at` is when working hours begin, for what can wait until
    then (None: now); `digest` is when the weekly digest comes, where there is one; `paused_until` is when a destination
    that is down is asked again, `retry_at` when the last notification about this incident is, which it did not take;
    `known_since` is when the destination was first configured (None: always)."""

    now: datetime
    routed: bool = True
    about_itself: bool = False
    mute: Mute | None = None
    muted_throughout: bool = False
    opens_at: datetime | None = None
    acknowledged: bool = False
    acknowledged_until: datetime | None = None
    mass_failure: bool = False
    group_wait: timedelta = timedelta(0)
    digest: Weekly | None = None
    paused_until: datetime | None = None
    retry_at: datetime | None = None
    known_since: datetime | None = None


class Decision(msgspec.Struct, frozen=True):
    """`kind` is one of messages.KINDS, or None: say nothing, because of `why`; look again at `due_at` if it is set."""

    kind: str | None
    why: str
    due_at: datetime | None = None


_SKEW: Final = timedelta(minutes=1)
"""How far the clocks of two machines may differ before one of them counts as wrong."""

_DIGESTED: Final = timedelta(days=7)
"""Reminders with a wait shorter than this do not wait for the weekly digest."""
_DIGEST_SKEW: Final = timedelta(hours=2)
"""A reminder that came with a digest comes with the next one: somewhat less than a week later where the message was
late, or the clocks went forward."""


class HoldReason(StrEnum):
    """The reasons for saying nothing. A muted decision's reason goes on with the mute's name: `muted: silence 3f2a`."""

    UP_TO_DATE = "up_to_date"
    NOT_ROUTED = "not_routed"
    ABOUT_ITSELF = "about_itself"
    GROUP_WAIT = "group_wait"
    GROUP_INTERVAL = "group_interval"
    EXTENT_QUIET = "extent_quiet"
    REASONS_INTERVAL = "reasons_interval"
    REASONS_QUIET = "reasons_quiet"
    MUTED = "muted"
    MUTED_THROUGHOUT = "muted_throughout"
    JOINED_LATER = "joined_later"
    WORKING_HOURS = "working_hours"
    FLAPPING = "flapping"
    MASS_FAILURE = "mass_failure"
    ACKNOWLEDGED = "acknowledged"
    RETRY_WAIT = "retry_wait"
    NO_MORE_REMINDERS = "no_more_reminders"


def decide(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    """Decide for one destination.

    1. The difference between the ledger and the incident is the news; where there is none, a reminder may be due. Who
       is not on a route hears only how what it knows of goes on.
    2. News that is held back (mute, hours, blindness) is held, never dropped: the difference stays.
    3. After a delivery that failed the next one waits for its turn.
    """
    news = _news(incident, notified, situation, policy)
    if news.kind is None:
        return news
    return _held(incident, situation) or _backing_off(situation, policy) or news


def _news(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    heard = notified.status is not None and rank(notified.status) > 0
    if not situation.routed and not heard and not notified.flapping:
        return Decision(None, HoldReason.ABOUT_ITSELF if situation.about_itself else HoldReason.NOT_ROUTED)
    if _was_over_before(incident, notified, situation):
        return Decision(None, HoldReason.JOINED_LATER)
    if incident.flapping_since is not None or notified.flapping:
        return _flapping(incident, notified, situation, policy)
    if not incident.is_open:
        return _ended(notified, situation, heard=heard)
    if not heard:
        return _first(incident, situation)
    return _difference(incident, notified, situation, policy)


def _was_over_before(incident: Incident, notified: NotificationState, situation: Situation) -> bool:
    """Whether the incident had ended when the destination joined. One that joins in the future joined before the clock
    was set back."""
    if incident.resolved_at is None or situation.known_since is None or notified.status is not None:
        return False
    return incident.resolved_at <= situation.known_since <= situation.now + _SKEW


def _held(incident: Incident, situation: Situation) -> Decision | None:
    if situation.mute is not None:
        return Decision(None, f"{HoldReason.MUTED}: {situation.mute.why}", situation.mute.ends_at)
    if situation.mass_failure and _hidden_by_mass_failure(incident):
        return Decision(None, HoldReason.MASS_FAILURE)
    if situation.opens_at is not None and situation.opens_at > situation.now:
        return Decision(None, HoldReason.WORKING_HOURS, situation.opens_at)
    return None


def _hidden_by_mass_failure(incident: Incident) -> bool:
    """While most of the fleet cannot be read, one incident says so for all; but not where the provider itself says that
    a channel is down."""
    unread = incident.capability == READABLE and not incident.about_monitor
    return unread and incident.is_open and not is_urgent(incident.reasons)


def _backing_off(situation: Situation, policy: Policy) -> Decision | None:
    """Waits that are longer than any that is ever set were set before the clock was set back."""
    farthest = policy.retry.farthest(situation.now)
    waits = [at for at in (situation.retry_at, situation.paused_until) if at and situation.now < at <= farthest]
    return Decision(None, HoldReason.RETRY_WAIT, max(waits)) if waits else None


def _ready_at(since: datetime, wait: timedelta, now: datetime) -> datetime | None:
    """When a wait ends that is not over yet. One that begins in the future is over: the clock was set back."""
    ready_at = since + wait
    return ready_at if now < ready_at <= now + wait + _SKEW else None


def _flapping(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    if incident.flapping_since is None:
        return Decision("flapping_ended", "it has settled")
    if notified.flapping:
        if rank(incident.status) > rank(notified.worst):
            return Decision("escalated", "worse than anything that was told of the flapping")
        return Decision(None, HoldReason.FLAPPING, _settles_at(incident, situation.now, policy.flapping))
    return Decision("flapping", f"{len(incident.changes)} changes")


def _settles_at(incident: Incident, now: datetime, flapping: Flapping) -> datetime:
    """When the flapping ends unless something changes: with the change that leaves few enough in the window."""
    times = (change.at + flapping.window for change in incident.changes)
    return next(
        (
            at
            for at in times
            if at > now and count_status_changes(incident.changes, at, flapping.window) <= flapping.low
        ),
        now,
    )


def _ended(notified: NotificationState, situation: Situation, *, heard: bool) -> Decision:
    if heard:
        return Decision("resolved", "it was told of the problem")
    if notified.status is not None:
        return Decision(None, HoldReason.UP_TO_DATE)
    if situation.muted_throughout:
        return Decision(None, HoldReason.MUTED_THROUGHOUT)
    return Decision("brief", "it came and went before it could be told")


def _first(incident: Incident, situation: Situation) -> Decision:
    ready_at = _ready_at(incident.confirmed_at, situation.group_wait, situation.now)
    if ready_at is not None:
        return Decision(None, HoldReason.GROUP_WAIT, ready_at)
    return Decision("opened", "not told yet")


def _difference(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    """The first of: another status, other reasons, another number of targets, a reminder. While one of them waits,
    another may be said; where all wait, it is looked at again when the first wait is over."""
    before, after = rank(notified.status or AVAILABLE), rank(incident.status)
    if notified.status != incident.status:
        return Decision("eased" if after < before else "escalated", f"{notified.status} was told")
    found = [
        decision
        for decision in (
            _other_reasons(incident, notified, situation, policy),
            _other_extent(incident, notified, situation, policy),
            _reminder(incident, notified, situation, policy),
        )
        if decision is not None
    ]
    speaking = (decision for decision in found if decision.kind is not None)
    ended_by_time = [(decision.due_at, decision) for decision in found if decision.due_at is not None]
    return next(speaking, None) or min(ended_by_time, key=lambda each: each[0], default=(None, found[-1]))[1]


def _other_reasons(
    incident: Incident, notified: NotificationState, situation: Situation, policy: Policy
) -> Decision | None:
    """Said at most once in an interval; below BLOCKED only when the provider now says that the channel is down."""
    if not _reasons_differ(incident, notified):
        return None
    if is_urgent(incident.reasons):
        return Decision("reasons_changed", "the provider says that the channel is down")
    if incident.status != BLOCKED:
        return None
    ready_at = _ready_at(notified.at or incident.opened_at, policy.reasons_interval, situation.now)
    if ready_at is not None:
        return Decision(None, HoldReason.REASONS_INTERVAL, ready_at)
    return Decision("reasons_changed", "other reasons were told")


def _reasons_differ(incident: Incident, notified: NotificationState) -> bool:
    return set(notified.reasons) != identify_reasons(incident.reasons)


def _other_extent(
    incident: Incident, notified: NotificationState, situation: Situation, policy: Policy
) -> Decision | None:
    """Said when the number of targets changed by much, at most once in an interval; where few come and go again and
    again, once they are calm. What is not said here is said with the next reminder."""
    affected = incident.affected
    if not situation.routed or not extent_is_news(notified.affected, affected, incident.changes):
        return None
    ready_at = _ready_at(notified.at or incident.opened_at, policy.group_interval, situation.now)
    if ready_at is not None:
        return Decision(None, HoldReason.GROUP_INTERVAL, ready_at)
    calm_at = extent_calm_at(incident.changes, situation.now, policy.flapping)
    if calm_at is not None:
        return Decision(None, HoldReason.EXTENT_QUIET, calm_at)
    return Decision("spread" if affected > notified.affected else "receded", f"{notified.affected} affected were told")


def _reminder(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    if not situation.routed:
        return Decision(None, HoldReason.NOT_ROUTED)
    if situation.acknowledged:
        return Decision(None, HoldReason.ACKNOWLEDGED, situation.acknowledged_until)
    waits = policy.reminders.get(incident.status.lower(), ())
    if not waits:
        return Decision(None, HoldReason.NO_MORE_REMINDERS)
    since = notified.at or incident.opened_at
    wait = waits[min(notified.reminders, len(waits) - 1)]
    if situation.digest is not None and wait >= _DIGESTED and incident.status not in {BLOCKED, UNKNOWN}:
        wait = situation.digest.next_start(since + wait - _DIGEST_SKEW) - since
    due_at = _ready_at(since, wait, situation.now)
    if due_at is not None:
        return Decision(None, _unsaid(incident, notified), due_at)
    return Decision("reminder", "still so")


def _unsaid(incident: Incident, notified: NotificationState) -> HoldReason:
    """What only the next reminder says."""
    if _reasons_differ(incident, notified):
        return HoldReason.REASONS_QUIET
    return HoldReason.UP_TO_DATE if notified.affected == incident.affected else HoldReason.EXTENT_QUIET
