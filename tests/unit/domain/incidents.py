"""Incidents for tests, made of the transitions that lead to them."""

from tests.unit.domain.builders import PAYMENT, moved
from wabawatch.domain.correlation import fold
from wabawatch.domain.health import TargetInfo
from wabawatch.domain.policy import Policy

FLEET = {
    "a": TargetInfo("a", "Support", {"team": "support", "client": "acme"}),
    "b": TargetInfo("b", "Sales", {"team": "sales", "client": "acme"}),
}
USUAL_POLICY = Policy()


def folded(*transitions, policy=USUAL_POLICY, latest=None, rows=None):
    """The latest incident after these transitions. `rows` are the members' parts in large incidents, as a store keeps
    them; without them `latest` must name the targets that move."""
    rows = {} if rows is None else rows
    for transition in transitions:
        before = None
        if latest is not None:
            before = rows.get((latest.id, transition.target)) or latest.named.get(transition.target)
        done = fold(latest, before, transition, policy)
        if done.member is not None:
            rows[done.incident.id, transition.target] = done.member
        latest = done.incident
    return latest


def involved(incident):
    """The targets that an incident names: those affected now, or all that took part once it is over."""
    return tuple(target for target, member in incident.named.items() if member.is_affected or not incident.is_open)


def bad(*targets, status="B", reasons=(PAYMENT,), **fields):
    """An incident that all these targets are in, since minute 0."""
    return folded(*(moved(target, 1, "A", status, reasons=reasons, **fields) for target in targets))


BOTH = bad("a", "b")
RESOLVED = folded(moved("a", 1, "A", "B", reasons=(PAYMENT,)), moved("a", 2, "B", "L", 1), moved("a", 3, "L", "A", 2))
