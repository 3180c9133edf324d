"""One row that can't be decoded is set aside: what else was asked for comes, and the row is read no more."""

from __future__ import annotations

from datetime import date

import pytest

from tests.contract.stores.builders import (
    acknowledgement,
    at,
    change,
    coverage,
    day,
    incident,
    key,
    member_row,
    queued,
    resolved,
    run,
    silence,
)
from wabawatch.application.ports import FoldBatch
from wabawatch.errors import SchemaError

MARCH = (date(2026, 3, 1), date(2026, 4, 1))


def commit_changes(store):
    store.commit([change("bad", minutes=0, seqs=(1,)), change("good", minutes=1, seqs=(1,))])


def save_incidents(store):
    store.save_incidents([incident("bad", "bad", due_at=at(1)), incident("good", "good", due_at=at(2))])


def save_done_incidents(store):
    save_incidents(store)
    store.save_incidents([resolved(store.incident(each), 5) for each in ("bad", "good")])


def save_runs(store):
    for each in (run("good"), run("bad", 1)):
        store.save_run(each)


def save_coverages(store):
    for shard in (3, 7):
        store.save_coverage(coverage(shard, 8))


def save_days(store):
    for shard in (3, 7):
        store.save_day(day(1, shard, 8))


def save_silences(store):
    for each in ("bad", "good"):
        store.save_silence(silence(each))


def acknowledge(store):
    for each in ("bad", "good"):
        store.save_acknowledgement(acknowledgement(each))


def fold_members(store):
    store.fold(FoldBatch(members=(member_row("i", "bad"), member_row("i", "good"))))


def ids(values):
    return [one.id for one in values]


READS = {
    "pending": ("pending change", "bad", commit_changes, lambda store: [one.target for one in store.pending(1)]),
    "history": ("transitions", "bad", commit_changes, lambda store: [one.target for one in store.history()]),
    "a target's history": ("transitions", "bad", commit_changes, lambda store: ["good", *store.history("bad")]),
    "observations": ("observation", "bad", commit_changes, lambda store: ["good", *store.observations("bad")]),
    "open incidents": ("incident", "bad", save_incidents, lambda store: ids(store.open_incidents("", 1))),
    "due incidents": ("incident", "bad", save_incidents, lambda store: ids(store.due_incidents(at(9), 1))),
    "incidents by id": ("incident", "bad", save_incidents, lambda store: list(store.incidents_by_id(["bad", "good"]))),
    "an incident": ("incident", "bad", save_incidents, lambda store: ["good"] if store.incident("bad") is None else []),
    "listed incidents": ("incident", "bad", save_incidents, lambda store: ids(store.incidents(2))),
    "done incidents": ("incident", "bad", save_done_incidents, lambda store: ids(store.incidents(2))),
    "latest incidents": (
        "incident", "bad", save_incidents,
        lambda store: ids(store.latest_incidents([key("bad"), key("good")]).values()),
    ),
    "members": ("member", "bad", fold_members, lambda store: [target for target, _ in store.members("i")]),
    "members of": (
        "member", "bad", fold_members,
        lambda store: [target for _, target in store.members_of([("i", "bad"), ("i", "good")])],
    ),
    "queued": (
        "queued notification", "bad", lambda store: store.queue([queued("bad"), queued("good")]),
        lambda store: ids(store.queued()),
    ),
    "silences": ("silence", "bad", save_silences, lambda store: ids(store.silences())),
    "acknowledgements": ("acknowledgement", "bad", acknowledge, lambda store: list(store.acknowledgements())),
    "runs": ("run", "bad", save_runs, lambda store: ids(store.runs(1))),
    "coverages": ("shard coverage", "7", save_coverages, lambda store: ["good" for one in store.coverages()]),
    "days": ("day coverage", "7", save_days, lambda store: ["good" for one in store.days(*MARCH)]),
}  # fmt: skip
"""For each read: the kind and the name of the row to damage, what to store, and the names that come back."""


@pytest.mark.parametrize("read", READS)
def test_a_damaged_row_is_set_aside_and_the_others_come(stores, damage, read):
    store = stores()
    kind, name, fill, names = READS[read]
    fill(store)
    damage(kind, name)
    assert names(store) == ["good"]
    (kept,) = store.set_aside(at(0))
    assert kept.kind == kind
    assert name in kept.name
    assert "cannot be read" in kept.error
    assert names(stores()) == ["good"]
    assert store.set_aside(at(0)) == [kept]


@pytest.mark.parametrize("read", READS)
def test_a_row_of_a_later_format_is_left_in_its_place_and_stops_the_work(store, damage, read):
    kind, name, fill, names = READS[read]
    fill(store)
    damage(kind, name, b"\x02\x90")
    for _ in range(2):
        with pytest.raises(SchemaError, match=r"format 2.*upgrade Wabawatch"):
            names(store)
    assert store.set_aside(at(0)) == []


def test_a_snapshot_of_a_later_format_stops_the_work(store, damage):
    commit_changes(store)
    damage("snapshot", "bad", b"\x02\x90")
    with pytest.raises(SchemaError, match=r"format 2.*upgrade Wabawatch"):
        store.snapshots(["bad", "good"])
    with pytest.raises(SchemaError, match=r"format 2.*upgrade Wabawatch"):
        list(store.every_snapshot())


def test_many_damaged_rows_leave_no_gap_within_a_limit(store, damage):
    names = [f"t{position:02}" for position in range(12)]
    store.commit([change(name, minutes=place, seqs=(1,)) for place, name in enumerate(names)])
    for name in (*names[:3], *names[5:9]):
        damage("pending change", name)
    assert [one.target for one in store.pending(3)] == ["t03", "t04", "t09"]
    assert [one.target for one in store.pending(10)] == ["t03", "t04", "t09", "t10", "t11"]
    assert {one.kind for one in store.set_aside(at(0))} == {"pending change"}


def test_the_transitions_of_a_reading_outlive_its_damaged_observation(store, damage):
    commit_changes(store)
    damage("observation", "bad")
    assert store.observations("bad") == []
    assert [one.target for one in store.history("bad")] == ["bad"]


def test_a_reading_outlives_its_damaged_transitions(store, damage):
    commit_changes(store)
    damage("transitions", "bad")
    assert store.history("bad") == []
    assert len(store.observations("bad")) == 1
    assert [one.target for one in store.pending(10)] == ["bad", "good"]
