"""Benches that are cleared away, and a machine in UTC."""

from __future__ import annotations

import time

import pytest

from tests.contract.notifiers import harness


@pytest.fixture(autouse=True)
def utc_machine(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def bench():
    built = []

    def make(kind, **changes):
        built.append(harness.bench(kind, **changes))
        return built[-1]

    yield make
    for one in built:
        one.close()
