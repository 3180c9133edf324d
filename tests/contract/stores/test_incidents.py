from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from tests.contract.stores.builders import at, change, folded, incident, key, later, resolved
from wabawatch.application.ports import FoldBatch, Outcome
from wabawatch.domain.incident import Change, Key, NotificationState

WRITTEN, CONFLICT = Outcome.WRITTEN, Outcome.CONFLICT


def ids(incidents):
    return [one.id for one in incidents]


def test_an_incident_comes_back_as_it_was(store):
    notified = NotificationState(
        "BLOCKED", 1, ("141006",), 3, at(1), at(0), count=1, thread={"ts": "1.2"}, last_id="n-1"
    )
    saved = incident(
        "i",
        members=3,
        notification_log={"ops": notified},
        changes=(Change(at(0), "BLOCKED", 3, ("141006",)),),
        recovered=2,
    )
    assert store.save_incidents([saved]) == [WRITTEN]
    assert store.incident("i") == saved
    assert list(store.incident("i").named) == list(saved.named)


def test_an_unknown_incident_is_none(store):
    assert store.incident("nothing") is None
    assert store.incidents_by_id(["nothing"]) == {}
    assert store.incidents_by_id([]) == {}
    assert store.latest_incidents([]) == {}
    assert store.latest_incidents([key()]) == {}
    assert store.generations([key()]) == {}
    assert store.save_incidents([]) == []


def test_the_same_new_incident_twice_is_a_conflict(stores):
    assert stores().save_incidents([incident("i")]) == [WRITTEN]
    assert stores().save_incidents([incident("i", members=2, generation=2)]) == [CONFLICT]
    assert stores().incident("i").affected == 1
    assert stores().generations([key()]) == {key(): 1}


def test_an_incident_is_written_only_upon_the_version_before(store):
    first = incident("i")
    second = later(first, status="LIMITED")
    assert store.save_incidents([second]) == [CONFLICT]
    assert store.save_incidents([first]) == [WRITTEN]
    assert store.save_incidents([second]) == [WRITTEN]
    assert store.save_incidents([second]) == [CONFLICT]
    assert store.save_incidents([later(first, status="UNKNOWN")]) == [CONFLICT]
    assert store.incident("i") == second


def test_each_incident_of_a_call_is_written_or_not_by_itself(store):
    kept = incident("kept", "1")
    store.save_incidents([kept, incident("moved", "2")])
    outcomes = store.save_incidents(
        [later(later(kept)), incident("new", "3"), later(incident("moved", "2")), incident("kept", "1")]
    )
    assert outcomes == [CONFLICT, WRITTEN, WRITTEN, CONFLICT]
    assert store.incident("kept").version == 1
    assert store.incident("moved").version == 2
    assert set(ids(store.incidents(10))) == {"kept", "moved", "new"}


def test_many_are_saved_in_one_call(store):
    many = [incident(f"i{position:02}", str(position)) for position in range(60)]
    assert store.save_incidents(many) == [WRITTEN] * 60
    assert store.save_incidents([later(one) for one in many]) == [WRITTEN] * 60
    assert store.save_incidents([later(one) for one in many[:3]]) == [CONFLICT] * 3
    assert len(store.latest_incidents([one.key for one in many])) == 60
    assert len(store.generations([one.key for one in many])) == 60
    assert len(store.open_incidents()) == 60


def test_incidents_are_found_by_their_ids_open_or_done(store):
    many = [incident(f"i{position:03}", str(position)) for position in range(120)]
    store.save_incidents(many)
    done = [resolved(one, 5) for one in many[:40]]
    store.save_incidents(done)
    asked = [*ids(many), "nothing"]
    assert store.incidents_by_id(asked) == {one.id: one for one in (*done, *many[40:])}


def test_the_latest_of_a_key_is_found_open_or_resolved(store):
    old = incident("old", minutes=0)
    store.save_incidents([old])
    store.save_incidents([resolved(old, 5)])
    assert store.latest_incidents([key()])[key()].id == "old"
    store.save_incidents([incident("new", minutes=10, generation=2), incident("other", "2", minutes=20)])
    found = store.latest_incidents([key("1"), key("2"), key("3")])
    assert {each.entity_id: one.id for each, one in found.items()} == {"1": "new", "2": "other"}


def test_the_generation_decides_which_incident_is_the_latest_and_not_the_time(store):
    """Its streak began earlier, or the clock was set back."""
    store.save_incidents([incident("first", minutes=100)])
    assert store.save_incidents([incident("second", minutes=3, generation=2)]) == [WRITTEN]
    assert store.latest_incidents([key()])[key()].id == "second"
    second = store.incident("second")
    assert store.save_incidents([resolved(second, 4)]) == [WRITTEN]
    assert store.latest_incidents([key()])[key()] == resolved(second, 4)
    assert store.fold(FoldBatch((incident("third", minutes=1, generation=3),))) is WRITTEN
    assert store.latest_incidents([key()])[key()].id == "third"


@pytest.mark.parametrize("generation", [1, 4, 5])
def test_a_new_incident_of_a_generation_that_is_not_larger_conflicts(store, generation):
    store.save_incidents([incident("known", minutes=0, generation=5)])
    stale = incident("stale", minutes=50, generation=generation)
    assert store.save_incidents([stale]) == [CONFLICT]
    assert store.fold(FoldBatch((stale,))) is CONFLICT
    assert store.incident("stale") is None
    assert store.open_incidents() == [store.incident("known")]
    assert store.latest_incidents([key()])[key()].id == "known"


def test_generations_may_leave_some_out(store):
    store.save_incidents([incident("first")])
    assert store.save_incidents([incident("ninth", generation=9)]) == [WRITTEN]
    assert store.generations([key()]) == {key(): 9}


def test_of_two_that_open_an_incident_of_one_key_one_wins(stores):
    one, other = stores(), stores()
    assert one.fold(FoldBatch((incident("one"),))) is WRITTEN
    assert other.fold(FoldBatch((incident("other"),))) is CONFLICT
    assert ids(one.open_incidents()) == ["one"]


def test_writing_an_earlier_incident_again_does_not_make_it_the_latest(store):
    old = incident("old", minutes=0)
    store.save_incidents([old, incident("new", minutes=10, generation=2)])
    assert store.save_incidents([later(old)]) == [WRITTEN]
    assert store.fold(FoldBatch((later(later(old)),))) is WRITTEN
    assert store.latest_incidents([key()])[key()].id == "new"
    assert store.generations([key()]) == {key(): 2}


def test_the_number_of_a_latest_incident_that_is_gone_goes_on(store, damage):
    store.save_incidents([incident("first"), incident("second", generation=2)])
    damage("incident", "second")
    assert store.latest_incidents([key()]) == {}
    assert store.incident("first") is not None
    assert store.generations([key()]) == {key(): 2}
    assert store.save_incidents([incident("again", generation=2)]) == [CONFLICT]
    assert store.save_incidents([incident("third", generation=3)]) == [WRITTEN]
    assert store.latest_incidents([key()])[key()].id == "third"


def test_open_are_those_that_are_not_told_to_the_end_by_id(store):
    waiting, done = incident("waiting", "2", 1), incident("done", "3", 2)
    store.save_incidents([incident("open", "1", 0), waiting, done, incident("due", "4", 3, due_at=at(4))])
    store.save_incidents([resolved(waiting, 5, due_at=at(90)), resolved(done, 5)])
    assert ids(store.open_incidents()) == ["due", "open", "waiting"]


def test_open_incidents_come_a_page_at_a_time_though_some_end_meanwhile(store):
    many = [incident(f"i{position:03}", str(position)) for position in range(50)]
    store.save_incidents(many)
    seen, after = [], ""
    while page := store.open_incidents(after, 7):
        assert len(page) <= 7
        seen += ids(page)
        after = page[-1].id
        store.save_incidents([resolved(page[0], 5)])
    assert seen == ids(many)
    assert len(store.open_incidents()) == 42
    assert ids(store.open_incidents("i047")) == ["i048"]
    assert store.open_incidents("i049", 5) == []


def test_an_incident_that_opens_again_is_open(store):
    first = incident("i")
    store.save_incidents([first])
    store.save_incidents([resolved(first, 5)])
    assert store.open_incidents() == []
    again = msgspec.structs.replace(first, version=3, due_at=at(9))
    assert store.save_incidents([again]) == [WRITTEN]
    assert store.open_incidents() == [again]
    assert store.due_incidents(at(9)) == [again]
    assert store.latest_incidents([key()]) == {key(): again}


def test_an_incident_that_is_over_can_be_written_again(store):
    """Its ledger is recorded, or it becomes due again for a destination that came back."""
    first = incident("i")
    store.save_incidents([first])
    over = resolved(first, 5)
    store.save_incidents([over])
    again = later(over, notification_log={"ops": NotificationState("AVAILABLE", 2)})
    assert store.save_incidents([over]) == [CONFLICT]
    assert store.save_incidents([again]) == [WRITTEN]
    assert store.open_incidents() == []
    due = later(again, due_at=at(9))
    assert store.fold(FoldBatch((due,))) is WRITTEN
    assert store.open_incidents() == [due]


def test_an_incident_that_came_and_went_within_one_fold_is_written_done(store):
    made = change("a", seqs=(1, 2))
    store.commit([made])
    over = resolved(incident("i", version=0), 5)
    assert store.fold(FoldBatch((over,), (), (folded(made),))) is WRITTEN
    assert store.open_incidents() == []
    assert store.incident("i") == over
    assert store.latest_incidents([key()]) == {key(): over}


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        pytest.param(9, [], id="before its time nothing is due"),
        pytest.param(10, ["first"], id="at the very instant it is due"),
        pytest.param(25, ["first", "second"], id="the one due longest comes first"),
        pytest.param(10_000_000, ["first", "second", "last"], id="what has no due time never is"),
    ],
)
def test_due_incidents(store, minutes, expected):
    second = incident("second", "2")
    store.save_incidents([incident("never", "0"), incident("first", "1", due_at=at(10)), second])
    store.save_incidents([resolved(second, 5, due_at=at(20)), incident("last", "3", due_at=at(500))])
    assert ids(store.due_incidents(at(minutes))) == expected
    assert ids(store.due_incidents(at(minutes), 1)) == expected[:1]


def test_of_many_that_are_due_the_limit_takes_those_due_longest(store):
    store.save_incidents([incident(f"i{n:03}", str(n), due_at=at(1000 - n)) for n in range(100)])
    assert ids(store.due_incidents(at(1000), 30)) == [f"i{n:03}" for n in range(99, 69, -1)]


def test_due_is_exact_to_the_microsecond(store):
    store.save_incidents([incident("i", due_at=at(10) + timedelta(microseconds=1))])
    assert store.due_incidents(at(10)) == []
    assert ids(store.due_incidents(at(10) + timedelta(microseconds=1))) == ["i"]


def test_the_latest_opened_are_listed_first(store):
    many = [incident(name, name, minutes) for name, minutes in (("b", 2), ("d", 4), ("a", 1), ("c", 3))]
    store.save_incidents(many)
    store.save_incidents([resolved(many[3], 9), resolved(many[2], 9)])
    assert ids(store.incidents(3)) == ["d", "c", "b"]
    assert ids(store.incidents(100)) == ["d", "c", "b", "a"]


def test_keys_with_any_text_are_kept_apart(store):
    awkward = [
        Key("WABA", "1#2", "x"),
        Key("WABA#1", "2", "x"),
        Key("WABA", "ü" * 900, "x"),
        Key("WABA", "ü" * 899, "x"),
    ]
    for place, (entity_type, entity_id, capability) in enumerate(awkward):
        one = incident(f"i{place}", entity_type=entity_type, capability=capability)
        assert store.save_incidents([msgspec.structs.replace(one, entity_id=entity_id)]) == [WRITTEN]
    found = store.latest_incidents(awkward)
    assert [found[each].id for each in awkward] == ["i0", "i1", "i2", "i3"]
    assert store.generations(awkward) == dict.fromkeys(awkward, 1)
