"""Whatever comes, reading it never raises, and never makes health of what says nothing of the kind."""

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from wabawatch.adapters.dialog360.parser import parse_response
from wabawatch.adapters.dialog360.request import Response
from wabawatch.domain.detection import detect
from wabawatch.domain.health import CAUSES, Failure, Observation, rank
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.snapshot import Snapshot

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = "d360SecretKey0123456789"
FIELDS = (
    "health_status entities can_send_message can_receive_call_sip can_ entity_type id errors error_code "
    "error_description possible_solution additional_info meta developer_message error"
)
NAMES = st.sampled_from([*FIELDS.split(), KEY])
WORDS = st.sampled_from(
    ["AVAILABLE", "available", "LIMITED", "BLOCKED", "PAUSED", "GONE", "\ud800", "\x1b[2J", "", KEY]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text()
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=40,
)
LISTED = st.fixed_dictionaries({"entities": st.lists(st.dictionaries(NAMES, JSON), max_size=4)})
ENTITIES = st.fixed_dictionaries({"health_status": st.dictionaries(NAMES, JSON) | LISTED})
STATUSES = st.sampled_from([0, 101, 200, 204, 302, 400, 401, 403, 404, 429, 500, 503, 999])


def outcome_of(body, status=200, headers=None):
    return parse_response(Response(status, headers or {}, body), "n1", KEY, NOW)


def texts_of(value):
    """Every text in a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)


@settings(deadline=None)  # the machine may be busy
@given(JSON | ENTITIES, STATUSES)
def test_any_json_gives_an_outcome_that_can_be_stored_without_the_key(document, status):
    outcome = outcome_of(json.dumps(document).encode(), status)
    repr(outcome).encode()
    assert KEY.lower() not in repr(outcome).lower()
    assert not isinstance(outcome, Failure) or outcome.cause in CAUSES


@settings(deadline=None)
@given(JSON | ENTITIES)
def test_nothing_is_healthy_unless_it_says_available(document):
    outcome = outcome_of(json.dumps(document).encode())
    if isinstance(outcome, Failure):
        return
    said = {text.strip().upper() for text in texts_of(document)}
    healthy = [
        status
        for capabilities in (outcome.overall, *(entity.capabilities for entity in outcome.entities))
        for status in capabilities.values()
        if rank(status) == 0
    ]
    assert set(healthy) <= {"AVAILABLE"} & said


@settings(deadline=None)
@given(st.binary(), STATUSES)
def test_any_bytes_give_an_outcome(body, status):
    outcome_of(body, status)


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from([302, 429, 503]))
def test_any_headers_give_an_outcome(location, wait, status):
    outcome = outcome_of(b"", status, {"location": location, "retry-after": wait})
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= 86_400


@settings(deadline=None)
@given(ENTITIES)
def test_detection_takes_whatever_was_read(document):
    outcome = outcome_of(json.dumps(document).encode())
    detect(Snapshot("n1"), Observation("n1", NOW, outcome), Thresholds())
