"""Incidents for tests, made of the transitions that lead to them."""

from tests.unit.domain.readings import PAYMENT, moved
from wabawatch.domain.correlation import fold
from wabawatch.domain.messages import Affected
from wabawatch.domain.policy import Policy

FLEET = {
    "a": Affected("a", "Support", {"team": "support", "client": "acme"}),
    "b": Affected("b", "Sales", {"team": "sales", "client": "acme"}),
}


def incident_after(*transitions):
    latest = None
    for transition in transitions:
        latest = fold(latest, transition, Policy())
    return latest


def bad(*targets, status="B", reasons=(PAYMENT,), **fields):
    """An incident that all these targets are in, since minute 0."""
    return incident_after(*(moved(target, 1, "A", status, reasons=reasons, **fields) for target in targets))


BOTH = bad("a", "b")
RESOLVED = incident_after(
    moved("a", 1, "A", "B", reasons=(PAYMENT,)), moved("a", 2, "B", "L", 1), moved("a", 3, "L", "A", 2)
)
