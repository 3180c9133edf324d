"""What a rule is about: matchers against the facts of an incident, and the severity that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from wabawatch.domain.health import BLOCKED, CALLING, LIMITED, READABLE, is_urgent
from wabawatch.domain.incident import DESTINATION, MONITOR, Incident
from wabawatch.domain.notification import TargetInfo
from wabawatch.domain.silence import Matcher


class IncidentFacts(msgspec.Struct, frozen=True):
    """What matchers see of an incident. A resolved one is matched as it was at its worst: who was told of the problem
    is told of the recovery."""

    status: str
    severity: str
    entity_type: str
    entity_id: str
    capability: str
    codes: frozenset[int]
    affected: tuple[TargetInfo, ...]
    """Those affected; while it is open, those affected now. Empty where nothing in the rules looks at them."""
    affected_total: int = 0
    dead: frozenset[str] = frozenset()
    """Destinations that take nothing until somebody acts."""

    @property
    def about_monitor(self) -> bool:
        return self.entity_type in {MONITOR, DESTINATION}


def incident_facts(incident: Incident, targets: Iterable[str], fleet: Mapping[str, TargetInfo]) -> IncidentFacts:
    """Return the facts of an incident, without a severity. `targets` are those that it affects, or affected once it is
    over; those that are not configured any more have no labels."""
    return IncidentFacts(
        incident.status if incident.is_open else incident.worst,
        "",
        *incident.key,
        codes=frozenset(reason.code for reason in incident.reasons if reason.code is not None),
        affected=tuple(fleet.get(target) or TargetInfo(target, target) for target in targets),
        affected_total=incident.affected if incident.is_open else incident.total_affected,
    )


def usual_severity(facts: IncidentFacts) -> str:
    """critical, error, warning or info, where no rule of the configuration says otherwise."""
    if facts.status == BLOCKED:
        if facts.capability == CALLING:
            return "warning"
        return "error" if facts.entity_type == "MESSAGE_TEMPLATE" else "critical"
    if facts.status == LIMITED or facts.capability == READABLE:
        return "warning"
    return "error"


def severity_of(incident: Incident, facts: IncidentFacts) -> str:
    """The usual severity; what concerns the monitor itself, and a channel that the provider closed, are errors."""
    if incident.about_monitor or (facts.capability == READABLE and is_urgent(incident.reasons)):
        return "error"
    return usual_severity(facts)


def matches(matcher: Matcher, facts: IncidentFacts, *, every: bool = False) -> bool:
    """Whether a rule is about these facts. Of the affected targets one must match; `every` of them for a mute, so that
    silencing one number never silences the business it shares with others."""
    return (
        _one_of(matcher.status, facts.status)
        and _one_of(matcher.severity, facts.severity)
        and _one_of(matcher.entity_type, facts.entity_type)
        and (_one_of(matcher.entity, facts.entity_id) or f"{facts.entity_type}:{facts.entity_id}" in matcher.entity)
        and _one_of(matcher.capability, facts.capability)
        and (not matcher.reason_code or bool(facts.codes & set(matcher.reason_code)))
        and facts.affected_total >= matcher.affected_at_least
        and _about(matcher, facts.affected, every=every)
    )


def _one_of(words: tuple[str, ...], word: str) -> bool:
    return not words or word in words


def _about(matcher: Matcher, affected: tuple[TargetInfo, ...], *, every: bool) -> bool:
    if not matcher.target and not matcher.labels:
        return True
    hits = (
        _one_of(matcher.target, one.id) and all(one.labels.get(key) == value for key, value in matcher.labels.items())
        for one in affected
    )
    return bool(affected) and (all(hits) if every else any(hits))
