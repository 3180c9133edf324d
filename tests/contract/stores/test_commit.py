from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
import pytest

from tests.contract.stores.builders import at, change, pending, snapshot
from wabawatch.application.ports import Outcome
from wabawatch.domain.snapshot import Snapshot

WRITTEN, CONFLICT, REFUSED = Outcome.WRITTEN, Outcome.CONFLICT, Outcome.REFUSED


def numbers(changes):
    """(target, number) of every pending transition."""
    return [(one.target, each.seq) for one in changes for each in one.transitions]


def test_a_target_never_seen_has_no_snapshot(store):
    assert store.snapshots(["nobody"]) == {}
    assert list(store.every_snapshot()) == []


def test_a_first_commit_is_found_again(store):
    made = change("a", seqs=(1, 2))
    assert store.commit([made]) == [WRITTEN]
    assert store.snapshots(["a", "b"]) == {"a": snapshot("a", 1, 2, status="BLOCKED")}
    assert store.pending(10) == [pending(made)]
    assert store.history("a") == list(reversed(made.transitions))
    assert store.observations("a") == [made.observation]


def test_a_change_without_transitions_leaves_nothing_pending(store):
    store.commit([change("a")])
    assert store.pending(10) == []
    assert store.history() == []
    assert len(store.observations("a")) == 1


def test_nothing_to_commit_is_no_trouble(store):
    assert store.commit([]) == []


def test_each_version_follows_the_one_before(store):
    assert store.commit([change("a")]) == [WRITTEN]
    assert store.commit([change("a", version=2, minutes=5, seqs=(1,))]) == [WRITTEN]
    assert store.snapshots(["a"])["a"].version == 2


def test_the_loser_of_a_race_writes_nothing(stores):
    winner, loser = stores(), stores()
    assert winner.commit([change("a", minutes=1, seqs=(1,))]) == [WRITTEN]
    assert loser.commit([change("a", minutes=2, seqs=(1, 2, 3))]) == [CONFLICT]
    assert winner.snapshots(["a"])["a"].seq == 1
    assert numbers(winner.pending(10)) == [("a", 1)]
    assert [one.seq for one in winner.history()] == [1]
    assert len(winner.observations("a")) == 1


def test_a_version_that_skips_one_is_a_conflict(store):
    store.commit([change("a")])
    assert store.commit([change("a", version=3, minutes=5, seqs=(1,))]) == [CONFLICT]
    assert store.pending(10) == []


def test_a_later_version_of_an_unknown_target_is_a_conflict(store):
    assert store.commit([change("a", version=2)]) == [CONFLICT]
    assert list(store.every_snapshot()) == []


def test_one_that_loses_does_not_fail_the_others_of_its_group(store):
    store.commit([change("b", minutes=1, seqs=(1,))])
    group = [change(target, minutes=2, seqs=(1, 2)) for target in ("a", "b", "c")]
    assert store.commit(group) == [WRITTEN, CONFLICT, WRITTEN]
    assert {name: found.seq for name, found in store.snapshots(["a", "b", "c"]).items()} == {"a": 2, "b": 1, "c": 2}
    assert sorted(numbers(store.pending(10))) == [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("c", 2)]


def test_two_that_move_the_same_targets_share_the_wins(stores):
    one, other = stores(), stores()
    assert one.commit([change("a"), change("b")]) == [WRITTEN, WRITTEN]
    assert one.commit([change("a", version=2, minutes=1, seqs=(1,))]) == [WRITTEN]
    mixed = [change("a", version=2, minutes=2, seqs=(1,)), change("b", version=2, minutes=2, seqs=(1,))]
    assert other.commit(mixed) == [CONFLICT, WRITTEN]
    assert one.commit(mixed) == [CONFLICT, CONFLICT]
    assert len(one.pending(10)) == 2


def test_two_changes_of_one_target_land_in_their_order(store):
    both = [change("a", version=1, seqs=(1,)), change("b"), change("a", version=2, minutes=1, seqs=(2,))]
    assert store.commit(both) == [WRITTEN] * 3
    assert store.snapshots(["a"])["a"].version == 2
    assert numbers(store.pending(10)) == [("a", 1), ("a", 2)]


def test_more_changes_than_a_transaction_takes_go_in_one_call(store):
    names = [f"t{position:02}" for position in range(60)]
    assert store.commit([change(name, seqs=(1,)) for name in names]) == [WRITTEN] * 60
    assert set(store.snapshots(names)) == set(names)
    assert store.commit([change(name, seqs=(1,)) for name in names[55:]]) == [CONFLICT] * 5
    assert sorted(found.target for found in store.every_snapshot()) == names


def test_a_target_with_very_many_transitions_is_committed_whole(store):
    assert store.commit([change("a", seqs=tuple(range(1, 301)))]) == [WRITTEN]
    assert numbers(store.pending(1000)) == [("a", seq) for seq in range(1, 301)]
    assert len(store.history(limit=1000)) == 300


def noise(size):
    """Text that does not shrink."""
    blocks = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(size // 64))
    return "".join(blocks)


def test_a_change_that_the_store_can_hold_or_not_stops_no_other(store):
    """A snapshot of 4 MB: a table refuses it, a file does not. What was refused left nothing behind."""
    huge = change("huge", seqs=(1,))
    huge = msgspec.structs.replace(
        huge, snapshot=msgspec.structs.replace(huge.snapshot, contradictions=(noise(4_000_000),))
    )
    outcomes = store.commit([change("a", seqs=(1,)), huge, change("z", seqs=(1,))])
    assert outcomes[0] is outcomes[2] is WRITTEN
    assert outcomes[1] in {WRITTEN, REFUSED}
    there = ["huge"] if outcomes[1] is WRITTEN else []
    assert list(store.snapshots(["huge"])) == there
    assert [one.target for one in store.pending(10) if one.target == "huge"] == there
    assert [one.target for one in store.history("huge")] == there
    assert [one.target for one in store.observations("huge")] == there


def test_snapshots_of_some_of_many_leave_the_others_out(store):
    names = [f"t{position:03}" for position in range(70)]
    store.commit([change(name) for name in names])
    assert set(store.snapshots(names[10:50])) == set(names[10:50])
    assert set(store.snapshots([*names[:3], "unknown"])) == set(names[:3])
    assert store.snapshots([]) == {}


def test_every_snapshot_comes_once_though_others_are_written_meanwhile(stores):
    store, other = stores(), stores()
    names = [f"t{position:04}" for position in range(2500)]
    store.commit([change(name) for name in names])
    snapshots = store.every_snapshot()
    assert isinstance(snapshots, Iterator)
    first = next(snapshots)
    assert other.commit([change(name, 2, 5) for name in (names[0], names[-1])]) == [WRITTEN, WRITTEN]
    assert sorted(one.target for one in (first, *snapshots)) == names


def test_the_monitors_own_names_are_names_like_others(store):
    assert store.commit([change("~sight.0-1", seqs=(1,))]) == [WRITTEN]
    assert store.snapshots(["~sight.0-1"])["~sight.0-1"].seq == 1
    assert len(store.history("~sight.0-1")) == 1


def test_a_snapshot_that_has_nothing_left_is_still_one(store):
    store.commit([change("a")])
    gone = change("a", version=2, minutes=1)
    emptied = type(gone)(Snapshot("a", 2, 4, gone.snapshot.observed_at), (), gone.observation)
    assert store.commit([emptied]) == [WRITTEN]
    assert store.snapshots(["a"])["a"] == emptied.snapshot


@pytest.mark.parametrize("body", [b"\x01\xc1", b"\x81" + bytes(range(200)), b"\x01"], ids=["msgpack", "deflate", "cut"])
def test_a_damaged_snapshot_is_reset_with_its_version_and_number(store, damage, body):
    store.commit([change("a"), change("b")])
    store.commit([change("a", 2, 5, (1, 2, 3))])
    damage("snapshot", "a", body)
    reset = Snapshot("a", 2, 3, is_reset=True)
    assert store.snapshots(["a", "b"]) == {"a": reset, "b": snapshot("b")}
    assert sorted(store.every_snapshot(), key=lambda one: one.target) == [reset, snapshot("b")]
    assert [(one.kind, one.name) for one in store.set_aside(at(0))] == [("snapshot", "a")]


def test_the_next_version_replaces_a_damaged_snapshot(store, damage):
    store.commit([change("a", seqs=(1,))])
    damage("snapshot", "a")
    assert store.snapshots(["a"])["a"].is_reset
    assert store.commit([change("a", 1, 5, (2,))]) == [CONFLICT]
    following = change("a", 2, 5, (2,))
    assert store.commit([following]) == [WRITTEN]
    assert store.snapshots(["a"]) == {"a": following.snapshot}
    assert len(store.set_aside(at(0))) == 1
