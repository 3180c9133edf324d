"""What incidents are called: by their status, open and over, for every type of entity."""

import pytest

from tests.unit.domain.builders import moved
from tests.unit.domain.incidents import FLEET, folded, involved
from wabawatch.domain.health import CALLING, GONE, MESSAGING, READABLE
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import Advice
from wabawatch.messages.message import render_message
from wabawatch.messages.notification import PendingNotification, RenderContext, build_notification, summarize_incident
from wabawatch.messages.titles import incident_title

AUDIENCE = RenderContext(FLEET, lambda _: Advice())
UNKNOWN_WORD = "a word that the monitor does not know"
KEYS = [
    *(
        (kind, "1", MESSAGING)
        for kind in ("BUSINESS", "WABA", "APP", "PHONE_NUMBER", "MESSAGE_TEMPLATE", "FLOW", "NEW")
    ),
    ("PHONE_NUMBER", "1", CALLING),
    ("TARGET", "a", READABLE),
    ("MONITOR", "readability", READABLE),
    ("MONITOR", "configuration", "working"),
    ("DESTINATION", "ops", "delivery"),
]
ENDS = {"open": None, "recovered": "AVAILABLE", "gone": GONE}


def lived(key, status, end=None):
    entity_type, entity_id, capability = key
    about = {"entity_type": entity_type, "entity_id": entity_id, "capability": capability, "was_available": True}
    moves = [moved("a", 1, "A", status, 0, **about)]
    return folded(*moves, *([moved("a", 2, status, end, 9, **about)] if end else []))


def news(incident, kind="opened"):
    return PendingNotification(incident, involved(incident), NotificationState(), kind, "error")


def titles(incident):
    """Every title that is shown of it: in a list, where it was in a message, and in messages of each kind."""
    kinds = ("opened", "reminder", "eased", "spread", "flapping", "flapping_ended")
    if not incident.is_open:
        kinds = ("resolved", "brief", "flapping", "flapping_ended")
    for kind in kinds:
        yield incident_title(summarize_incident(news(incident, kind), AUDIENCE), past=not incident.is_open)
        notified = render_message(build_notification("ops", [news(incident, kind)], incident.changed_at, AUDIENCE))
        yield notified.title
        yield from (section.title for section in notified.sections)
    digest = build_notification("ops", [news(incident), news(incident)], incident.changed_at, AUDIENCE)
    yield from (section.title for section in render_message(digest).sections)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("status", ["LIMITED", "BLOCKED", "UNKNOWN"])
@pytest.mark.parametrize("key", KEYS, ids=" ".join)
def test_no_title_calls_a_known_status_a_word_that_the_monitor_does_not_know(key, status, end):
    found = list(titles(lived(key, status, end)))
    assert not [one for one in found if UNKNOWN_WORD in one]
    assert not [one for one in found if "AVAILABLE" in one or "GONE" in one]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_status_that_is_not_known_is_called_so(end):
    incident = lived(("WABA", "1", MESSAGING), "PAUSED", end)
    shown = incident_title(summarize_incident(news(incident, "brief"), AUDIENCE), past=not incident.is_open)
    assert shown.startswith("Support ")
    assert shown.endswith(f"the status PAUSED, {UNKNOWN_WORD}")


@pytest.mark.parametrize(
    ("key", "status", "now", "then"),
    [
        pytest.param(
            ("WABA", "1", MESSAGING),
            "BLOCKED",
            "Support cannot send messages",
            "Support could not send messages",
            id="blocked",
        ),
        pytest.param(
            ("WABA", "1", MESSAGING),
            "LIMITED",
            "Support can send messages only within limits",
            "Support could send messages only within limits",
            id="limited",
        ),
        pytest.param(
            ("WABA", "1", MESSAGING),
            "UNKNOWN",
            "Support may be unable to send messages",
            "Support may have been unable to send messages",
            id="unknown",
        ),
        pytest.param(
            ("TARGET", "a", READABLE), "UNKNOWN", "Support cannot be read", "Support could not be read", id="unread"
        ),
        pytest.param(
            ("DESTINATION", "ops", "delivery"),
            "UNKNOWN",
            "Destination ops cannot be reached",
            "Destination ops could not be reached",
            id="undeliverable",
        ),
        pytest.param(
            ("DESTINATION", "ops", "subscribers"),
            "UNKNOWN",
            "Destination ops has no subscriber",
            "Destination ops had no subscriber",
            id="unheard",
        ),
    ],
)
def test_what_is_over_is_called_as_it_was(key, status, now, then):
    assert incident_title(summarize_incident(news(lived(key, status)), AUDIENCE)) == now
    assert incident_title(summarize_incident(news(lived(key, status, "A"), "brief"), AUDIENCE), past=True) == then
