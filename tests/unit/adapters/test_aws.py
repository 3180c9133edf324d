"""How long a call to AWS may take with all its attempts, and what a refusal means."""

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)

from wabawatch.adapters.aws import aws_client, call_aws
from wabawatch.adapters.config_source import S3ConfigSource
from wabawatch.errors import ConfigurationError, UnavailableError

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


def refusal(code, status, message="the message names a hidden token"):
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeStacks")


TRANSIENT = {
    "throttled": refusal("Throttling", 400),
    "throttled, in the words of JSON services": refusal("ThrottlingException", 400),
    "too many requests": refusal("TooManyRequestsException", 429),
    "too many requests, by its status alone": refusal("429", 429),
    "the limit of requests": refusal("RequestLimitExceeded", 503),
    "slow down, of S3": refusal("SlowDown", 503),
    "a request that S3 waited for": refusal("RequestTimeout", 400),
    "a queue that is being purged": refusal("AWS.SimpleQueueService.PurgeQueueInProgress", 403),
    "a fault of the service": refusal("InternalFailure", 500),
    "a HEAD request, which has a status alone": refusal("503", 503),
    "no connection": EndpointConnectionError(endpoint_url="https://hidden.invalid"),
    "no answer": ReadTimeoutError(endpoint_url="https://hidden.invalid"),
    "half an answer": IncompleteReadError(actual_bytes=1, expected_bytes=2),
}
LASTING = {
    "access denied": refusal("AccessDenied", 403),
    "expired credentials": refusal("ExpiredToken", 403),
    "an invalid request": refusal("ValidationError", 400),
    "no credentials": NoCredentialsError(),
    "no region": NoRegionError(),
}


def failing(error):
    def call(*_, **__):
        raise error

    return call


class Bucket:
    """An S3 client whose every call fails."""

    def __init__(self, error):
        self.head_object = self.get_object = self.put_object = self.delete_object = failing(error)


def s3_calls(error):
    source = S3ConfigSource(Bucket(error), "s3://conf/config.json")
    return [source.read, lambda: source.version("v1", "v1"), lambda: source.write(b""), source.delete]


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_a_refusal_for_now_is_an_error_of_its_own_that_says_retry(error):
    for call in (lambda: call_aws(failing(error)), *s3_calls(error)):
        with pytest.raises(UnavailableError, match="retry in a minute") as raised:
            call()
        assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_a_refusal_that_lasts_is_an_error_of_the_configuration_that_says_what_to_do(error):
    for call in (lambda: call_aws(failing(error)), *s3_calls(error)):
        with pytest.raises(ConfigurationError) as raised:
            call()
        assert "retry" not in str(raised.value)
        assert "hidden" not in str(raised.value)


def test_a_stack_that_does_not_exist_is_named():
    with pytest.raises(
        ConfigurationError, match="Stack with id prod does not exist; look at its name and at AWS_REGION"
    ):
        call_aws(failing(refusal("ValidationError", 400, "Stack with id prod does not exist")))
