from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.stores.values import at, change, observation, transition


def numbers(transitions):
    return [(one.target, one.seq) for one in transitions]


def test_nothing_is_pending_at_first(store):
    assert store.pending(10) == []
    store.mark_folded([])


def test_a_transition_comes_back_as_it_was(store):
    committed = change("a", seqs=(1, 2))
    store.commit([committed])
    assert store.pending(10) == list(committed.transitions)
    assert store.history("a") == list(reversed(committed.transitions))


def test_the_oldest_is_pending_first_and_each_target_in_its_order(store):
    store.commit([change("b", minutes=3, seqs=(1, 2))])
    store.commit([change("a", minutes=5, seqs=(1,)), change("c", minutes=1, seqs=(1,))])
    store.commit([change("b", version=2, minutes=9, seqs=(3, 4))])
    assert numbers(store.pending(10)) == [("c", 1), ("b", 1), ("b", 2), ("a", 1), ("b", 3), ("b", 4)]


def test_what_is_folded_is_never_pending_again(stores):
    store = stores()
    store.commit([change("a", seqs=(1, 2)), change("b", minutes=1, seqs=(1,))])
    first = [one for one in store.pending(10) if one.target == "a"]
    store.mark_folded(first)
    store.mark_folded(first)
    assert numbers(store.pending(10)) == [("b", 1)]
    assert numbers(stores().pending(10)) == [("b", 1)]


def test_what_is_folded_stays_in_the_history(store):
    store.commit([change("a", seqs=(1,))])
    store.mark_folded(store.pending(10))
    assert numbers(store.history()) == [("a", 1)]


def test_folding_one_of_a_change_loses_none_of_the_others(store):
    store.commit([change("a", seqs=(1, 2, 3))])
    store.mark_folded(store.pending(10)[:1])
    assert {2, 3} <= {one.seq for one in store.pending(10)}


def test_folding_what_was_never_there_changes_nothing(store):
    store.mark_folded([transition("nobody", 1)])
    assert store.pending(10) == []
    assert store.history() == []


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_working_off_a_bit_at_a_time_sees_each_once_and_in_order(store, limit):
    for version in range(1, 4):
        changes = [
            change(name, version, version * 10 + place, (2 * version - 1, 2 * version))
            for place, name in enumerate("abcdefgh")
        ]
        store.commit(changes)
    seen = []
    while batch := store.pending(limit):
        seen += batch
        store.mark_folded(batch)
    assert len(seen) == 48
    assert len(set(numbers(seen))) == 48
    assert [one.at for one in seen] == sorted(one.at for one in seen)
    for name in "abcdefgh":
        assert [one.seq for one in seen if one.target == name] == [1, 2, 3, 4, 5, 6]


def test_many_are_folded_in_one_call(store):
    names = [f"t{position}" for position in range(25)]
    store.commit([change(name, seqs=(1, 2)) for name in names])
    pending = store.pending(1000)
    assert len(pending) == 50
    store.mark_folded(pending)
    store.mark_folded(pending)
    assert store.pending(1000) == []


@pytest.fixture
def told(store):
    """Two targets that moved at 0, 10, 20 and 30 minutes."""
    for step in range(4):
        store.commit([change(name, step + 1, step * 10, (step + 1,)) for name in ("a", "a.b")])
    store.commit([change("a", 5, 40)])
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param({}, [(n, s) for s in (4, 3, 2, 1) for n in ("a.b", "a")], id="everything comes latest first"),
        pytest.param({"target": "a"}, [("a", 4), ("a", 3), ("a", 2), ("a", 1)], id="one target and not its namesake"),
        pytest.param({"limit": 3}, [("a.b", 4), ("a", 4), ("a.b", 3)], id="the limit keeps the latest"),
        pytest.param({"target": "a", "limit": 2}, [("a", 4), ("a", 3)], id="the limit keeps a target's latest"),
        pytest.param({"target": "a", "since": at(10)}, [("a", 4), ("a", 3), ("a", 2)], id="since is included"),
        pytest.param({"target": "a", "until": at(20)}, [("a", 2), ("a", 1)], id="until is left out"),
        pytest.param({"since": at(10), "until": at(20)}, [("a.b", 2), ("a", 2)], id="a span of the fleet"),
        pytest.param({"since": at(31)}, [], id="nothing since then"),
        pytest.param({"target": "nobody"}, [], id="nothing of a target never seen"),
    ],
)
def test_history_is_filtered(told, filters, expected):
    assert numbers(told.history(**filters)) == expected


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
def test_observations_are_filtered(told, filters, minutes):
    assert [one.observed_at for one in told.observations("a", **filters)] == [at(each) for each in minutes]


def test_an_observation_comes_back_as_it_was(told):
    assert told.observations("a", limit=1) == [observation("a", 40)]
