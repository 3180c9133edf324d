from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.stores.builders import at, change, observation


def numbers(transitions):
    return [(one.target, one.seq) for one in transitions]


@pytest.fixture
def notified(store):
    """Two targets that moved at 0, 10, 20 and 30 minutes, the last time twice."""
    for step in range(3):
        store.commit([change(name, step + 1, step * 10, (step + 1,)) for name in ("a", "a.b")])
    store.commit([change(name, 4, 30, (4, 5)) for name in ("a", "a.b")])
    store.commit([change("a", 5, 40)])
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param(
            {}, [(n, s) for r in ((5, 4), (3,), (2,), (1,)) for n in ("a.b", "a") for s in r], id="latest first"
        ),
        pytest.param({"target": "a"}, [("a", s) for s in (5, 4, 3, 2, 1)], id="one target and not its namesake"),
        pytest.param({"limit": 3}, [("a.b", 5), ("a.b", 4), ("a", 5)], id="the limit counts transitions"),
        pytest.param({"target": "a", "limit": 3}, [("a", 5), ("a", 4), ("a", 3)], id="the limit keeps the latest"),
        pytest.param({"target": "a", "since": at(20)}, [("a", 5), ("a", 4), ("a", 3)], id="since is included"),
        pytest.param({"target": "a", "until": at(20)}, [("a", 2), ("a", 1)], id="until is left out"),
        pytest.param({"since": at(10), "until": at(20)}, [("a.b", 2), ("a", 2)], id="a span of the fleet"),
        pytest.param({"since": at(31)}, [], id="nothing since then"),
        pytest.param({"target": "nobody"}, [], id="nothing of a target never seen"),
    ],
)
def test_history_is_filtered(notified, filters, expected):
    assert numbers(notified.history(**filters)) == expected


@pytest.mark.parametrize(
    ("filters", "minutes"),
    [
        pytest.param({}, [40, 30, 20, 10, 0], id="every reading that changed something"),
        pytest.param({"limit": 2}, [40, 30], id="the latest of them"),
        pytest.param({"since": at(20)}, [40, 30, 20], id="since is included"),
        pytest.param({"until": at(10)}, [0], id="until is left out"),
        pytest.param({"since": at(10), "until": at(10) + timedelta(microseconds=1)}, [10], id="to the microsecond"),
    ],
)
def test_observations_are_filtered(notified, filters, minutes):
    assert [one.observed_at for one in notified.observations("a", **filters)] == [at(each) for each in minutes]


def test_an_observation_comes_back_as_it_was(notified):
    assert notified.observations("a", limit=1) == [observation("a", 40)]


def test_transitions_are_found_among_many_readings_that_made_none(store):
    store.commit([change("a", 1, 0, (1,))])
    for step in range(1, 130):
        store.commit([change("a", step + 1, step)])
    assert numbers(store.history(limit=1)) == [("a", 1)]
    assert numbers(store.history("a", limit=1)) == [("a", 1)]


def test_history_goes_back_over_many_months(store):
    for step in range(6):
        store.commit([change("a", step + 1, step * 60 * 24 * 45, (step + 1,))])
    assert numbers(store.history()) == [("a", seq) for seq in range(6, 0, -1)]
    assert len(store.observations("a")) == 6
