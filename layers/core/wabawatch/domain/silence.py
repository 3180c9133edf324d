"""Define silences and acknowledgements, and match incidents against matchers, those of rules as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from wabawatch.domain.health import BLOCKED, CALLING, LIMITED, READABLE, TargetInfo, is_urgent
from wabawatch.domain.incident import DESTINATION, MONITOR, Incident, Severity


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """An acknowledgement of an incident: no reminders are sent until `until` (None: until it is resolved).

    It ends when the incident is resolved or gets worse than `status`."""

    incident: str
    author: str
    at: datetime
    status: str
    until: datetime | None = None
    note: str = ""


class Matcher(msgspec.Struct, frozen=True, omit_defaults=True):
    """Conditions on an incident. Each field that is set must match; a list matches if one of its values does.

    `entity` matches an entity's id or `TYPE:id`. All `labels` must be on the same affected target."""

    status: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    entity_type: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    capability: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    reason_code: tuple[int, ...] = ()
    affected_at_least: int = 0


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Mutes the matching incidents from `starts_at` to `ends_at`, with its author and reason."""

    id: str
    match: Matcher
    author: str
    reason: str
    starts_at: datetime
    ends_at: datetime


class IncidentFacts(msgspec.Struct, frozen=True):
    """The fields of an incident that matchers compare.

    A resolved incident has its worst status, so that its recovery takes the same routes as the problem."""

    status: str
    severity: Severity
    entity_type: str
    entity_id: str
    capability: str
    codes: frozenset[int]
    affected: tuple[TargetInfo, ...]
    """The targets affected now, or ever affected if it is resolved. Empty if no rule needs them."""
    affected_total: int = 0
    dead: frozenset[str] = frozenset()
    """Destinations that accept nothing until they are repaired."""

    @property
    def about_monitor(self) -> bool:
        return self.entity_type in {MONITOR, DESTINATION}


def incident_facts(incident: Incident, targets: Iterable[str], fleet: Mapping[str, TargetInfo]) -> IncidentFacts:
    """Return the facts of an incident with its usual severity.

    `targets` are the ids of the affected targets. A target that is no longer configured has no labels."""
    status = incident.status if incident.is_open else incident.worst
    return IncidentFacts(
        status,
        usual_severity(incident, status),
        *incident.key,
        codes=frozenset(reason.code for reason in incident.reasons if reason.code is not None),
        affected=tuple(fleet.get(target) or TargetInfo(target, target) for target in targets),
        affected_total=incident.affected if incident.is_open else incident.total_affected,
    )


def usual_severity(incident: Incident, status: str) -> Severity:
    """Return the severity of an incident with a status, if no rule of the configuration sets another.

    Problems of the monitor itself, and a channel that the provider has closed, are errors."""
    if incident.about_monitor or (incident.capability == READABLE and is_urgent(incident.reasons)):
        return Severity.ERROR
    if status == BLOCKED:
        if incident.capability == CALLING:
            return Severity.WARNING
        return Severity.ERROR if incident.entity_type == "MESSAGE_TEMPLATE" else Severity.CRITICAL
    if status == LIMITED or incident.capability == READABLE:
        return Severity.WARNING
    return Severity.ERROR


def matches(matcher: Matcher, facts: IncidentFacts, *, every: bool = False) -> bool:
    """Return whether a matcher matches an incident.

    One of the affected targets must match. For a mute `every` one must, so that a silence of one number does not mute
    an incident of the business that it shares with others."""
    return (
        _includes(matcher.status, facts.status)
        and _includes(matcher.severity, facts.severity)
        and _includes(matcher.entity_type, facts.entity_type)
        and (_includes(matcher.entity, facts.entity_id) or f"{facts.entity_type}:{facts.entity_id}" in matcher.entity)
        and _includes(matcher.capability, facts.capability)
        and (not matcher.reason_code or bool(facts.codes & set(matcher.reason_code)))
        and facts.affected_total >= matcher.affected_at_least
        and _matches_targets(matcher, facts.affected, every=every)
    )


def _includes(values: tuple[str, ...], value: str) -> bool:
    return not values or value in values


def _matches_targets(matcher: Matcher, affected: tuple[TargetInfo, ...], *, every: bool) -> bool:
    if not matcher.target and not matcher.labels:
        return True
    hits = (
        _includes(matcher.target, target.id)
        and all(target.labels.get(key) == value for key, value in matcher.labels.items())
        for target in affected
    )
    return bool(affected) and (all(hits) if every else any(hits))
