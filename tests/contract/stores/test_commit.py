from __future__ import annotations

from tests.contract.stores.values import change, snapshot
from wabawatch.domain.transitions import Snapshot


def test_a_target_never_seen_has_no_snapshot(store):
    assert store.snapshots(["nobody"]) == {}


def test_a_first_commit_is_found_again(store):
    assert store.commit([change("a", seqs=(1, 2))]) == [True]
    assert store.snapshots(["a", "b"]) == {"a": snapshot("a", 1, 2, status="BLOCKED")}


def test_nothing_to_commit_is_no_trouble(store):
    assert store.commit([]) == []


def test_each_version_follows_the_one_before(store):
    assert store.commit([change("a")]) == [True]
    assert store.commit([change("a", version=2, minutes=5, seqs=(1,))]) == [True]
    assert store.snapshots(["a"])["a"].version == 2


def test_the_loser_of_a_race_writes_nothing(stores):
    winner, loser = stores(), stores()
    assert winner.commit([change("a", minutes=1, seqs=(1,))]) == [True]
    assert loser.commit([change("a", minutes=2, seqs=(1, 2, 3))]) == [False]
    assert winner.snapshots(["a"])["a"].seq == 1
    assert [one.seq for one in winner.pending(10)] == [1]
    assert [one.seq for one in winner.history()] == [1]
    assert len(winner.observations("a")) == 1


def test_a_version_that_skips_one_is_refused(store):
    store.commit([change("a")])
    assert store.commit([change("a", version=3, minutes=5, seqs=(1,))]) == [False]
    assert store.pending(10) == []


def test_a_later_version_of_an_unknown_target_is_refused(store):
    assert store.commit([change("a", version=2)]) == [False]
    assert store.every_snapshot() == []


def test_one_that_loses_does_not_fail_the_others_of_its_group(store):
    store.commit([change("b", minutes=1, seqs=(1,))])
    group = [change(target, minutes=2, seqs=(1, 2)) for target in ("a", "b", "c")]
    assert store.commit(group) == [True, False, True]
    assert {name: found.seq for name, found in store.snapshots(["a", "b", "c"]).items()} == {"a": 2, "b": 1, "c": 2}
    assert sorted((one.target, one.seq) for one in store.pending(10)) == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("c", 1),
        ("c", 2),
    ]


def test_two_that_move_the_same_targets_share_the_wins(stores):
    one, other = stores(), stores()
    assert one.commit([change("a"), change("b")]) == [True, True]
    assert one.commit([change("a", version=2, minutes=1, seqs=(1,))]) == [True]
    mixed = [change("a", version=2, minutes=2, seqs=(1,)), change("b", version=2, minutes=2, seqs=(1,))]
    assert other.commit(mixed) == [False, True]
    assert one.commit(mixed) == [False, False]
    assert len(one.pending(10)) == 2


def test_two_changes_of_one_target_land_in_their_order(store):
    both = [change("a", version=1, seqs=(1,)), change("b"), change("a", version=2, minutes=1, seqs=(2,))]
    assert store.commit(both) == [True, True, True]
    assert store.snapshots(["a"])["a"].version == 2
    assert [one.seq for one in store.pending(10)] == [1, 2]


def test_more_changes_than_a_transaction_takes_go_in_one_call(store):
    names = [f"t{position}" for position in range(60)]
    assert store.commit([change(name, seqs=(1,)) for name in names]) == [True] * 60
    assert set(store.snapshots(names)) == set(names)
    assert store.commit([change(name, seqs=(1,)) for name in names[55:]]) == [False] * 5
    assert {found.target for found in store.every_snapshot()} == set(names)


def test_a_target_with_very_many_transitions_is_committed_whole(store):
    assert store.commit([change("a", seqs=tuple(range(1, 301)))]) == [True]
    assert [one.seq for one in store.pending(1000)] == list(range(1, 301))


def test_snapshots_of_some_of_many_leave_the_others_out(store):
    names = [f"t{position:03}" for position in range(70)]
    store.commit([change(name) for name in names])
    assert set(store.snapshots(names[10:50])) == set(names[10:50])
    assert set(store.snapshots([*names[:3], "unknown"])) == set(names[:3])
    assert store.snapshots([]) == {}


def test_the_monitors_own_names_are_names_like_others(store):
    assert store.commit([change("~sight.0-1", seqs=(1,))]) == [True]
    assert store.snapshots(["~sight.0-1"])["~sight.0-1"].seq == 1
    assert len(store.history("~sight.0-1")) == 1


def test_a_snapshot_that_has_nothing_left_is_still_one(store):
    store.commit([change("a")])
    gone = change("a", version=2, minutes=1)
    emptied = type(gone)(Snapshot("a", 2, 4, gone.snapshot.observed_at), (), gone.observation)
    assert store.commit([emptied]) == [True]
    assert store.snapshots(["a"])["a"] == emptied.snapshot
