"""What the end-to-end tests stand on: the emulator for the whole session, and the deployed stack with all around it.

The stack is the minimal deployment: no configuration file, one number's key and a Slack webhook by the names of their
secrets. The files that use it tell one story: each goes on where the one before it, by name, ended.
"""

import json

import pytest

from tests.e2e import emulator as emulators
from tests.e2e import stack as stacks
from tests.e2e.sink import webhook_sink
from tests.e2e.subscriber import Subscriber
from wabawatch.simulator import Fleet, Number, Scenario, running

NUMBER = Number(id="4930123456", name="Support", waba="102290129340398", business="2729063490586005")
SECOND = Number(id="4930123457", name="Sales", waba="102290129340399", business="2729063490586006")


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
    started = emulators.Emulator(tmp_path_factory.mktemp("emulator"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def simulator():
    with running(Scenario(fleet=Fleet((NUMBER, SECOND)))) as server:
        yield server


@pytest.fixture(scope="session")
def slack():
    with webhook_sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def stack(emulator, simulator, slack):
    secrets = emulator.client("secretsmanager")
    secrets.create_secret(Name="one-number", SecretString=NUMBER.key)
    secrets.create_secret(Name="team-chat", SecretString=json.dumps({"webhook": slack.url}))
    deployed = stacks.Stack(emulator)
    deployed.deploy(
        "SECRET=one-number",
        "SLACK=team-chat#webhook",
        "EMAIL=ops@example.com",
        f"PARAMETERS=PollEvery=1m BaseUrl={simulator.url}",
    )
    return deployed


@pytest.fixture(scope="session")
def subscriber(stack):
    """A machine's queue, subscribed to the alerts before anything happens."""
    return Subscriber(stack, "subscriber")
