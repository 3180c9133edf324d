"""How long a call to AWS may take at the very worst, with all its attempts."""

import pytest
from wabawatch.adapters.aws import aws_client

ROUND = 60
"""Seconds: what the notify function and the lease of a round have."""


@pytest.fixture(autouse=True)
def account(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.mark.parametrize(
    ("service", "most"),
    [
        pytest.param("sns", 15, id="one delivery, so that another destination's failure is told in the same round"),
        pytest.param("secretsmanager", 21, id="a secret, which a delivery waits for"),
        pytest.param("ssm", 21, id="a parameter, which a delivery waits for"),
        pytest.param("dynamodb", ROUND - 15, id="state, which is worth more attempts"),
        pytest.param("s3", ROUND, id="the configuration"),
        pytest.param("sqs", ROUND, id="the queue of shards"),
    ],
)
def test_all_attempts_of_a_call_have_an_end(service, most):
    config = aws_client(service).meta.config
    attempts = config.retries["total_max_attempts"]
    waits = sum(2**number for number in range(attempts - 1))  # when it is throttled: a second, doubling
    assert attempts * (config.connect_timeout + config.read_timeout) + waits <= most
