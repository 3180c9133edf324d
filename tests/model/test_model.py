"""The real system beside a model of it, through random histories."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.application.conftest import aws  # noqa: F401 - a fixture
from tests.model.machine import TOTALS, Machine

PROVE = bool(os.environ.get("WABAWATCH_PROVE"))
RUNS = {"sqlite": 3000 if PROVE else 40, "dynamodb": 100 if PROVE else 2}
STEPS = 60 if PROVE else 30


@pytest.mark.parametrize("kind", RUNS)
def test_whatever_happens_everybody_learns_the_truth(kind, aws):  # noqa: ARG001, F811
    class OnStore(Machine):
        store_kind = kind

    before = dict(TOTALS)
    bounds = settings(
        max_examples=RUNS[kind],
        stateful_step_count=STEPS,
        derandomize=not PROVE,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnStore, settings=bounds)
    print(f"model: {TOTALS['runs'] - before['runs']} runs, {TOTALS['steps'] - before['steps']} steps on {kind}")
