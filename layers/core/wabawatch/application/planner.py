"""What each destination should hear of each incident now, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from wabawatch.domain.incidents import Incident, Told
from wabawatch.domain.messages import Affected
from wabawatch.domain.planning import Decision, plan
from wabawatch.domain.rules import Rules, Steering


class Planned(msgspec.Struct, frozen=True):
    """A decision about one incident and one destination, with what it was made from."""

    incident: Incident
    destination: str
    told: Told
    decision: Decision
    severity: str
    acknowledged_by: str = ""


class Outlook(msgspec.Struct, frozen=True):
    """What is the same for every incident of a round. `paused` says until when destinations that are down are left
    alone; `complete` tells that a pass over the whole fleet has just ended."""

    now: datetime
    steering: Steering = Steering()
    paused: Mapping[str, datetime] = {}
    blind: bool = False
    complete: bool = False


class Planner:
    """The rules, applied to every destination."""

    def __init__(self, rules: Rules, destinations: Iterable[str], fleet: Mapping[str, Affected]) -> None:
        self._rules = rules
        self._destinations = tuple(destinations)
        self._fleet = fleet

    def __call__(self, incidents: Iterable[Incident], outlook: Outlook) -> list[Planned]:
        return [planned for incident in incidents for planned in self.consider(incident, outlook)]

    def consider(self, incident: Incident, outlook: Outlook) -> list[Planned]:
        """One decision for each destination; changes nothing."""
        facts = self._rules.facts(incident, self._fleet)
        planned = []
        for destination in self._destinations:
            told = incident.ledger.get(destination, Told())
            case = self._rules.case(
                incident,
                destination,
                told,
                outlook.steering,
                self._fleet,
                outlook.now,
                blind=outlook.blind,
                complete=outlook.complete,
                paused_until=outlook.paused.get(destination),
                facts=facts,
            )
            decision = plan(incident, told, case.situation, self._rules.policy)
            planned.append(Planned(incident, destination, told, decision, case.severity, case.acknowledged_by))
        return planned
