"""The real system beside a model of it, through random histories."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.application.conftest import aws  # noqa: F401 - a fixture
from tests.model.machine import TOTALS, Machine

PROVE = bool(os.environ.get("WABAWATCH_PROVE"))
BOUNDS = {"sqlite": (400, 60) if PROVE else (70, 30), "dynamodb": (15, 40)}
"""For each store, how many histories are played, and how many steps one has at most."""
SLOW = pytest.mark.skipif(not PROVE, reason="a table takes fifty times as long as a file; run with WABAWATCH_PROVE=1")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("dynamodb", marks=SLOW)])
def test_whatever_happens_everybody_learns_the_truth(kind, record_property, aws):  # noqa: ARG001, F811
    class OnStore(Machine):
        store_kind = kind

    before = dict(TOTALS)
    runs, steps = BOUNDS[kind]
    bounds = settings(
        max_examples=runs,
        stateful_step_count=steps,
        derandomize=not PROVE,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnStore, settings=bounds)
    for name in ("runs", "steps"):
        record_property("proved", (f"{name} of the model on {kind}", TOTALS[name] - before[name]))
