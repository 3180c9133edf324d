"""Route incidents to destinations: routes, severities, working hours, mutes and acknowledgements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.domain.decision import Mute, Situation
from wabawatch.domain.health import AVAILABLE, BLOCKED, TargetInfo, rank
from wabawatch.domain.incident import DESTINATION, Incident, NotificationState, Severity
from wabawatch.domain.policy import Policy, Weekly
from wabawatch.domain.silence import Acknowledgement, IncidentFacts, Matcher, Silence, incident_facts, matches

_MAX_ADJOINING_MUTES: Final = 100


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sends matching incidents to destinations. All routes that match apply, in order, until one has `stop`.

    Outside of `hours`, less urgent incidents wait (None: no hours)."""

    to: tuple[str, ...]
    match: Matcher = Matcher()
    stop: bool = False
    hours: Weekly | None = None


class SeverityRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sets the severity of matching incidents. The first rule that matches applies."""

    severity: Severity
    match: Matcher = Matcher()


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """A maintenance window: a silence that repeats every week."""

    name: str
    when: Weekly
    match: Matcher = Matcher()
    reason: str = ""


class OperatorActions(msgspec.Struct, frozen=True):
    """What operators have set: silences, and acknowledgements by incident id."""

    silences: tuple[Silence, ...] = ()
    acknowledgements: dict[str, Acknowledgement] = {}


class Case(msgspec.Struct, frozen=True):
    """The situation of one incident for one destination."""

    situation: Situation
    severity: str
    acknowledged_by: str = ""


class Rules(msgspec.Struct, frozen=True):
    """The configured rules of notification. `version` changes with the configuration."""

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
        actions: OperatorActions,
        now: datetime,
        *,
        facts: IncidentFacts,
        mass_failure: bool = False,
        complete: bool = False,
        paused_until: datetime | None = None,
        retry_at: datetime | None = None,
        known_since: datetime | None = None,
    ) -> Case:
        """Evaluate all rules for one incident and one destination.

        `complete` says that no transitions are pending, so that the incident does not wait for more targets.
        `Situation` describes the other arguments."""
        routed, hours = self.find_route(facts, destination)
        acknowledgement = _active_acknowledgement(actions.acknowledgements.get(incident.id), incident, now)
        situation = Situation(
            now,
            routed=routed,
            about_itself=_is_own_problem(facts, destination),
            mute=self.find_mute(facts, actions.silences, now),
            muted_throughout=notified.status is None and self._is_muted_throughout(incident, facts, actions.silences),
            opens_at=_next_opening(hours, facts, now),
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
        """Return whether a rule or silence matches targets or labels, so that the affected targets must be known."""
        rules: Iterable[Route | SeverityRule | Window | Silence] = (
            *self.routes, *self.severities, *self.windows, *silences,
        )  # fmt: skip
        return any(rule.match.target or rule.match.labels for rule in rules)

    def build_facts(self, incident: Incident, targets: Iterable[str], fleet: Mapping[str, TargetInfo]) -> IncidentFacts:
        """Return the facts of an incident with its severity: of the first rule that matches, else the usual one.

        `targets` are the affected targets; they may be empty unless `needs_targets`."""
        facts = incident_facts(incident, targets, fleet)
        configured = (rule.severity for rule in self.severities if matches(rule.match, facts))
        return msgspec.structs.replace(facts, severity=next(configured, facts.severity))

    def find_route(self, facts: IncidentFacts, destination: str) -> tuple[bool, tuple[Weekly | None, ...]]:
        """Return whether a route leads to the destination, and the hours of each such route.

        Without any routes everything goes everywhere. The monitor's own problems do so too if no route matches them:
        they must not be lost because the routes are about numbers. A destination's own problem never goes to it."""
        if _is_own_problem(facts, destination):
            return False, ()
        routes = self.matching_routes(facts)
        if not self.routes or (not routes and facts.about_monitor):
            return True, (None,)
        hours = tuple(route.hours for route in routes if destination in route.to)
        return bool(hours), hours

    def matching_routes(self, facts: IncidentFacts) -> tuple[Route, ...]:
        """Return the routes that match, in order, up to one with `stop`.

        The problem of a destination skips a route that leads only to it and to other dead destinations, together with
        the `stop` of that route: otherwise nobody would be notified that the destination is dead."""
        routes: list[Route] = []
        for route in self.routes:
            if matches(route.match, facts) and not all(_is_unreachable(facts, name) for name in route.to):
                routes.append(route)
                if route.stop:
                    break
        return tuple(routes)

    def find_mute(self, facts: IncidentFacts, silences: Iterable[Silence], at: datetime) -> Mute | None:
        """Return the mute active at an instant that ends last."""
        mutes = [
            Mute(f"silence {silence.id} by {silence.author}: {silence.reason}", silence.ends_at)
            for silence in silences
            if silence.starts_at <= at < silence.ends_at and matches(silence.match, facts, every=True)
        ]
        for window in self.windows:
            ends_at = window.when.holds_until(at)
            if ends_at is not None and matches(window.match, facts, every=True):
                mutes.append(Mute(f"maintenance window {window.name}", ends_at))
        return max(mutes, key=lambda mute: mute.ends_at, default=None)

    def _is_muted_throughout(self, incident: Incident, facts: IncidentFacts, silences: Iterable[Silence]) -> bool:
        """Return whether mutes covered an incident from its confirmation to its end without a gap.

        The search ends after many adjoining mutes (windows of whole days); the incident is then notified."""
        at, end = incident.confirmed_at, incident.resolved_at
        if end is None:
            return False
        overlapping = [silence for silence in silences if silence.starts_at <= end and at < silence.ends_at]
        matching = [silence for silence in overlapping if matches(silence.match, facts, every=True)]
        windows = [window.when for window in self.windows if matches(window.match, facts, every=True)]
        for _ in range(_MAX_ADJOINING_MUTES):
            ends = [silence.ends_at for silence in matching if silence.starts_at <= at < silence.ends_at]
            ends += [ends_at for window in windows if (ends_at := window.holds_until(at)) is not None]
            if not ends:
                return False
            at = max(ends)
            if at > end:
                return True
        return False

    def fingerprint(self, actions: OperatorActions) -> str:
        """Return a hash that changes whenever all open incidents must be decided again: with the rules, silences and
        acknowledgements."""
        return hashlib.sha256(msgspec.json.encode((self.version, actions), order="sorted")).hexdigest()


def _is_own_problem(facts: IncidentFacts, destination: str) -> bool:
    return facts.entity_type == DESTINATION and facts.entity_id == destination


def _is_unreachable(facts: IncidentFacts, destination: str) -> bool:
    return _is_own_problem(facts, destination) or (facts.entity_type == DESTINATION and destination in facts.dead)


def _active_acknowledgement(
    acknowledgement: Acknowledgement | None, incident: Incident, now: datetime
) -> Acknowledgement | None:
    """Return an acknowledgement unless it has expired.

    It expires with its time, and for good once the incident was resolved or got worse than it was then."""
    if acknowledgement is None or not incident.is_open or rank(incident.status) > rank(acknowledgement.status):
        return None
    later = [change.status for change in incident.changes if change.at > acknowledgement.at]
    if any(status == AVAILABLE or rank(status) > rank(acknowledgement.status) for status in later):
        return None
    return None if acknowledgement.until is not None and acknowledgement.until <= now else acknowledgement


def _next_opening(hours: tuple[Weekly | None, ...], facts: IncidentFacts, now: datetime) -> datetime | None:
    """Return when working hours begin, None if the notification does not wait for them.

    BLOCKED and critical incidents never wait. One route without hours is enough to send at once."""
    spans = [span for span in hours if span is not None]
    if not spans or len(spans) < len(hours) or facts.status == BLOCKED or facts.severity == Severity.CRITICAL:
        return None
    if any(span.holds_until(now) is not None for span in spans):
        return None
    return min(span.next_start(now) for span in spans)
