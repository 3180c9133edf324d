"""What is pending, and how it is folded: incidents, their members and the pending changes in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.stores.builders import (
    at,
    change,
    folded,
    incident,
    key,
    later,
    member,
    member_row,
    pending,
    resolved,
)
from wabawatch.application.ports import FoldBatch, Outcome, PendingChange

CONFLICT, WRITTEN = Outcome.CONFLICT, Outcome.WRITTEN

WRITTEN, CONFLICT = Outcome.WRITTEN, Outcome.CONFLICT


def numbers(changes):
    return [(one.target, [each.seq for each in one.transitions]) for one in changes]


def test_nothing_is_pending_at_first(store):
    assert store.pending(10) == []
    assert store.fold(FoldBatch()) is WRITTEN


def test_the_oldest_is_pending_first_and_each_target_in_its_order(store):
    store.commit([change("b", minutes=3, seqs=(1, 2))])
    store.commit([change("a", minutes=5, seqs=(1,)), change("c", minutes=1, seqs=(1,))])
    store.commit([change("b", version=2, minutes=9, seqs=(3, 4))])
    assert numbers(store.pending(10)) == [("c", [1]), ("b", [1, 2]), ("a", [1]), ("b", [3, 4])]
    assert numbers(store.pending(2)) == [("c", [1]), ("b", [1, 2])]


def test_what_is_folded_is_never_pending_again_and_stays_in_the_history(stores):
    store = stores()
    a, b = change("a", seqs=(1, 2)), change("b", minutes=1, seqs=(1,))
    store.commit([a, b])
    assert store.fold(FoldBatch(folded=(folded(a),))) is WRITTEN
    assert store.fold(FoldBatch(folded=(folded(a),))) is WRITTEN
    assert store.pending(10) == [pending(b)]
    assert stores().pending(10) == [pending(b)]
    assert [(one.target, one.seq) for one in store.history()] == [("b", 1), ("a", 2), ("a", 1)]


def test_a_change_that_is_folded_in_part_hands_out_the_rest(store):
    made = change("a", seqs=(1, 2, 3, 4))
    store.commit([made])
    store.fold(FoldBatch(folded=(folded(made, 1),)))
    assert store.pending(10) == [pending(made, after=1)]
    store.fold(FoldBatch(folded=((pending(made, after=1), 3),)))
    assert numbers(store.pending(10)) == [("a", [4])]
    store.fold(FoldBatch(folded=((pending(made, after=3), 4),)))
    assert store.pending(10) == []


def test_who_comes_late_does_not_make_folded_transitions_pending_again(store):
    made = change("a", seqs=(1, 2, 3))
    store.commit([made])
    store.fold(FoldBatch(folded=(folded(made, 2),)))
    store.fold(FoldBatch(folded=(folded(made, 1),)))
    assert numbers(store.pending(10)) == [("a", [3])]


def test_folding_what_is_not_pending_changes_nothing(store):
    assert (
        store.fold(FoldBatch(folded=(folded(change("a", seqs=(1, 2))), folded(change("b", seqs=(1, 2)), 1)))) is WRITTEN
    )
    assert store.pending(10) == []
    assert store.history() == []


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_working_off_a_bit_at_a_time_sees_each_once_and_in_order(store, limit):
    for version in range(1, 4):
        store.commit(
            [
                change(name, version, version * 10 + place, (2 * version - 1, 2 * version))
                for place, name in enumerate("abcdefgh")
            ]
        )
    seen: list[PendingChange] = []
    while batch := store.pending(limit):
        seen += batch
        store.fold(FoldBatch(folded=tuple((one, one.transitions[-1].seq) for one in batch)))
    assert len({(one.target, one.at) for one in seen}) == len(seen) == 24
    assert [one.at for one in seen] == sorted(one.at for one in seen)
    for name in "abcdefgh":
        assert [each.seq for one in seen if one.target == name for each in one.transitions] == [1, 2, 3, 4, 5, 6]


def test_a_fold_writes_incidents_members_and_what_is_folded(stores):
    store = stores()
    known = incident("known", "1")
    store.save_incidents([known])
    a, b = change("a", seqs=(1,)), change("b", minutes=1, seqs=(1, 2))
    store.commit([a, b])
    batch = FoldBatch(
        (later(known), incident("new", "2", members=30)),
        (member_row("new", "a"), member_row("new", "b", 1)),
        (folded(a), folded(b, 1)),
    )
    assert store.fold(batch) is WRITTEN
    other = stores()
    assert other.incident("known").version == 2
    assert other.latest_incidents([key("2")])[key("2")].id == "new"
    assert list(other.members("new")) == [("a", member()), ("b", member(1))]
    assert numbers(other.pending(10)) == [("b", [2])]


STALE = [
    pytest.param(later(incident("known", "1")), id="of a version that is not the next one"),
    pytest.param(incident("known", "1", version=5), id="of a version that skips some"),
    pytest.param(incident("known", "1", generation=3), id="that is new under an id that is taken"),
    pytest.param(incident("other", "1"), id="that is new with the generation of its key's latest"),
    pytest.param(incident("other", "1", 50), id="that is new and opened later, with that generation"),
]


@pytest.mark.parametrize("stale", STALE)
@pytest.mark.parametrize("place", [0, 1])
def test_one_incident_that_conflicts_undoes_the_whole_fold(store, stale, place):
    known = incident("known", "1")
    fine = incident("fine", "2")
    store.save_incidents([known, fine])
    store.save_incidents([later(known)])
    store.fold(FoldBatch(members=(member_row("known", "a"),)))
    a, b = change("a", seqs=(1,)), change("b", seqs=(1, 2))
    store.commit([a, b])
    incidents = [later(fine), incident("new", "3")]
    incidents.insert(place, stale)
    batch = FoldBatch(
        tuple(incidents), (member_row("known", "a", 9, ""), member_row("new", "b")), (folded(a), folded(b, 1))
    )
    assert store.fold(batch) is CONFLICT
    assert store.incidents_by_id(["known", "fine", "new", "other"]) == {"known": later(known), "fine": fine}
    assert store.generations([key("1"), key("2"), key("3")]) == {key("1"): 1, key("2"): 1}
    assert list(store.members("known")) == [("a", member())]
    assert list(store.members("new")) == []
    assert store.pending(10) == [pending(a), pending(b)]


def test_an_incident_may_end_and_its_follower_begin_in_one_fold(store):
    first = incident("first", "1")
    store.save_incidents([first])
    assert store.fold(FoldBatch((resolved(first, 5), incident("second", "1", 6, generation=2)))) is WRITTEN
    assert store.latest_incidents([key("1")])[key("1")].id == "second"
    assert store.incident("first").resolved_at == at(5)


def test_two_new_incidents_of_one_key_in_one_fold_are_both_written_and_the_larger_generation_is_the_latest(store):
    over = resolved(incident("first", "1", version=0), 5)
    assert over.version == 1
    assert store.fold(FoldBatch((over, incident("second", "1", 6, generation=2)))) is WRITTEN
    assert store.latest_incidents([key("1")])[key("1")].id == "second"
    assert store.generations([key("1")]) == {key("1"): 2}
    assert set(store.incidents_by_id(["first", "second"])) == {"first", "second"}


def test_a_batch_of_as_many_rows_as_the_limit_is_written_whole(store):
    half = (store.fold_limit - 3) // 2
    changes = [change(f"t{position:05}", seqs=(1,)) for position in range(half)]
    store.commit(changes)
    rows = tuple(member_row("i", f"t{position:05}") for position in range(half))
    assert store.fold(FoldBatch((incident("i", members=half),), rows, tuple(folded(one) for one in changes))) is WRITTEN
    assert store.pending(10) == []
    assert sum(1 for _ in store.members("i")) == half


def add_members(store, incident_id, count):
    """Write members in as few folds as the store allows."""
    rows = [member_row(incident_id, f"t{position:05}", position) for position in range(count)]
    for start in range(0, count, store.fold_limit):
        assert store.fold(FoldBatch(members=tuple(rows[start : start + store.fold_limit]))) is WRITTEN
    return [(row.target, row.member) for row in rows]


def test_5000_members_come_by_target_and_are_read_while_others_are_written(stores):
    store = stores()
    added = add_members(store, "i", 5000)
    add_members(store, "j", 3)
    rows = store.members("i")
    assert next(rows) == added[0]
    stores().fold(FoldBatch(members=(member_row("k", "x"),)))
    assert list(rows) == added[1:]
    assert [target for target, _ in store.members("j")] == ["t00000", "t00001", "t00002"]
    assert list(store.members("nothing")) == []


def test_a_members_part_is_replaced(store):
    add_members(store, "i", 3)
    store.fold(FoldBatch(members=(member_row("i", "t00001", 9, ""), member_row("i", "t00002", 9, "LIMITED"))))
    assert list(store.members("i")) == [
        ("t00000", member()),
        ("t00001", member(9, "")),
        ("t00002", member(9, "LIMITED")),
    ]


def test_members_of_some_targets_in_some_incidents(store):
    added = dict(add_members(store, "i", 300))
    add_members(store, "j", 2)
    asked = [("i", f"t{position:05}") for position in range(100, 320)] + [("j", "t00001"), ("k", "t00001")]
    expected = {("i", target): added[target] for target in sorted(added) if target >= "t00100"}
    assert store.members_of(asked) == {**expected, ("j", "t00001"): member(1)}
    assert store.members_of([]) == {}


def test_a_change_that_is_set_aside_is_not_pending_any_more_and_stays_in_the_history(stores):
    store = stores()
    begun = datetime.now(UTC)
    bad, good = change("bad", seqs=(1, 2)), change("good", seqs=(1,))
    store.commit([bad, good])
    store.set_aside_change(pending(bad), "folding it failed with ValueError")
    assert store.pending(10) == [pending(good)]
    assert {(one.target, one.seq) for one in store.history()} == {("bad", 1), ("bad", 2), ("good", 1)}
    (kept,) = stores().set_aside(begun)
    assert (kept.kind, kept.error) == ("pending change", "folding it failed with ValueError")
    assert "bad" in kept.name
    assert begun - timedelta(seconds=1) <= kept.at <= datetime.now(UTC)


def test_what_was_set_aside_comes_the_latest_first_100_at_most_and_since_an_instant(store):
    changes = [change(f"t{position:03}", seqs=(1,)) for position in range(105)]
    store.commit(changes)
    for one in changes:
        store.set_aside_change(pending(one), "no")
    kept = store.set_aside(at(0))
    assert len(kept) == 100
    assert [one.at for one in kept] == sorted((one.at for one in kept), reverse=True)
    assert "t104" in kept[0].name
    assert store.set_aside(kept[0].at + timedelta(seconds=1)) == []
    assert [one.name for one in store.set_aside(kept[0].at)][:1] == [kept[0].name]


def test_a_notify_that_was_overtaken_folds_nothing_twice(stores):
    """It read what is pending before another notify folded it, and the incidents after that."""
    store, other = stores(), stores()
    store.commit([change("a", seqs=(1, 2))])
    (stale,) = store.pending(10)
    first = incident("i")
    other.fold(FoldBatch((first,), folded=((stale, 1),)))
    assert store.fold(FoldBatch((later(first),), folded=((stale, 1),))) is CONFLICT
    assert store.fold(FoldBatch((later(first),), folded=((stale, 2),))) is CONFLICT
    assert store.fold(FoldBatch(folded=((stale, 1),))) is WRITTEN
    (left,) = store.pending(10)
    assert [one.seq for one in left.transitions] == [2]
    assert store.fold(FoldBatch((later(first),), folded=((left, 2),))) is WRITTEN
    assert store.pending(10) == []
