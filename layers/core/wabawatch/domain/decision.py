"""Decide what to send to a destination: compare the incident with the last notification sent to it.

Each decision has its reason, which `explain` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from wabawatch.domain.correlation import count_status_changes
from wabawatch.domain.health import AVAILABLE, BLOCKED, READABLE, UNKNOWN, identify_reasons, is_urgent, rank
from wabawatch.domain.incident import Change, Incident, NotificationState
from wabawatch.domain.policy import Flapping, Policy, Weekly


class Mute(msgspec.Struct, frozen=True):
    """An active silence or maintenance window. `why` describes it for people."""

    why: str
    ends_at: datetime


class Situation(msgspec.Struct, frozen=True):
    """Everything about one destination and one incident that decides on a notification, besides their own states.

    `about_itself`: the incident is about this destination. `muted_throughout`: the incident is resolved, and mutes
    covered it from its confirmation to its end. `opens_at`: when working hours begin, if the notification waits for
    them. `group_wait`: how long a new incident waits for more targets. `digest`: the weekly digest, if one is
    configured. `paused_until`: when a destination that fails is tried again. `retry_at`: when the last notification of
    this incident, which failed, is tried again. `known_since`: when the destination was configured first (None: always
    known).
    """

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
    """The notification to send now, or none. `kind` is one of `KINDS`; None: send nothing now, and decide again at
    `due_at` if it is set. `why` is the reason for people, or a `HoldReason` if nothing is sent."""

    kind: str | None
    why: str
    due_at: datetime | None = None


_SKEW: Final = timedelta(minutes=1)
"""How far the clocks of two machines may differ. A time farther in the future was set before the clock was set back."""
_DIGESTED: Final = timedelta(days=7)
"""A reminder waits for the weekly digest only if its own interval is at least as long."""
_DIGEST_SKEW: Final = timedelta(hours=2)
"""A reminder that was sent with a digest is due with the next one, although that may be less than a week later: because
the last one was sent late, or the clocks went forward."""
_LARGE_SHARE: Final = 4
"""A change of the number of affected targets is large from a quarter of the number on."""


class HoldReason(StrEnum):
    """Why nothing is sent. A mute's description is appended to MUTED: `muted: silence 3f2a`."""

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
    """Decide what to send to one destination now.

    1. Compare the incident with the last notification of it. If nothing differs, a reminder may be due. A destination
       that is not routed gets updates of what it was notified of, but nothing new.
    2. Hold what is muted, outside working hours or hidden by a mass failure. Nothing is lost: the difference remains.
    3. Wait for the retry after a failed delivery.
    """
    decision = _compare(incident, notified, situation, policy)
    if decision.kind is None:
        return decision
    return _hold(incident, situation) or _wait_for_retry(situation, policy) or decision


def _compare(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    is_aware = notified.status is not None and rank(notified.status) > 0
    if not situation.routed and not is_aware and not notified.flapping:
        return Decision(None, HoldReason.ABOUT_ITSELF if situation.about_itself else HoldReason.NOT_ROUTED)
    if _ended_before_destination(incident, notified, situation):
        return Decision(None, HoldReason.JOINED_LATER)
    if incident.flapping_since is not None or notified.flapping:
        return _decide_flapping(incident, notified, situation, policy)
    if not incident.is_open:
        return _decide_resolved(notified, situation, is_aware=is_aware)
    if not is_aware:
        return _decide_opened(incident, situation)
    return _decide_update(incident, notified, situation, policy)


def _ended_before_destination(incident: Incident, notified: NotificationState, situation: Situation) -> bool:
    """Return whether the incident ended before the destination was configured.

    A destination configured in the future was configured before the clock was set back."""
    if incident.resolved_at is None or situation.known_since is None or notified.status is not None:
        return False
    return incident.resolved_at <= situation.known_since <= situation.now + _SKEW


def _hold(incident: Incident, situation: Situation) -> Decision | None:
    if situation.mute is not None:
        return Decision(None, f"{HoldReason.MUTED}: {situation.mute.why}", situation.mute.ends_at)
    if situation.mass_failure and _is_hidden_by_mass_failure(incident):
        return Decision(None, HoldReason.MASS_FAILURE)
    if situation.opens_at is not None and situation.opens_at > situation.now:
        return Decision(None, HoldReason.WORKING_HOURS, situation.opens_at)
    return None


def _is_hidden_by_mass_failure(incident: Incident) -> bool:
    """During a mass failure one incident of the monitor stands for all targets that cannot be read.

    A channel that the provider reports as closed is still notified."""
    is_unreadable = incident.capability == READABLE and not incident.about_monitor
    return is_unreadable and incident.is_open and not is_urgent(incident.reasons)


def _wait_for_retry(situation: Situation, policy: Policy) -> Decision | None:
    """Wait for the later of the two retries. A wait longer than the longest was set before the clock was set back."""
    farthest = policy.retry.farthest(situation.now)
    waits = [at for at in (situation.retry_at, situation.paused_until) if at and situation.now < at <= farthest]
    return Decision(None, HoldReason.RETRY_WAIT, max(waits)) if waits else None


def _end_of_wait(since: datetime, wait: timedelta, now: datetime) -> datetime | None:
    """Return the end of a wait, None if it is over. One that begins in the future is over: the clock was set back."""
    end = since + wait
    return end if now < end <= now + wait + _SKEW else None


def _decide_flapping(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    if incident.flapping_since is None:
        return Decision("flapping_ended", "the status no longer changes often")
    if notified.flapping:
        if rank(incident.status) > rank(notified.worst):
            return Decision("escalated", "worse than any status notified while flapping")
        return Decision(None, HoldReason.FLAPPING, _flapping_ends_at(incident, situation.now, policy.flapping))
    return Decision("flapping", f"{len(incident.changes)} changes")


def _flapping_ends_at(incident: Incident, now: datetime, flapping: Flapping) -> datetime:
    """Return when flapping ends if nothing changes: when a change leaves the window and few enough remain in it."""
    ends = (change.at + flapping.window for change in incident.changes)
    return next(
        (at for at in ends if at > now and count_status_changes(incident.changes, at, flapping.window) <= flapping.low),
        now,
    )


def _decide_resolved(notified: NotificationState, situation: Situation, *, is_aware: bool) -> Decision:
    if is_aware:
        return Decision("resolved", "it was notified of the problem")
    if notified.status is not None:
        return Decision(None, HoldReason.UP_TO_DATE)
    if situation.muted_throughout:
        return Decision(None, HoldReason.MUTED_THROUGHOUT)
    return Decision("brief", "the problem was over before it could be notified")


def _decide_opened(incident: Incident, situation: Situation) -> Decision:
    end = _end_of_wait(incident.confirmed_at, situation.group_wait, situation.now)
    if end is not None:
        return Decision(None, HoldReason.GROUP_WAIT, end)
    return Decision("opened", "not notified yet")


def _decide_update(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    """Return the first that can be sent of: a new status, new reasons, a new number of targets, a reminder.

    If none can be sent now, wait for the first of them."""
    before, after = rank(notified.status or AVAILABLE), rank(incident.status)
    if notified.status != incident.status:
        return Decision("eased" if after < before else "escalated", f"it was notified of {notified.status}")
    candidates = [
        decision
        for decision in (
            _decide_reasons(incident, notified, situation, policy),
            _decide_extent(incident, notified, situation, policy),
            _decide_reminder(incident, notified, situation, policy),
        )
        if decision is not None
    ]
    sendable = next((decision for decision in candidates if decision.kind is not None), None)
    if sendable is not None:
        return sendable
    waiting = [(decision.due_at, decision) for decision in candidates if decision.due_at is not None]
    return min(waiting, key=lambda pair: pair[0])[1] if waiting else candidates[-1]


def _decide_reasons(
    incident: Incident, notified: NotificationState, situation: Situation, policy: Policy
) -> Decision | None:
    """Send new reasons of a BLOCKED incident once per interval; others only if the provider has closed the channel."""
    if not _reasons_differ(incident, notified):
        return None
    if is_urgent(incident.reasons):
        return Decision("reasons_changed", "the provider reports that the channel is closed")
    if incident.status != BLOCKED:
        return None
    end = _end_of_wait(notified.at or incident.opened_at, policy.reasons_interval, situation.now)
    if end is not None:
        return Decision(None, HoldReason.REASONS_INTERVAL, end)
    return Decision("reasons_changed", "it was notified of other reasons")


def _reasons_differ(incident: Incident, notified: NotificationState) -> bool:
    return set(notified.reasons) != identify_reasons(incident.reasons)


def _decide_extent(
    incident: Incident, notified: NotificationState, situation: Situation, policy: Policy
) -> Decision | None:
    """Send a large change of the number of affected targets, once per interval.

    If the number goes up and down, wait until it is steady. A small change is sent with the next reminder."""
    affected = incident.affected
    if not situation.routed or not _is_extent_news(notified.affected, affected, incident.changes):
        return None
    end = _end_of_wait(notified.at or incident.opened_at, policy.group_interval, situation.now)
    if end is not None:
        return Decision(None, HoldReason.GROUP_INTERVAL, end)
    steady_at = _extent_steady_at(incident.changes, situation.now, policy.flapping)
    if steady_at is not None:
        return Decision(None, HoldReason.EXTENT_QUIET, steady_at)
    kind = "spread" if affected > notified.affected else "receded"
    return Decision(kind, f"it was notified of {notified.affected} affected")


def _is_extent_news(before: int, now: int, changes: Sequence[Change]) -> bool:
    """Return whether the number of affected targets differs enough from the last notified one.

    It does if it changed by a quarter or more, or for the first time in the incident has more digits than before: one
    target of a hundred that recovers and fails again is not sent."""
    if _is_large(before, now):
        return True
    digits = len(str(now))
    if digits <= len(str(before)):
        return False
    sizes = [1, *(len(str(change.affected)) for change in changes)]  # the history may not begin with a single target
    return sum(earlier < digits <= later for earlier, later in pairwise(sizes)) <= 1


def _extent_steady_at(changes: Sequence[Change], now: datetime, flapping: Flapping) -> datetime | None:
    """Return when the number of affected targets will be steady if nothing changes; None if it is.

    The thresholds are those of a flapping status. Turns in the future do not count: they were made before the clock was
    set back."""
    recent = [at for at in _find_turns(changes) if now - flapping.window < at <= now]
    return recent[-flapping.high] + flapping.window if len(recent) >= flapping.high else None


def _find_turns(changes: Sequence[Change]) -> list[datetime]:
    """List when the number of affected targets turned from a large decrease to a large increase, or the reverse."""
    turns: list[datetime] = []
    extreme, is_growing = (changes[0].affected if changes else 0), None
    for change in changes:
        if change.affected != extreme and (change.affected > extreme) is is_growing:
            extreme = change.affected
        elif _is_large(extreme, change.affected):
            extreme, is_growing = change.affected, change.affected > extreme
            turns.append(change.at)
    return turns


def _is_large(before: int, after: int) -> bool:
    return before != after and abs(after - before) * _LARGE_SHARE >= before


def _decide_reminder(incident: Incident, notified: NotificationState, situation: Situation, policy: Policy) -> Decision:
    if not situation.routed:
        return Decision(None, HoldReason.NOT_ROUTED)
    if situation.acknowledged:
        return Decision(None, HoldReason.ACKNOWLEDGED, situation.acknowledged_until)
    waits = policy.reminders.get(incident.status.lower(), ())
    if not waits:
        return Decision(None, HoldReason.NO_MORE_REMINDERS)
    since = notified.at or incident.opened_at
    wait = waits[min(notified.reminders, len(waits) - 1)]  # the last interval repeats
    if situation.digest is not None and wait >= _DIGESTED and incident.status not in {BLOCKED, UNKNOWN}:
        wait = situation.digest.next_start(since + wait - _DIGEST_SKEW) - since
    end = _end_of_wait(since, wait, situation.now)
    if end is not None:
        return Decision(None, _reason_until_reminder(incident, notified), end)
    return Decision("reminder", "still unresolved")


def _reason_until_reminder(incident: Incident, notified: NotificationState) -> HoldReason:
    """Return why nothing is sent before the next reminder: no difference, or one too small for its own message."""
    if _reasons_differ(incident, notified):
        return HoldReason.REASONS_QUIET
    return HoldReason.UP_TO_DATE if notified.affected == incident.affected else HoldReason.EXTENT_QUIET
