import json
from datetime import time, timedelta

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.config.cases import KINDS, Console, Slack, Webhook
from wabawatch.application.ports import Target
from wabawatch.config import Destination, Heartbeat, Settings, Source, canonical_json, effective, load
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import WEEKDAYS, Flapping, MassFailure, Policy, Retry, Thresholds, Weekly
from wabawatch.domain.routing import Route, SeverityRule, Window
from wabawatch.domain.silence import Matcher

IDS = st.text("abcXYZ019._-", min_size=1, max_size=8)
LINES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
DURATIONS = st.integers(1, 10**9).map(lambda amount: timedelta(milliseconds=amount))
REFERENCES = st.sampled_from(["env:A_KEY", "ssm:/a/b", "secretsmanager:a/b#c", "file:/a b/c"])
CLOCK = st.builds(time, st.integers(0, 23), st.integers(0, 59))
DAYS = st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(lambda some: tuple(d for d in WEEKDAYS if d in some))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"])
LABELS = st.dictionaries(LINES, LINES, max_size=3)
COUNTS = st.integers(1, 1000)
SHARES = st.floats(0.001, 1)
SEVERITIES = st.sampled_from(["critical", "error", "warning", "info"])


def several(words):
    return st.lists(words, max_size=3).map(tuple)


WEEKLY = st.builds(Weekly, DAYS, CLOCK, CLOCK, ZONES)
DIGESTS = st.builds(lambda days, at, zone: Weekly(days, at, at, zone), DAYS, CLOCK, ZONES)
POLICIES = st.builds(
    Policy,
    several(st.sampled_from(["can_send_message", "can_receive_call_sip"])).filter(bool),
    st.builds(Thresholds, COUNTS, COUNTS, COUNTS, COUNTS),
    DURATIONS,
    DURATIONS,
    DURATIONS,
    st.fixed_dictionaries(
        {"blocked": several(DURATIONS), "limited": several(DURATIONS), "unknown": several(DURATIONS)}
    ),
    st.builds(lambda first, more, limit: Retry(first, first + more, limit), DURATIONS, DURATIONS, DURATIONS),
    st.builds(
        lambda low, more, window: Flapping(low + more, low, window), st.integers(1, 400), COUNTS, DURATIONS
    ).filter(lambda flapping: flapping.high <= 1000),
    st.builds(MassFailure, SHARES, COUNTS),
    COUNTS,
)
OPTIONS = st.one_of(
    st.just(Destination("console", Console())),
    st.builds(lambda *given: Destination("slack", Slack(*given)), REFERENCES, st.none() | LINES),
    st.builds(
        lambda *given: Destination("webhook", Webhook(*given)),
        REFERENCES | st.just("https://example.com/a"),
        st.none() | REFERENCES,
        st.none() | REFERENCES,
        st.integers(0, 5),
        DURATIONS,
        st.sampled_from(["short", "long"]),
        st.booleans(),
        several(LINES),
    ),
)
ADVICE = st.builds(Advice, LINES | st.just(""), LINES | st.just(""), st.sampled_from(["", "https://example.com/?a#b"]))


@st.composite
def configurations(draw):
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    targets = tuple(
        Target(one, draw(LINES), draw(REFERENCES), draw(LABELS), draw(st.sampled_from([None, "https://example.com"])))
        for one in ids
    )
    destinations = draw(st.dictionaries(IDS, OPTIONS, min_size=1, max_size=3))
    matchers = st.builds(
        Matcher,
        several(st.sampled_from(["BLOCKED", "LIMITED", "SOMETHING_NEW"])),
        several(SEVERITIES),
        several(st.sampled_from(["WABA", "BUSINESS", "SOMETHING_NEW"])),
        several(LINES),
        several(st.sampled_from(["can_send_message", "health_status"])),
        several(st.sampled_from(ids)),
        LABELS,
        several(st.integers(0, 10**9)),
        st.integers(0, 50),
    )
    places = st.lists(st.sampled_from(sorted(destinations)), min_size=1, unique=True).map(tuple)
    return Settings(
        targets,
        destinations,
        draw(st.builds(Source, st.just("https://example.com"), DURATIONS, COUNTS, st.none() | st.floats(0.01, 1e5))),
        draw(several(st.builds(Route, places, matchers, st.booleans(), st.none() | WEEKLY))),
        draw(POLICIES),
        draw(several(st.builds(Window, LINES, WEEKLY, matchers, LINES | st.just("")))),
        draw(several(st.builds(SeverityRule, SEVERITIES, matchers))),
        draw(st.dictionaries(st.integers(0, 10**6) | st.sampled_from(["timeout", "mass_failure"]), ADVICE, max_size=3)),
        draw(
            st.none() | st.builds(Heartbeat, REFERENCES | st.just("https://example.com/1"), st.floats(0, 1), DURATIONS)
        ),
        draw(st.none() | DIGESTS),
        draw(LINES),
        draw(st.integers(1, 36_500)),
    )


def loaded_again(text):
    return load(text, "again", environment={}, destination_kinds=KINDS, resolve=False)


@settings(max_examples=25, deadline=None)
@given(configurations())
def test_what_is_uploaded_and_what_is_shown_load_back_equal(configured):
    shown = yaml.safe_dump(effective(configured), sort_keys=False, allow_unicode=True)

    assert loaded_again(canonical_json(configured)) == configured
    assert loaded_again(shown) == configured


def test_equal_settings_have_the_same_canonical_json(loaded):
    one = loaded("deployment: x\ntargets: [{id: a, api_key: env:A_KEY, labels: {b: '1', a: '2'}}]")
    other = loaded(
        '{"targets": [{"labels": {"a": "2", "b": "1"}, "api_key": "env:A_KEY", "id": "a"}], "deployment": "x"}'
    )

    assert canonical_json(one) == canonical_json(other)
    assert b"\n" not in canonical_json(one)


def test_the_effective_configuration_shows_every_default_and_references_as_they_stand(loaded):
    shown = effective(loaded("targets: [{id: a, api_key: env:A_KEY}]"))

    assert shown["targets"] == [{"id": "a", "name": "a", "api_key": "env:A_KEY"}]
    assert shown["source"] == {
        "base_url": "https://waba-v2.360dialog.io",
        "timeout": "10s",
        "concurrency": 64,
        "requests_per_second": None,
    }
    assert shown["policy"]["reminders"] == {
        "blocked": ["1h", "4h", "1d"],
        "limited": ["7d"],
        "unknown": ["4h", "1d"],
    }
    assert shown["digest"] == {"day": ["mon"], "time": "09:00", "timezone": "UTC"}
    assert json.loads(json.dumps(shown)) == shown


def test_a_hundred_thousand_targets_load(loaded):
    targets = [
        {"id": f"n{i}", "name": f"Number {i}", "api_key": f"ssm:/keys/{i}", "labels": {"team": f"t{i % 9}"}}
        for i in range(100_000)
    ]

    fleet = loaded(json.dumps({"targets": targets}))

    assert len(fleet.targets) == 100_000
    assert fleet.targets[99_999] == Target("n99999", "Number 99999", "ssm:/keys/99999", {"team": "t0"})
