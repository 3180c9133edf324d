from __future__ import annotations

from datetime import date

import pytest

from tests.contract.stores.builders import (
    acknowledgement,
    at,
    change,
    coverage,
    day,
    folded,
    incident,
    key,
    member_row,
    queued,
    resolved,
    run,
    silence,
)
from wabawatch.application.ports import FoldBatch


@pytest.fixture
def old(store):
    """Something of every kind from before minute 100, and something from after it."""
    first = change("a", seqs=(1,))
    store.commit([first, change("b", seqs=(1, 2))])
    store.fold(FoldBatch(folded=(folded(first),)))
    store.commit([change("a", 2, 200, (2,))])
    store.save_run(run("old"))
    store.save_run(run("new", 200))
    done, waiting, young = incident("done", "1"), incident("waiting", "2"), incident("young", "3")
    store.save_incidents([done, waiting, young, incident("open", "4")])
    store.save_incidents([resolved(done, 50), resolved(waiting, 50, due_at=at(300)), resolved(young, 150)])
    store.fold(FoldBatch(members=tuple(member_row(name, "a") for name in ("done", "waiting", "young", "open"))))
    store.queue([queued("n")])
    store.save_coverage(coverage())
    store.save_day(day(1))
    for each in (silence("ended", 60), silence("permanent", 500)):
        store.save_silence(each)
    for name in ("done", "open"):
        store.save_acknowledgement(acknowledgement(name))
    store.save_document("config", b"kept")
    return store


def test_purging_keeps_what_must_stay(old):
    old.purge(at(100))
    assert set(old.snapshots(["a", "b"])) == {"a", "b"}
    pending = {(one.target, each.seq) for one in old.pending(10) for each in one.transitions}
    assert pending == {("b", 1), ("b", 2), ("a", 2)}
    assert [one.id for one in old.open_incidents()] == ["open", "waiting"]
    assert old.incident("young") is not None
    for name in ("waiting", "young", "open"):
        assert [target for target, _ in old.members(name)] == ["a"]
    assert old.generations([key(str(number)) for number in range(1, 5)]) == {key(str(n)): 1 for n in range(1, 5)}
    assert [one.id for one in old.queued()] == ["n"]
    assert old.coverages() == [coverage()]
    assert old.days(date(2026, 3, 1), date(2026, 3, 2)) == [day(1)]
    assert ("a", 2) in {(one.target, one.seq) for one in old.history()}
    assert old.observations("a")[0].observed_at == at(200)
    assert "permanent" in {one.id for one in old.silences()}
    assert "open" in old.acknowledgements()
    assert "new" in {one.id for one in old.runs(10)}
    assert old.document("config") == b"kept"


def test_purging_twice_forgets_no_more(old):
    old.purge(at(100))
    assert old.purge(at(100)) == 0
