from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from wabawatch.adapters.secrets import Secrets

REGION = "eu-central-1"


class Clock:
    """A time that only a test moves: the wall clock, and the seconds of a clock that nobody can set."""

    def __init__(self):
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.seconds = 0.0

    def now(self):
        return self.time

    def passes(self, **duration):
        self.time += timedelta(**duration)
        self.seconds += timedelta(**duration).total_seconds()

    def is_set(self, **duration):
        self.time += timedelta(**duration)

    def elapsed(self):
        return self.seconds


class Aws:
    """Real clients on moto. Counts calls, and can be made unreachable or made to refuse an operation."""

    def __init__(self, clients):
        self.calls = []
        self.trouble = None
        self.refused = {}
        self._clients = clients
        self.secrets = clients["secretsmanager"]
        self.parameters = clients["ssm"]

    def client(self, service):
        return Watched(self._clients[service], self)

    def secret(self, name, text):
        return self.secrets.create_secret(Name=name, SecretString=text)["ARN"]

    def parameter(self, name, text, kind="SecureString"):
        self.parameters.put_parameter(Name=name, Value=text, Type=kind, Overwrite=True)


class Watched:
    def __init__(self, real, aws):
        self._real, self._aws = real, aws

    def __getattr__(self, operation):
        def call(**parameters):
            self._aws.calls.append(operation)
            error = self._aws.refused.get(operation) or self._aws.trouble
            if error is not None:
                raise error
            return getattr(self._real, operation)(**parameters)

        return call


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def clients():
    """Made once, because each takes a tenth of a second; what they reach is new for every test."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return {service: boto3.client(service, REGION, **keys) for service in ("secretsmanager", "ssm")}


@pytest.fixture
def aws(clients):
    with mock_aws():
        yield Aws(clients)


@pytest.fixture
def secrets(aws, clock):
    return Secrets({"K": " from-env\n", "EMPTY": ""}, aws.client, clock, elapsed=clock.elapsed)
