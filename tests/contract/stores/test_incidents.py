from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from tests.contract.stores.values import at, incident, later, resolved
from wabawatch.domain.incidents import Change, Told


def ids(incidents):
    return [one.id for one in incidents]


def test_an_incident_comes_back_as_it_was(store):
    told = Told("BLOCKED", 1, ("141006",), 3, at(1), at(0), count=1, thread={"ts": "1.2"}, retry_at=at(9), error="503")
    saved = incident(
        "i", members=3, ledger={"ops": told}, changes=(Change(at(0), "BLOCKED", 3, ("141006",)),), left=("x", "y")
    )
    assert store.save_incidents([saved]) == [True]
    assert store.incident("i") == saved
    assert list(store.incident("i").members) == list(saved.members)


def test_an_unknown_incident_is_none(store):
    assert store.incident("nothing") is None
    assert store.latest_incidents([]) == {}
    assert store.latest_incidents([("WABA", "1", "can_send_message")]) == {}
    assert store.save_incidents([]) == []


def test_the_same_new_incident_twice_is_a_conflict(stores):
    assert stores().save_incidents([incident("i")]) == [True]
    assert stores().save_incidents([incident("i", members=2)]) == [False]
    assert len(stores().incident("i").members) == 1


def test_an_incident_is_written_only_upon_the_version_before(store):
    first = incident("i")
    second = later(first, status="LIMITED")
    assert store.save_incidents([second]) == [False]
    assert store.save_incidents([first]) == [True]
    assert store.save_incidents([second]) == [True]
    assert store.save_incidents([second]) == [False]
    assert store.save_incidents([later(first, status="UNKNOWN")]) == [False]
    assert store.incident("i") == second


def test_each_incident_of_a_call_is_written_or_not_by_itself(store):
    kept = incident("kept", "1")
    store.save_incidents([kept, incident("moved", "2")])
    outcome = store.save_incidents(
        [later(later(kept)), incident("new", "3"), later(incident("moved", "2")), incident("kept", "1")]
    )
    assert outcome == [False, True, True, False]
    assert store.incident("kept").version == 1
    assert store.incident("moved").version == 2
    assert set(ids(store.incidents(10))) == {"kept", "moved", "new"}


def test_many_are_saved_in_one_call(store):
    many = [incident(f"i{position}", str(position)) for position in range(60)]
    assert store.save_incidents(many) == [True] * 60
    assert store.save_incidents([later(one) for one in many]) == [True] * 60
    assert store.save_incidents([later(one) for one in many[:3]]) == [False] * 3
    assert len(store.latest_incidents([one.key for one in many])) == 60
    assert len(store.open_incidents()) == 60


def test_the_latest_of_a_key_is_found_open_or_resolved(store):
    old = incident("old", minutes=0)
    store.save_incidents([old])
    store.save_incidents([resolved(old, 5)])
    assert store.latest_incidents([old.key])[old.key].id == "old"
    store.save_incidents([incident("new", minutes=10), incident("other", "2", minutes=20)])
    found = store.latest_incidents([old.key, ("WABA", "2", "can_send_message"), ("WABA", "3", "can_send_message")])
    assert {key[1]: one.id for key, one in found.items()} == {"1": "new", "2": "other"}


def test_writing_an_older_incident_again_does_not_make_it_the_latest(store):
    old = incident("old", minutes=0)
    store.save_incidents([old, incident("new", minutes=10)])
    store.save_incidents([later(old)])
    assert store.latest_incidents([old.key])[old.key].id == "new"


def test_an_incident_that_opened_before_the_latest_is_written_and_does_not_replace_it(store):
    store.save_incidents([incident("new", minutes=10)])
    assert store.save_incidents([incident("late", minutes=3), incident("other", "2")]) == [True, True]
    assert store.incident("late") is not None
    assert store.latest_incidents([incident("x").key])[incident("x").key].id == "new"


def test_open_are_those_that_are_not_told_to_the_end(store):
    waiting, done = incident("waiting", "2", 1), incident("done", "3", 2)
    store.save_incidents([incident("open", "1", 0), waiting, done, incident("due", "4", 3, due_at=at(4))])
    store.save_incidents([resolved(waiting, 5, due_at=at(90)), resolved(done, 5)])
    assert ids(store.open_incidents()) == ["open", "waiting", "due"]


def test_an_incident_that_opens_again_is_open(store):
    first = incident("i")
    over = resolved(first, 5)
    store.save_incidents([first])
    store.save_incidents([over])
    assert store.open_incidents() == []
    store.save_incidents([msgspec.structs.replace(first, version=3, due_at=at(9))])
    assert ids(store.open_incidents()) == ["i"]


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


def test_due_is_exact_to_the_microsecond(store):
    store.save_incidents([incident("i", due_at=at(10) + timedelta(microseconds=1))])
    assert store.due_incidents(at(10)) == []
    assert ids(store.due_incidents(at(10) + timedelta(microseconds=1))) == ["i"]


def test_the_latest_opened_are_listed_first(store):
    store.save_incidents([incident(name, name, minutes) for name, minutes in (("b", 2), ("d", 4), ("a", 1), ("c", 3))])
    assert ids(store.incidents(3)) == ["d", "c", "b"]
    assert ids(store.incidents(100)) == ["d", "c", "b", "a"]


def test_keys_with_any_text_are_kept_apart(store):
    awkward = [("WABA", "1#2", "x"), ("WABA#1", "2", "x"), ("WABA", "ü" * 900, "x"), ("WABA", "ü" * 899 + "u", "x")]
    for place, (entity_type, entity_id, capability) in enumerate(awkward):
        one = incident(f"i{place}", entity_id, entity_type=entity_type, capability=capability)
        assert store.save_incidents([one]) == [True]
    assert [store.latest_incidents([key])[key].id for key in awkward] == ["i0", "i1", "i2", "i3"]


def test_an_incident_over_100_000_numbers_grows_shrinks_and_ends(stores):
    store = stores()
    small, big = incident("i", members=40), incident("i", members=100_000, version=2, due_at=at(1))
    assert store.save_incidents([small]) == [True]
    assert store.save_incidents([big]) == [True]
    assert stores().incident("i") == big
    assert store.due_incidents(at(1)) == [big]
    assert store.save_incidents([later(small)]) == [False]
    medium = incident("i", members=3_000, version=3)
    assert store.save_incidents([medium]) == [True]
    assert store.open_incidents() == [medium]
    over = resolved(incident("i", version=3), 5)
    assert store.save_incidents([over]) == [True]
    assert store.latest_incidents([over.key]) == {over.key: over}
