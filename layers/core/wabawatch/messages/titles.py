"""Titles: of a notification, and of each incident in it. Outside texts are fitted before (limits.fit_notification)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from wabawatch.domain.health import (
    AVAILABLE,
    BLOCKED,
    CALLING,
    GONE,
    LIMITED,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    TargetInfo,
    rank,
)
from wabawatch.domain.incident import DESTINATION, MONITOR, SEVERITIES
from wabawatch.domain.notification import IncidentSummary, Notification
from wabawatch.messages.text import humanize_duration, pluralize

_ENTITY_NAMES: Final = {
    "BUSINESS": "business", "WABA": "WhatsApp Business account", "APP": "app", "PHONE_NUMBER": "phone number",
    "MESSAGE_TEMPLATE": "template", "FLOW": "flow", TARGET: "number",
}  # fmt: skip
_SENT_AS_CONTENT: Final = frozenset({"MESSAGE_TEMPLATE", "FLOW"})
_ACTIONS: Final = {MESSAGING: "send messages", CALLING: "receive calls", READABLE: "be read"}
_PREDICATES: Final = {
    BLOCKED: ("cannot {}", "could not {}"),
    LIMITED: ("can {} only within limits", "could {} only within limits"),
    UNKNOWN: ("may be unable to {}", "may have been unable to {}"),
    AVAILABLE: ("can {} again", "had a problem and can {} again"),
}
"""By status: now, and in the past."""
_MONITOR_TITLES: Final = {
    "readability": (
        "Most numbers cannot be checked",
        "Most numbers could not be checked",
        "Most numbers can be checked again",
    ),
    "state": (
        "The state of some numbers cannot be stored",
        "The state of some numbers could not be stored",
        "The state of all numbers can be stored again",
    ),
    "alarms": (
        "The monitor's own alarms are not delivered",
        "The monitor's own alarms were not delivered",
        "The monitor's own alarms are delivered again",
    ),
    "coverage": (
        "Part of the fleet is not read",
        "Part of the fleet was not read",
        "The whole fleet is read again",
    ),
}
"""Problems of the monitor itself: now, in the past, and resolved."""
_DESTINATION_PREDICATES: Final = {
    "delivery": ("cannot be reached", "could not be reached", "can be reached again"),
    "subscribers": ("has no subscriber", "had no subscriber", "has a subscriber again"),
}
_PREFIXES: Final = {
    "escalated": "Worse", "eased": "Better", "reasons_changed": "Other reasons", "spread": "Spreading",
    "flapping_ended": "Settled",
}  # fmt: skip


class Badge(NamedTuple):
    """How urgent a message is, as one sign and as one word."""

    sign: str
    word: str


_TEST: Final = Badge("🧪", "TEST")
_RESOLVED: Final = Badge("✅", "RESOLVED")
_FLAPPING: Final = Badge("🔁", "FLAPPING")
_BADGES: Final = {
    "critical": Badge("🔴", "CRITICAL"), "error": Badge("🟠", "ERROR"), "warning": Badge("🟡", "WARNING"),
    "info": Badge("🔵", "INFO"),
}  # fmt: skip
_BY_URGENCY: Final = [*_BADGES.values(), _RESOLVED]


def is_test(notification: Notification) -> bool:
    return notification.is_test or notification.kind == "test"


def notification_badge(notification: Notification) -> Badge:
    """Choose the badge of a whole notification. A digest has that of its worst incident."""
    if is_test(notification):
        return _TEST
    if notification.kind == "digest":
        return min((incident_badge(each) for each in notification.subjects), key=_BY_URGENCY.index, default=_RESOLVED)
    if notification.kind in {"resolved", "brief"} or not notification.subjects:
        return _RESOLVED
    return _FLAPPING if notification.kind == "flapping" else incident_badge(notification.subject)


def incident_badge(incident: IncidentSummary) -> Badge:
    return _RESOLVED if incident.is_over else _BADGES.get(incident.severity, _BADGES["error"])


def add_badge(badge: Badge, title: str) -> str:
    """Put the badge's word before a title: `[CRITICAL] 40 numbers cannot send messages`."""
    return title if title.startswith(f"{badge.word}:") else f"[{badge.word}] {title}"


def notification_title(notification: Notification) -> str:
    """Write the one line that is read first, perhaps on a locked phone. A test is marked as one."""
    title = notification.headline or _title_by_kind(notification)
    return f"TEST: {title}" if is_test(notification) else title


def _title_by_kind(notification: Notification) -> str:
    if notification.kind == "digest":
        return _digest_title(notification)
    if not notification.subjects:
        return f"A notification for {notification.destination}"
    incident = notification.subject
    title = incident_title(incident, past=notification.kind == "brief")
    duration = noticeable_duration(incident, notification.at)
    match notification.kind:
        case "flapping":
            title = f"{_who(incident)} keeps changing; quiet until it settles"
        case "brief":
            title = f"{title} for {duration}, and this is over" if duration else f"{title}, and this is over"
        case "resolved":
            title = f"{title}, after {duration}" if duration else title
        case "receded":
            title = f"{recovered_count(incident) or 'Recovering'}: {title}"
        case "reminder":
            title = f"Reminder ({duration}): {title}" if duration else f"Reminder: {title}"
        case kind if kind in _PREFIXES:
            title = f"{_PREFIXES[kind]}: {title}"
    return title


def noticeable_duration(incident: IncidentSummary, now: datetime) -> str:
    """Format how long an incident has lasted; "" for less than a second."""
    duration = incident.duration(now)
    return humanize_duration(duration) if duration >= timedelta(seconds=1) else ""


def recovered_count(incident: IncidentSummary) -> str:
    """Count the targets that have recovered: `38 of 40 recovered`; "" where none has."""
    total = incident.recovered_total + incident.affected_total
    return f"{incident.recovered_total} of {total} recovered" if incident.recovered_total else ""


def _digest_title(notification: Notification) -> str:
    """Count the incidents by severity, and name the worst: a locked phone shows no more than this."""
    worst = next((incident for incident in notification.subjects if not incident.is_over), None)
    return _count_incidents(notification) + (f"; the worst: {incident_title(worst)}" if worst else "")


def _count_incidents(notification: Notification) -> str:
    total = max(notification.total, len(notification.subjects))
    counts = Counter(incident_badge(incident).word.lower() for incident in notification.subjects)
    if total > len(notification.subjects) or not counts:
        return pluralize(total, "incident")
    if len(counts) == 1:
        return pluralize(total, f"{next(iter(counts))} incident")
    order = [*SEVERITIES, "resolved"]
    return f"{pluralize(total, 'incident')}: " + ", ".join(f"{counts[word]} {word}" for word in order if counts[word])


def incident_title(incident: IncidentSummary, *, past: bool = False) -> str:
    """Say what is broken, or works again: `40 numbers cannot send messages`. `past`: as it was, once it is over."""
    if incident.entity_type in {MONITOR, DESTINATION}:
        return _monitor_title(incident, past=past)
    if incident.resolution == "gone" and not past:
        return f"{_who(incident)}: {entity_name(incident)} is no longer reported"
    if incident.resolution == "unwatched" and not past:
        return f"{_who(incident)}: no longer watched"
    return f"{_who(incident)} {_predicate(incident, past=past)}"


def _monitor_title(incident: IncidentSummary, *, past: bool) -> str:
    tense = 1 if past else 2 if incident.is_over or rank(incident.new) == 0 else 0
    if incident.entity_type == DESTINATION:
        predicates = _DESTINATION_PREDICATES.get(incident.capability, _DESTINATION_PREDICATES["delivery"])
        return f"{_who(incident)} {predicates[tense]}"
    if incident.entity_id in _MONITOR_TITLES:
        return _MONITOR_TITLES[incident.entity_id][tense]
    return f"The monitor's {incident.entity_id} {('fails', 'failed', 'works again')[tense]}"


def _who(incident: IncidentSummary) -> str:
    """Name the only number, and count several. A template is named by its id, because nothing else is affected."""
    if incident.entity_type in _SENT_AS_CONTENT:
        content = f"{_ENTITY_NAMES[incident.entity_type].capitalize()} {incident.entity_id}"
        return f"{content} of {target_name(incident.affected[0])}" if len(incident.affected) == 1 else content
    if incident.entity_type in {MONITOR, DESTINATION}:
        return "The monitor" if incident.entity_type == MONITOR else f"Destination {incident.entity_id}"
    if incident.affected_total == 1 and incident.affected:
        return target_name(incident.affected[0])
    if incident.affected_total == 0:
        entity = entity_name(incident)
        return entity[:1].upper() + entity[1:]
    return pluralize(incident.affected_total, "number")


def target_name(target: TargetInfo) -> str:
    """Return what people call a number; its id where it has no name."""
    return target.name or target.id


def entity_name(incident: IncidentSummary) -> str:
    """Name the entity: `business 1234`."""
    kind = _ENTITY_NAMES.get(incident.entity_type) or incident.entity_type.lower().replace("_", " ")
    return f"{kind} {incident.entity_id}"


def _predicate(incident: IncidentSummary, *, past: bool) -> str:
    status = AVAILABLE if (incident.is_over and not past) or incident.new == GONE else incident.new
    if incident.capability == READABLE and status == UNKNOWN:
        status = BLOCKED
    if status in _PREDICATES:
        return _PREDICATES[status][past].format(_action(incident))
    return f"{'had' if past else 'with'} the status {status}, a word that the monitor does not know"


def _action(incident: IncidentSummary) -> str:
    if incident.entity_type in _SENT_AS_CONTENT and incident.capability == MESSAGING:
        return "be sent"
    return _ACTIONS.get(incident.capability) or incident.capability.removeprefix("can_").replace("_", " ")
