from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.stores.values import acknowledgement, at, incident, resolved, run, silence

MINUTE = timedelta(minutes=1)


def test_a_lease_is_taken_by_one_owner_only(stores):
    one, other = stores(), stores()
    assert one.acquire_lease("notify", "one", at(0), MINUTE)
    assert not other.acquire_lease("notify", "other", at(0.5), MINUTE)


def test_its_owner_extends_a_lease(store):
    store.acquire_lease("notify", "one", at(0), MINUTE)
    assert store.acquire_lease("notify", "one", at(0.9), MINUTE)
    assert not store.acquire_lease("notify", "other", at(1.5), MINUTE)


def test_a_lease_that_has_ended_goes_to_whoever_asks(store):
    store.acquire_lease("notify", "one", at(0), MINUTE)
    assert store.acquire_lease("notify", "other", at(1), MINUTE)
    assert not store.acquire_lease("notify", "one", at(1.5), MINUTE)


def test_a_lease_that_was_released_goes_to_whoever_asks(store):
    store.acquire_lease("notify", "one", at(0), MINUTE)
    store.release_lease("notify", "one")
    assert store.acquire_lease("notify", "other", at(0.1), MINUTE)


def test_nobody_releases_the_lease_of_another(store):
    store.release_lease("notify", "other")
    store.acquire_lease("notify", "one", at(0), MINUTE)
    store.release_lease("notify", "other")
    assert not store.acquire_lease("notify", "other", at(0.1), MINUTE)


def test_leases_of_other_names_are_others(store):
    store.acquire_lease("notify", "one", at(0), MINUTE)
    assert store.acquire_lease("else", "other", at(0), MINUTE)


def test_a_lease_from_before_the_clock_was_set_back_is_over(store):
    store.acquire_lease("notify", "one", at(1000), MINUTE)
    assert store.acquire_lease("notify", "other", at(0), MINUTE)


def test_silences_come_back_and_are_replaced(store):
    assert store.silences() == []
    for each in (silence("b"), silence("a"), silence("b", ends=5)):
        store.save_silence(each)
    assert store.silences() == [silence("a"), silence("b", ends=5)]


def test_an_acknowledgement_is_replaced_by_a_later_one(store):
    assert store.acknowledgements() == {}
    for each in (acknowledgement("i"), acknowledgement("j"), acknowledgement("i", "ben", 5)):
        store.save_acknowledgement(each)
    assert store.acknowledgements() == {"i": acknowledgement("i", "ben", 5), "j": acknowledgement("j")}


def test_an_acknowledgement_is_still_there_when_its_incident_ends(store):
    store.save_incidents([incident("i")])
    store.save_acknowledgement(acknowledgement("i"))
    store.save_incidents([resolved(incident("i"), 5)])
    assert store.acknowledgements() == {"i": acknowledgement("i")}
    assert store.incident("i").resolved_at == at(5)


def test_runs_come_newest_first_and_are_replaced_by_id_and_shard(store):
    assert store.runs(5) == []
    done = run("r2", 5, finished_at=at(6), answered=5)
    for each in (run("r2", 5), run("r1", 0), run("r3", 10), run("r2", 6, shard=1), done):
        store.save_run(each)
    assert store.runs(10) == [run("r3", 10), run("r2", 6, shard=1), done, run("r1", 0)]
    assert store.runs(1) == [run("r3", 10)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="an empty one"),
        pytest.param(b"targets: []", id="a short one"),
        pytest.param(bytes(range(256)) * 40, id="any bytes"),
    ],
)
def test_a_document_comes_back(store, body):
    assert store.document("config") is None
    store.save_document("config", b"before")
    store.save_document("config", body)
    assert store.document("config") == body
    assert store.document("other") is None


def test_the_configuration_of_a_huge_fleet_fits_and_shrinks_again(stores):
    noise = b"".join(hash_of(number) for number in range(30_000))
    store = stores()
    for body in (noise, noise[:400_000], noise[:10], noise):
        store.save_document("config", body)
        assert stores().document("config") == body


def hash_of(number):
    """32 bytes that do not squeeze."""
    import hashlib  # noqa: PLC0415  # only here

    return hashlib.sha256(str(number).encode()).digest()
