"""Finding what a command is about: an incident by the beginning of its id, and the facts around it."""

from __future__ import annotations

from wabawatch.application.membership import affected_targets, some_affected_targets
from wabawatch.bootstrap import Monitor
from wabawatch.cli.options import unknown
from wabawatch.domain.incident import Incident, NotificationState
from wabawatch.domain.matching import IncidentFacts
from wabawatch.domain.notification import Subject
from wabawatch.domain.pen import Pen, Room
from wabawatch.domain.routing import OperatorActions
from wabawatch.messages.notification import NAMED, News, subject
from wabawatch.messages.text import utc
from wabawatch.messages.titles import title

_SEARCHED = 1000
_SHORTEST = 3


def find_incident(app: Monitor, wanted: str) -> Incident | None:
    """By its id, or by a beginning of it that no other one has."""
    exact = app.store.incident(wanted)
    if exact is not None or len(wanted) < _SHORTEST:
        return exact
    found = {one.id: one for one in [*app.store.open_incidents(), *app.store.incidents(_SEARCHED)]}
    matching = [one for name, one in found.items() if name.startswith(wanted)]
    return matching[0] if len(matching) == 1 else None


def need_incident(app: Monitor, wanted: str) -> Incident:
    found = find_incident(app, wanted)
    if found is None:
        raise unknown("incident", wanted, (one.id for one in app.store.open_incidents() if one.is_open))
    return found


def steering(app: Monitor) -> OperatorActions:
    """What people have said."""
    return OperatorActions(tuple(app.store.silences()), app.store.acknowledgements())


def facts(app: Monitor, incident: Incident) -> IncidentFacts:
    """What the rules see of it."""
    targets = affected_targets(app.store, incident) if app.rules.needs_targets(()) else ()
    return app.rules.build_facts(incident, targets, app.audience.fleet)


def severity(app: Monitor, incident: Incident) -> str:
    return facts(app, incident).severity


def told_of(app: Monitor, incident: Incident, kind: str = "opened") -> Subject:
    """The incident as it would be put to somebody who knows nothing of it."""
    targets = some_affected_targets(app.store, incident, NAMED)
    return subject(News(incident, targets, NotificationState(), kind, severity(app, incident)), app.audience)


def pen() -> Pen:
    return Pen(Room(short=120, long=400, names=5), when=utc)


def title_of(app: Monitor, incident: Incident) -> str:
    """`40 numbers cannot send messages`; what it was, for one that is over."""
    is_over = not incident.is_open
    return title(told_of(app, incident, "brief" if is_over else "opened"), pen(), past=is_over)
