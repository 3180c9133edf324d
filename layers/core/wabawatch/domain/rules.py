"""All rules together: for an incident and a destination, whether, when and how severely it is told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.domain.decision import Mute, Situation
from wabawatch.domain.health import AVAILABLE, BLOCKED, rank
from wabawatch.domain.incident import DESTINATION, Incident, NotificationState
from wabawatch.domain.matching import IncidentFacts, incident_facts, matches, severity_of
from wabawatch.domain.notification import TargetInfo
from wabawatch.domain.policy import Policy
from wabawatch.domain.routing import Route, SeverityRule, Window
from wabawatch.domain.schedule import Weekly
from wabawatch.domain.silence import Acknowledgement, Silence

_MUTES_IN_A_ROW: Final = 100


class OperatorActions(msgspec.Struct, frozen=True):
    """What people have said: silences, and acknowledgements by incident id."""

    silences: tuple[Silence, ...] = ()
    acknowledgements: dict[str, Acknowledgement] = {}


class Case(msgspec.Struct, frozen=True):
    """One incident before one destination."""

    situation: Situation
    severity: str
    acknowledged_by: str = ""


class Rules(msgspec.Struct, frozen=True):
    """What the configuration says about telling. `version` changes whenever the configuration does."""

    policy: Policy = Policy()
    routes: tuple[Route, ...] = ()
    severities: tuple[SeverityRule, ...] = ()
    windows: tuple[Window, ...] = ()
    digest: Weekly | None = None
    version: str = ""

    def case(
        self,
        incident: Incident,
        destination: str,
        notified: NotificationState,
        steering: OperatorActions,
        now: datetime,
        *,
        facts: IncidentFacts,
        mass_failure: bool = False,
        complete: bool = False,
        paused_until: datetime | None = None,
        retry_at: datetime | None = None,
        known_since: datetime | None = None,
    ) -> Case:
        """Everything that decides about telling this destination, but the incident and the ledger.

        `paused_until` is when a destination that is down is asked again, `retry_at` when a notification about this
        incident that it did not take is; `known_since` is when the destination was first configured (None: always);
        `complete` and `mass_failure` are as in Outlook."""
        routed, hours = self.routed(facts, destination)
        acknowledgement = _holding(steering.acknowledgements.get(incident.id), incident, now)
        situation = Situation(
            now,
            routed=routed,
            about_itself=_is_about(facts, destination),
            mute=self.find_mute(facts, steering.silences, now),
            muted_throughout=notified.status is None and self._muted_throughout(incident, facts, steering.silences),
            opens_at=_opens_at(hours, facts, now),
            acknowledged=acknowledgement is not None,
            acknowledged_until=acknowledgement.until if acknowledgement else None,
            mass_failure=mass_failure,
            group_wait=timedelta(0) if complete else self.policy.group_wait,
            digest=self.digest,
            paused_until=paused_until,
            retry_at=retry_at,
            known_since=known_since,
        )
        return Case(situation, facts.severity, acknowledgement.author if acknowledgement else "")

    def needs_targets(self, silences: Iterable[Silence]) -> bool:
        """Whether any rule or silence is about single targets or their labels, so that it matters who is affected."""
        rules: Iterable[Route | SeverityRule | Window | Silence] = (
            *self.routes, *self.severities, *self.windows, *silences,
        )  # fmt: skip
        return any(rule.match.target or rule.match.labels for rule in rules)

    def build_facts(self, incident: Incident, targets: Iterable[str], fleet: Mapping[str, TargetInfo]) -> IncidentFacts:
        """The facts of an incident, with its severity: by the first rule that matches, else the usual one. `targets`
        are those affected; none are needed where no rule looks at them."""
        facts = incident_facts(incident, targets, fleet)
        usual = severity_of(incident, facts)
        ruled = (rule.severity for rule in self.severities if matches(rule.match, facts))
        return msgspec.structs.replace(facts, severity=next(ruled, usual))

    def routed(self, facts: IncidentFacts, destination: str) -> tuple[bool, tuple[Weekly | None, ...]]:
        """Whether a route leads to the destination, and the hours of those that do. With no route at all, everything
        goes everywhere; so does what the monitor says of itself and no route wants: it must not be lost between rules
        that are about numbers. A destination never hears of its own trouble."""
        if _is_about(facts, destination):
            return False, ()
        taken = self.matching_routes(facts)
        if not self.routes or (not taken and facts.about_monitor):
            return True, (None,)
        hours = tuple(route.hours for route in taken if destination in route.to)
        return bool(hours), hours

    def matching_routes(self, facts: IncidentFacts) -> tuple[Route, ...]:
        """The routes that match, in order, until one says stop. Where an incident is about a destination, a route that
        leads only to that one, and to others that are dead, is passed over, and its stop with it: nobody would hear
        that the destination is dead."""
        taken: list[Route] = []
        for route in self.routes:
            if matches(route.match, facts) and not all(_cannot_hear(facts, name) for name in route.to):
                taken.append(route)
                if route.stop:
                    break
        return tuple(taken)

    def find_mute(self, facts: IncidentFacts, silences: Iterable[Silence], at: datetime) -> Mute | None:
        """The mute that holds longest at an instant."""
        mutes = [
            Mute(f"silence {one.id} by {one.author}: {one.reason}", one.ends_at)
            for one in silences
            if one.starts_at <= at < one.ends_at and matches(one.match, facts, every=True)
        ]
        for window in self.windows:
            ends_at = window.when.holds_until(at)
            if ends_at is not None and matches(window.match, facts, every=True):
                mutes.append(Mute(f"maintenance window {window.name}", ends_at))
        return max(mutes, key=lambda mute: mute.ends_at, default=None)

    def _muted_throughout(self, incident: Incident, facts: IncidentFacts, silences: Iterable[Silence]) -> bool:
        """Whether mutes held from an incident's confirmation to its end without a gap: one mute, or several that
        overlap or adjoin. After very many in a row (windows of whole days) the answer is no: it is rather told."""
        at, end = incident.confirmed_at, incident.resolved_at
        if end is None:
            return False
        near = [one for one in silences if one.starts_at <= end and at < one.ends_at]
        matching = [one for one in near if matches(one.match, facts, every=True)]
        windows = [one.when for one in self.windows if matches(one.match, facts, every=True)]
        for _ in range(_MUTES_IN_A_ROW):
            ends = [one.ends_at for one in matching if one.starts_at <= at < one.ends_at]
            ends += [ends_at for window in windows if (ends_at := window.holds_until(at)) is not None]
            if not ends:
                return False
            at = max(ends)
            if at > end:
                return True
        return False

    def fingerprint(self, steering: OperatorActions) -> str:
        """Changes whenever every open incident must be planned anew: other rules, silences or acknowledgements."""
        said = msgspec.json.encode((self.version, steering), order="sorted")
        return hashlib.sha256(said).hexdigest()


def _is_about(facts: IncidentFacts, destination: str) -> bool:
    return facts.entity_type == DESTINATION and facts.entity_id == destination


def _cannot_hear(facts: IncidentFacts, destination: str) -> bool:
    return _is_about(facts, destination) or (facts.entity_type == DESTINATION and destination in facts.dead)


def _holding(acknowledgement: Acknowledgement | None, incident: Incident, now: datetime) -> Acknowledgement | None:
    """An acknowledgement holds until its time is over, the incident ends, or it gets worse than it was then; that it
    gets better afterwards, or comes back, does not renew it."""
    if acknowledgement is None or not incident.is_open or rank(incident.status) > rank(acknowledgement.status):
        return None
    later = [change.status for change in incident.changes if change.at > acknowledgement.at]
    if any(status == AVAILABLE or rank(status) > rank(acknowledgement.status) for status in later):
        return None
    return None if acknowledgement.until is not None and acknowledgement.until <= now else acknowledgement


def _opens_at(hours: tuple[Weekly | None, ...], facts: IncidentFacts, now: datetime) -> datetime | None:
    """When working hours begin, for what can wait: nothing that is BLOCKED waits, and one route without hours is
    enough to speak at once."""
    spans = [one for one in hours if one is not None]
    if not spans or len(spans) < len(hours) or facts.status == BLOCKED or facts.severity == "critical":
        return None
    if any(span.holds_until(now) is not None for span in spans):
        return None
    return min(span.next_start(now) for span in spans)
