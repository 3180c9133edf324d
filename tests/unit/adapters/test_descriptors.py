import resource
from contextlib import contextmanager

import pytest

from wabawatch.adapters.process import connection_limit, is_exhausted, lower_concurrency


@contextmanager
def limit(descriptors):
    """A process that may open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_concurrency_that_the_process_can_hold_stays():
    with limit(1024):
        assert lower_concurrency(896) == (896, "")


def test_a_concurrency_above_the_limit_of_open_files_is_lowered_and_said():
    with limit(1024):
        lowered, said = lower_concurrency(10_000)
    assert lowered == 896
    assert said == (
        "source.concurrency is 10000, and 896 probes run concurrently: a process may open 1,024 files, of which 128 "
        "are kept for other work; write 896 or less, or raise the limit (ulimit -n 10128)"
    )


def test_on_lambda_nobody_is_told_to_raise_the_limit():
    lowered, said = lower_concurrency(900, 1024)
    assert lowered == 896
    assert said.endswith("may open 1,024 files on Lambda, of which 128 are kept for other work; write 896 or less")


@pytest.mark.parametrize("descriptors", [0, 100, 128, 129])
def test_at_least_one_probe_runs(descriptors):
    assert connection_limit(descriptors) == 1


def test_a_process_without_a_free_descriptor_is_noticed():
    assert not is_exhausted()
    with limit(0):
        assert is_exhausted()
    assert not is_exhausted()
