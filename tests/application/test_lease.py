"""The lease of a round, which lasts as long as the round does, whatever the round waits for."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.application.conftest import STORES, fresh_store
from tests.application.fakes import FakeClock, KilledError
from wabawatch.application.lease import Lease
from wabawatch.errors import StoreError

OFTEN = timedelta(milliseconds=5)


class Watched:
    """A store that counts how often a lease was asked for; `breaks` says that it is away."""

    def __init__(self, store):
        self.inner = store
        self.asked = threading.Semaphore(0)
        self.breaks = False

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def acquire_lease(self, *given):
        try:
            if self.breaks:
                raise StoreError("away")
            return self.inner.acquire_lease(*given)
        finally:
            self.asked.release()

    def was_asked(self, times):
        return all(self.asked.acquire(timeout=10) for _ in range(times))


def another_gets_it(store, at):
    """Whether another notify would get the lease at an instant; it has it then, for a moment."""
    return store.inner.acquire_lease("notify", "other", at, timedelta(seconds=1))


@pytest.fixture
def store(tmp_path):
    with fresh_store("sqlite", tmp_path) as opened:
        yield Watched(opened)


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
    lease.keep()
    assert not another_gets_it(store, clock.now() + timedelta(seconds=59))
    assert another_gets_it(store, clock.now() + timedelta(seconds=60))


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
    lease.keep()
    assert not another_gets_it(store, clock.now() + timedelta(seconds=59))
    assert another_gets_it(store, clock.now() + timedelta(seconds=60))


def test_where_another_took_over_it_is_not_renewed_any_more_and_the_round_stops(store, clock, lease):
    assert another_gets_it(store, clock.now() + timedelta(seconds=60))
    assert stops_renewing()
    store.release_lease("notify", "other")  # the other one is done, which does not bring this one back
    with pytest.raises(StoreError, match="another one took over"):
        lease.keep()
    assert another_gets_it(store, clock.now())


def test_it_is_not_renewed_after_it_was_given_back(store, clock, lease):
    assert store.was_asked(2)
    lease.release()
    assert stops_renewing()
    assert another_gets_it(store, clock.now())


def test_who_does_not_get_it_renews_nothing(store, clock):
    assert another_gets_it(store, clock.now())
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
