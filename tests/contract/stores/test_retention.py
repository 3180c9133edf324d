from __future__ import annotations

import pytest

from tests.contract.stores.values import acknowledgement, at, change, incident, resolved, run, silence


@pytest.fixture
def old(store):
    """Something of every kind from before minute 100, and something from after it."""
    store.commit([change("a", seqs=(1,)), change("b", seqs=(1,))])
    store.mark_folded([one for one in store.pending(10) if one.target == "a"])
    store.commit([change("a", 2, 200, (2,))])
    store.save_run(run("old"))
    store.save_run(run("new", 200))
    done, waiting, young = incident("done", "1"), incident("waiting", "2"), incident("young", "3")
    store.save_incidents([done, waiting, young, incident("open", "4")])
    store.save_incidents([resolved(done, 50), resolved(waiting, 50, due_at=at(300)), resolved(young, 150)])
    for each in (silence("ended", 60), silence("lasting", 500)):
        store.save_silence(each)
    for name in ("done", "open"):
        store.save_acknowledgement(acknowledgement(name))
    store.save_document("config", b"kept")
    return store


def test_purging_keeps_what_must_stay(old):
    old.purge(at(100))
    assert set(old.snapshots(["a", "b"])) == {"a", "b"}
    assert {(one.target, one.seq) for one in old.pending(10)} == {("b", 1), ("a", 2)}
    assert [one.id for one in old.open_incidents()] == ["open", "waiting"]
    assert old.incident("young") is not None
    assert ("a", 2) in {(one.target, one.seq) for one in old.history()}
    assert old.observations("a")[0].observed_at == at(200)
    assert "lasting" in {one.id for one in old.silences()}
    assert "open" in old.acknowledgements()
    assert "new" in {one.id for one in old.runs(10)}
    assert old.document("config") == b"kept"


def test_purging_twice_forgets_no_more(old):
    old.purge(at(100))
    assert old.purge(at(100)) == 0
