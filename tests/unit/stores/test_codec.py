from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.stores.examples import EXAMPLES
from wabawatch.adapters.stores.codec import FORMAT, dump, load
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import CALLING, CAUSES, MESSAGING, Entity, Failure, Observation, Reason, Report
from wabawatch.domain.incident import Change, Incident, Member, NotificationState, Resolution
from wabawatch.domain.notification import IncidentSummary, Notification, QueuedLine, QueuedNotification, Stage
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence
from wabawatch.domain.snapshot import CapabilityState, Evidence, Snapshot, Transition
from wabawatch.errors import SchemaError, StoreError

GOLDEN = json.loads((Path(__file__).parent / "golden_bodies.json").read_text())
"""Bytes that earlier versions wrote, by format: never changed, only added to."""

relaxed = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes says how busy the machine is."""

texts = (
    st.text(max_size=12)
    | st.sampled_from(["AVAILABLE", "BLOCKED", "WABA", MESSAGING])
    | st.from_regex(r"\A0?[0-9]{1,20}\Z")
)
FIRST, LAST = datetime(1970, 1, 1), datetime(9000, 1, 1)  # noqa: DTZ001  # as Hypothesis wants its bounds
instants = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
maybe = st.none() | instants
counts = st.integers(0, 10**12)
capabilities = st.dictionaries(texts, texts, max_size=3)


def several(values):
    return st.lists(values, max_size=4).map(tuple)


reasons = st.builds(
    Reason, code=st.none() | st.integers(0, 2**31), description=texts, possible_solution=texts, capability=texts,
    detail=texts,
)  # fmt: skip
evidence = st.builds(Evidence, texts, instants)
states = st.builds(
    CapabilityState, texts, texts, texts, status=st.none() | texts, since=maybe, reasons=several(reasons),
    caused_by=st.none() | texts, was_available=st.booleans(), streak=several(evidence),
)  # fmt: skip
entities = st.builds(Entity, texts, texts, capabilities, several(reasons))
reports = st.builds(Report, several(entities), capabilities, several(texts))
failures = st.builds(Failure, st.sampled_from(CAUSES), texts, st.none() | st.floats(0, 1e6))
tolds = st.builds(NotificationState, at=maybe, thread=capabilities, reasons=several(texts))
spans = st.timedeltas(timedelta(0), timedelta(days=400))
day_coverages = st.builds(DayCoverage, st.dates(), counts, counts, spans, st.dictionaries(texts, spans, max_size=3))
VALUES = {
    "snapshots": st.builds(Snapshot, texts, counts, counts, maybe, several(states), several(texts)),
    "transitions": st.builds(
        Transition, texts, counts, texts, texts, texts, st.none() | texts, texts, instants, instants,
        several(reasons), st.none() | texts, st.booleans(), several(evidence), texts,
    ),
    "observations": st.builds(Observation, texts, instants, reports | failures),
    "incidents": st.builds(
        Incident, id=texts, entity_type=texts, entity_id=texts, capability=texts, status=texts, worst=texts,
        opened_at=instants, confirmed_at=instants, changed_at=instants, version=counts, revision=counts,
        resolved_at=maybe, resolution=st.none() | st.sampled_from(Resolution),
        preexisting=st.booleans(), reasons=several(reasons),
        counts=st.dictionaries(texts, counts, max_size=3), recovered=counts, has_member_rows=st.booleans(),
        named=st.dictionaries(texts, st.builds(Member, texts, instants), max_size=5), generation=counts,
        changes=several(st.builds(Change, instants, texts, counts, several(texts))), flapping_since=maybe,
        notification_log=st.dictionaries(texts, tolds, max_size=2),
        due_at=maybe,
    ),
    "members": st.builds(Member, texts, instants),
    "queued notifications": st.builds(
        QueuedNotification, texts, texts, st.sampled_from(Stage),
        st.builds(
            Notification, texts, texts, texts, texts, instants,
            several(st.builds(IncidentSummary, *[texts] * 7, instants, instants, share=st.floats(0, 1))),
        ),
        several(st.builds(QueuedLine, texts, tolds)), thread=capabilities, retry_at=maybe, error=texts,
    ),
    "shard coverages": st.builds(
        ShardCoverage, counts, counts, texts, instants, instants, spans, counts,
        st.dictionaries(texts, maybe, max_size=3), st.none() | day_coverages,
    ),
    "day coverages": day_coverages,
    "runs": st.builds(
        Run, texts, counts, counts, instants, maybe, counts, mass_failure=st.booleans(), resume_at=st.none() | texts,
        causes=st.dictionaries(texts, counts, max_size=3), codes=st.dictionaries(counts, counts, max_size=3),
    ),
    "silences": st.builds(
        Silence, texts, st.builds(Matcher, several(texts), labels=capabilities, reason_code=several(counts)), texts,
        texts, instants, instants,
    ),
    "acknowledgements": st.builds(Acknowledgement, texts, texts, instants, texts, maybe, texts),
}  # fmt: skip


def kind_of(value):
    """What a value is decoded as: transitions are stored all of a change together."""
    return tuple[Transition, ...] if isinstance(value, tuple) else type(value)


@pytest.mark.parametrize("kind", VALUES)
@relaxed
@given(st.data())
def test_what_is_stored_comes_back_equal(kind, data):
    value = data.draw(VALUES[kind])
    found = load(kind_of(value), dump(value))
    assert found == value
    if isinstance(value, Incident):
        assert list(found.named) == list(value.named)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_field_of_an_example_comes_back(name):
    value = EXAMPLES[name]
    assert load(kind_of(value), dump(value)) == value


@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version, bodies in GOLDEN.items() for name in bodies]
)
def test_bodies_of_every_format_stay_readable(version, name):
    body = base64.b64decode(GOLDEN[version][name])
    assert body[0] & 0x7F == int(version)
    assert load(kind_of(EXAMPLES[name]), body) == EXAMPLES[name]


def test_every_kind_has_a_body_of_the_present_format():
    assert set(GOLDEN[str(FORMAT)]) == set(EXAMPLES)


def test_a_healthy_number_with_four_entities_takes_less_than_250_bytes():
    at = datetime(2026, 3, 1, 8, 30, 0, 123456, UTC)
    kinds = {"PHONE_NUMBER": 10, "WABA": 20, "BUSINESS": 30, "APP": 40}
    tracks_ = tuple(
        CapabilityState(
            kind, f"{number}62930412894417", capability, "AVAILABLE", at - timedelta(days=number), was_available=True
        )
        for kind, number in kinds.items()
        for capability in (MESSAGING, CALLING)
    )
    snapshot = Snapshot("customer-support-germany-hamburg-01", 12, 9, at, tracks_)
    assert len(dump(snapshot)) <= 250


def test_repeated_text_is_squeezed():
    reasons_ = tuple(Reason(code, "The same long text, again and again and again") for code in range(50))
    observation = Observation("a", datetime(2026, 1, 1, tzinfo=UTC), Report((Entity("WABA", "1", {}, reasons_),)))
    assert len(dump(observation)) < 1000


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("version", [FORMAT + 1, 0x7F, 0])
def test_another_format_is_refused_with_what_to_do(name, version):
    body = dump(EXAMPLES[name])
    with pytest.raises(SchemaError, match=f"format {version}.*upgrade Wabawatch"):
        load(kind_of(EXAMPLES[name]), bytes((version | body[0] & 0x80,)) + body[1:])


def written_later(value):
    """The value as a later version of the same format writes it: each struct in it has one field more at its end."""
    if isinstance(value, msgspec.Struct):
        kind, shape = type(value), value.__struct_config__
        later = msgspec.defstruct(
            kind.__name__, [("added", dict[str, int], msgspec.field(default_factory=lambda: {"later": 1}))],
            bases=(kind,), kw_only=True, tag=shape.tag, tag_field=shape.tag_field, array_like=shape.array_like,
        )  # fmt: skip
        return later(**{name: written_later(getattr(value, name)) for name in value.__struct_fields__})
    if isinstance(value, tuple):
        return tuple(map(written_later, value))
    return {name: written_later(one) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_a_later_version_of_the_same_format_adds_is_no_obstacle(name):
    """So that an older version can be deployed again."""
    body, plain = (dump(value, deflate_from=10**9) for value in (written_later(EXAMPLES[name]), EXAMPLES[name]))
    assert body.count(b"later") > plain.count(b"later")
    assert load(kind_of(EXAMPLES[name]), body) == EXAMPLES[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_cut_body_is_an_error_that_says_so(name):
    body = dump(EXAMPLES[name])
    for length in range(len(body)):
        with pytest.raises(StoreError, match="stored"):
            load(kind_of(EXAMPLES[name]), body[:length])


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_follows_a_body_is_an_error_that_says_so(name):
    with pytest.raises(StoreError, match="stored"):
        load(kind_of(EXAMPLES[name]), dump(EXAMPLES[name]) + b"\x00")


@pytest.mark.parametrize("name", EXAMPLES)
@relaxed
@given(st.binary(max_size=60), st.booleans())
def test_noise_is_an_error_and_never_a_crash(name, noise, deflated):
    try:
        load(kind_of(EXAMPLES[name]), bytes((FORMAT | 0x80 * deflated,)) + noise)
    except StoreError as error:
        assert "stored" in str(error)  # noqa: PT017  # rarely, noise is a value
