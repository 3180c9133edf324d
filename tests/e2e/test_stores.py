"""The stores' contract suite, which runs on moto elsewhere, on the emulator: the table is the template's there too."""

import os
import re
import subprocess
import sys

from tests.contract.stores.conftest import ENDPOINT
from tests.e2e.emulator import ROOT


def test_the_dynamodb_store_keeps_its_contract_on_the_emulator(emulator):
    environment = os.environ | emulator.environment | {ENDPOINT: emulator.environment["AWS_ENDPOINT_URL"]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-k", "emulator", "tests/contract/stores"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 100
