"""The lease of a round, which lasts as long as the round does, whatever the round waits for."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.application.conftest import STORES, fresh_store
from tests.application.fakes import FakeClock, FakeStore, KilledError
from wabawatch.application.errors import StoreError
from wabawatch.application.lease import Lease

OFTEN = timedelta(milliseconds=5)


class Watched:
    """A store that counts how often a lease was asked for; `breaks` says that it is away."""

    def __init__(self, store):
        self._store = store
        self.asked = threading.Semaphore(0)
        self.breaks = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    def acquire_lease(self, *given):
        try:
            if self.breaks:
                raise StoreError("away")
            return self._store.acquire_lease(*given)
        finally:
            self.asked.release()

    def was_asked(self, times):
        return all(self.asked.acquire(timeout=10) for _ in range(times))


@pytest.fixture
def store():
    return Watched(FakeStore())


@pytest.fixture(params=STORES)
def any_store(request, tmp_path, aws):  # noqa: ARG001 - tables need it
    with fresh_store(request.param, tmp_path) as opened:
        yield Watched(opened)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def lease(store, clock):
    found = Lease(store, clock, "notify", "me", renew_every=OFTEN)
    assert found.take()
    yield found
    found.release()


def renewing():
    return [thread for thread in threading.enumerate() if thread.name == "renew-notify"]


def stops_renewing():
    for thread in renewing():
        thread.join(10)
    return renewing() == []


def test_it_is_renewed_while_the_round_waits(store, clock, lease):
    clock.advance(seconds=50)
    assert store.was_asked(3)
    assert store.leases["notify"] == ("me", clock.now() + timedelta(seconds=60))
    lease.keep()


def test_every_store_lets_a_thread_renew_it(any_store, clock):
    lease = Lease(any_store, clock, "notify", "me", renew_every=OFTEN)
    assert lease.take()
    clock.advance(seconds=50)
    assert any_store.was_asked(3)
    later = clock.now() + timedelta(seconds=50)
    assert not any_store.acquire_lease("notify", "other", later, timedelta(seconds=60))
    lease.keep()
    lease.release()
    assert any_store.acquire_lease("notify", "other", clock.now(), timedelta(seconds=60))


def test_a_store_that_is_away_for_a_moment_loses_no_lease(store, clock, lease):
    store.breaks = True
    assert store.was_asked(3)
    store.breaks = False
    clock.advance(seconds=50)
    assert store.was_asked(3)
    assert store.leases["notify"] == ("me", clock.now() + timedelta(seconds=60))
    lease.keep()


def test_where_another_took_over_it_is_not_renewed_any_more_and_the_round_stops(store, clock, lease):
    store.leases["notify"] = ("other", clock.now() + timedelta(seconds=60))
    assert stops_renewing()
    store.leases.clear()  # the other one is done, which does not bring this one back
    with pytest.raises(StoreError, match="another one took over"):
        lease.keep()
    assert store.leases == {}


def test_it_is_not_renewed_after_it_was_given_back(store, lease):
    assert store.was_asked(2)
    lease.release()
    assert stops_renewing()
    assert store.leases == {}


def test_who_does_not_get_it_renews_nothing(store, clock):
    store.leases["notify"] = ("other", clock.now() + timedelta(seconds=60))
    assert not Lease(store, clock, "notify", "me", renew_every=OFTEN).take()
    assert stops_renewing()


def test_a_store_that_breaks_at_the_end_leaves_nothing_behind(store, clock, monkeypatch):
    lease = Lease(store, clock, "notify", "me", renew_every=OFTEN)
    lease.take()
    monkeypatch.setattr(store, "release_lease", broken)
    with pytest.raises(KilledError):
        lease.release()
    assert stops_renewing()


@pytest.mark.usefixtures("lease")
def test_the_process_can_end_with_a_lease():
    assert [thread.daemon for thread in renewing()] == [True]


def broken(*_):
    raise KilledError
