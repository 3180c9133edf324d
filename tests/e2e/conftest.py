"""What the end-to-end tests stand on: the emulator for the whole session; a deployed stack for each story."""

import pytest

from tests.e2e import emulator as emulators
from tests.e2e import stack as stacks


def pytest_collection_modifyitems(items):
    """Everything in this folder needs the AWS tools."""
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """The emulator, or a failure that says what to install."""
    if why := emulators.missing() or stacks.missing():
        pytest.fail(why)
    running = emulators.Emulator(tmp_path_factory.mktemp("emulator"))
    yield running
    running.stop()
