"""Short ways to write readings, transitions and incidents in tests."""

from datetime import UTC, datetime, timedelta

from wabawatch.domain.detection import detect
from wabawatch.domain.health import CALLING, MESSAGING, Entity, Failure, Observation, Reason, Report
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import Snapshot, Transition

T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
USUAL = Thresholds()
AT_ONCE = Thresholds(blocked=1, limited=1, available=1, unknown=1)
WORDS = {"A": "AVAILABLE", "L": "LIMITED", "B": "BLOCKED", "P": "PAUSED"}
PAYMENT = Reason(141006, "The payment method is missing.", "Add one.")
VERIFICATION = Reason(141010, "The business is not verified.", "Verify it.")
SIP = Reason(138024, "SIP is not enabled.", capability=CALLING)


def minute(number):
    return T0 + timedelta(minutes=number)


def node(entity_type, entity_id, status, *reasons, **capabilities):
    """An entity; `status` is a letter of WORDS (or a word) for messaging, None for an entity without one."""
    named = {MESSAGING: WORDS.get(status, status)} if status else {}
    return Entity(entity_type, entity_id, named | capabilities, reasons)


def phone(status, *reasons, **capabilities):
    return node("PHONE_NUMBER", "1", status, *reasons, **capabilities)


def seen(number, *entities, target="t", overall=None):
    """An observation in minute `number`: entities, or a failure's cause."""
    if entities and isinstance(entities[0], str):
        return Observation(target, minute(number), Failure(entities[0]))
    return Observation(target, minute(number), Report(entities, overall or {}))


def fold(observations, thresholds=USUAL, snapshot=None):
    """All of them in turn: the last snapshot and all transitions."""
    snapshot = snapshot or Snapshot("t")
    transitions = []
    for observation in observations:
        found = detect(snapshot, observation, thresholds)
        snapshot = found.snapshot
        transitions += found.transitions
    return snapshot, transitions


def short(transition):
    """`PHONE_NUMBER 1: AVAILABLE > BLOCKED`, with the capability where it is not messaging."""
    capability = "" if transition.capability == MESSAGING else f" {transition.capability}"
    return f"{transition.entity_type} {transition.entity_id}{capability}: {transition.old} > {transition.new}"


def moved(target, seq, old, new, number=0, **fields):
    """A transition of the business b, unless the fields say otherwise."""
    given = {"entity_type": "BUSINESS", "entity_id": "b", "capability": MESSAGING, "at": minute(number)} | fields
    given.setdefault("since", given["at"])
    return Transition(target, seq, old=WORDS.get(old, old), new=WORDS.get(new, new), **given)
