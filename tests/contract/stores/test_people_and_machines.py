from __future__ import annotations

import hashlib
from datetime import date, timedelta

import pytest

from tests.contract.stores.builders import acknowledgement, at, coverage, day, incident, queued, resolved, run, silence
from wabawatch.domain.notification import Stage

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
    """32 bytes that do not shrink."""
    return hashlib.sha256(str(number).encode()).digest()


def test_the_coverage_of_a_shard_is_replaced_by_shard_and_number_of_shards(store):
    assert store.coverages() == []
    for each in (coverage(1, 2), coverage(10, 12), coverage(0, 2), coverage(9, 12), coverage(1, 2, 5)):
        store.save_coverage(each)
    assert store.coverages() == [coverage(0, 2), coverage(1, 2, 5), coverage(9, 12), coverage(10, 12)]


def test_the_coverage_of_a_shard_that_is_no_more_is_removed(store):
    for each in (coverage(0, 1), coverage(0, 2), coverage(1, 2)):
        store.save_coverage(each)
    store.remove_coverage(0, 1)
    store.remove_coverage(5, 9)
    assert store.coverages() == [coverage(0, 2), coverage(1, 2)]


def test_a_pass_that_read_hardly_any_of_very_many_targets_is_covered_too(stores):
    unread = {hash_of(number).hex(): at(number) if number % 3 else None for number in range(20_000)}
    today = day(1, unread={name: MINUTE * place for place, name in enumerate(unread)})
    large, small = coverage(0, 2, unread=unread, today=today), coverage(0, 2, 5)
    store = stores()
    for each in (small, large, small, large):
        store.save_coverage(each)
        assert stores().coverages() == [each]
    store.save_day(today)
    assert stores().days(date(2026, 3, 1), date(2026, 3, 2)) == [today]


def test_days_come_the_earliest_first_from_the_first_until_before_the_last(store):
    assert store.days(date(2026, 1, 1), date(2027, 1, 1)) == []
    for each in (day(5), day(4, 1), day(6), day(4, 0), day(3), day(4, 0, 1), day(5, monitored=MINUTE)):
        store.save_day(each)
    found = store.days(date(2026, 3, 4), date(2026, 3, 6))
    assert [(one.day.day, one.of, one.shard) for one in found] == [(4, 1, 0), (4, 2, 0), (4, 2, 1), (5, 2, 0)]
    assert found[-1] == day(5, monitored=MINUTE)


def test_days_of_several_years(store):
    new_year = day(1, day=date(2027, 1, 1))
    old_year = day(1, day=date(2025, 12, 31))
    for each in (new_year, day(9), old_year):
        store.save_day(each)
    assert store.days(date(2025, 1, 1), date(2028, 1, 1)) == [old_year, day(9), new_year]


def test_what_is_queued_comes_by_destination_and_id_until_it_is_taken_out(stores):
    store = stores()
    assert store.queued() == []
    store.queue([])
    store.queue([queued("b", "ops"), queued("z", "mail"), queued("a", "ops")])
    assert stores().queued() == [queued("z", "mail"), queued("a", "ops"), queued("b", "ops")]
    store.unqueue(["b", "nothing"])
    store.unqueue([])
    assert stores().queued() == [queued("z", "mail"), queued("a", "ops")]


def test_a_queued_notification_is_replaced_by_its_id(store):
    store.queue([queued("a")])
    sent = queued("a", stage=Stage.SENT, thread={"ts": "1.5"}, sent_at=at(3), attempts=2, error="HTTP 503")
    store.queue([sent, queued("b")])
    assert store.queued() == [sent, queued("b")]


def test_a_notification_over_20_000_incidents_is_queued_grows_and_shrinks(stores):
    store = stores()
    small, large = queued("n", incidents=3), queued("n", incidents=20_000)
    for each in (small, large, small, large):
        store.queue([each, queued("other")])
        assert stores().queued() == [each, queued("other")]
    store.unqueue(["n"])
    assert stores().queued() == [queued("other")]


def test_many_notifications_are_queued_and_taken_out_in_one_call(store):
    many = [queued(f"n{position:03}") for position in range(150)]
    store.queue(many)
    assert store.queued() == many
    store.unqueue([one.id for one in many[:140]])
    assert store.queued() == many[140:]
