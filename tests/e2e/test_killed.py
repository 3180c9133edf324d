"""A run of these tests that is killed leaves nothing behind."""

import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.emulator import ROOT
from tests.e2e.stack import eventually

EMULATOR = """
import sys, time
from pathlib import Path
from tests.e2e.emulator import Emulator
emulator = Emulator(Path(sys.argv[1]))
print(emulator.group, flush=True)
time.sleep(600)
"""


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_the_emulator_ends_with_the_process_that_started_it(tmp_path, by):
    started = subprocess.Popen(
        [sys.executable, "-c", EMULATOR, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with started:
        assert started.stdout
        assert started.stderr
        group = int(started.stdout.readline() or pytest.fail(started.stderr.read()))
        assert is_there(group)
        started.send_signal(by)
    eventually(lambda: not is_there(group), "the emulator and its functions have ended", seconds=30)
