from __future__ import annotations

import subprocess
import sys

import pytest

from wabawatch.adapters.owners import is_dead, new_owner


def test_a_living_process_is_not_dead():
    assert not is_dead(new_owner())


def test_a_process_that_ended_is_dead():
    code = "from wabawatch.adapters.owners import new_owner; print(new_owner())"
    owner = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert is_dead(owner)


@pytest.mark.parametrize(
    "owner", ["", "elsewhere:1:ab", "lambda-7f", f"{new_owner().split(':')[0]}:x:1", f"{new_owner().split(':')[0]}:0:1"]
)
def test_what_cannot_be_told_counts_as_alive(owner):
    assert not is_dead(owner)
