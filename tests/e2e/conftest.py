"""What the end-to-end tests stand on: the emulator for the whole session, and two deployed stacks with all around them.

`stack` is the minimal deployment: no configuration file, one number's key and a Slack webhook by the names of their
secrets. `prod` stands beside it in the same account and watches a fleet in two shards by an uploaded configuration. The
files that use them tell one story: each goes on where the one before it, by name, ended. What must last for minutes to
be seen begins in one file and is looked at in a later one.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.contract.stores.conftest import ENDPOINT
from tests.e2e import emulator as emulators
from tests.e2e import guarded
from tests.e2e import stack as stacks
from tests.e2e.sink import webhook_sink
from tests.e2e.subscriber import Subscriber
from wabawatch.domain.sharding import shard_of
from wabawatch.simulator import Fleet, Number, Scenario, running

NUMBER = Number(id="4930123456", name="Support", waba="102290129340398", business="2729063490586005")
FLEET = tuple(
    Number(id=f"49301111{index}", name=f"Shop {index}", waba=f"10229012934050{index}", business="2729063490586007")
    for index in range(4)
)
WHOLE, BROKEN = ([number for number in FLEET if shard_of(number.id, 2) == shard] for shard in range(2))
"""The fleet's two shards: the second one breaks."""
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
def fleet_simulator():
    with running(Scenario(fleet=Fleet(FLEET))) as server:
        yield server


@pytest.fixture(scope="session")
def slack():
    with webhook_sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def one_number(emulator):
    """The name of the secret with one number's key."""
    emulator.client("secretsmanager").create_secret(Name="one-number", SecretString=NUMBER.key)
    return "one-number"


@pytest.fixture(scope="session")
def contract_suite(tmp_path_factory):
    """Starts the contract suite of the stores on an emulator of its own; a function that waits for its exit code and
    output."""
    emulator = emulators.Emulator(tmp_path_factory.mktemp("emulator"))
    environment = os.environ | emulator.environment | {ENDPOINT: emulator.environment["AWS_ENDPOINT_URL"]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-k", "emulator", "tests/contract/stores"]
    path = tmp_path_factory.mktemp("contract") / "output"
    with path.open("wb") as output:
        process = guarded.start(command, env=environment, cwd=emulators.ROOT, stdout=output, stderr=subprocess.STDOUT)
    yield lambda: (process.wait(300), path.read_text())
    guarded.end(process)
    emulator.stop()


@pytest.fixture(scope="session")
def stack(emulator, simulator, slack, one_number, contract_suite):  # noqa: ARG001 - goes on beside the story
    emulator.client("secretsmanager").create_secret(Name="team-chat", SecretString=json.dumps({"webhook": slack.url}))
    deployed = stacks.Stack(emulator)
    deployed.deploy(
        f"ARCHITECTURE={stacks.HOST}",
        f"SECRET={one_number}",
        "SLACK=team-chat#webhook",
        "EMAIL=ops@example.com",
        f"PARAMETERS=PollEvery=1m BaseUrl={simulator.url}",
    )
    return deployed


@pytest.fixture(scope="session")
def subscriber(stack):
    """A machine's queue, subscribed to the alerts before anything happens."""
    return Subscriber(stack, "subscriber")


@pytest.fixture(scope="session")
def prod(emulator, simulator, one_number):
    """The deployment that `make deploy ENV=prod` makes, with shards of two numbers."""
    deployed = stacks.Stack(emulator, "wabawatch-prod", "prod")
    deployed.deploy(
        f"ARCHITECTURE={stacks.HOST}",
        f"SECRET={one_number}",
        "EMAIL=ops@example.com",
        f"PARAMETERS=PollEvery=1m BaseUrl={simulator.url}",
    )
    deployed.set_variables(WABAWATCH_SHARD_SIZE="2")
    return deployed


@pytest.fixture(scope="session")
def prod_subscriber(prod):
    return Subscriber(prod, "subscriber-prod")


@pytest.fixture(scope="session")
def fleet_file(emulator, fleet_simulator, tmp_path_factory):
    """The configuration of the fleet."""
    keys = {number.id: number.key for number in FLEET}
    emulator.client("secretsmanager").create_secret(Name="wabawatch/keys/shops", SecretString=json.dumps(keys))
    targets = [
        {"id": number.id, "name": number.name, "api_key": f"secretsmanager:wabawatch/keys/shops#{number.id}"}
        for number in FLEET
    ]
    path = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    plain = {"source": {"base_url": fleet_simulator.url}, "targets": targets, "policy": {"group_wait": "1s"}}
    path.write_text(json.dumps(plain))
    return path
