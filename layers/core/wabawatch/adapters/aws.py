"""AWS: make the client of a service, and turn what AWS refuses into errors with advice."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from wabawatch.errors import ConfigurationError, UnavailableError, WabawatchError

Clients = Callable[[str], Any]
"""Makes the client of a service by its name, such as `sqs`."""

_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "sns": (5, 2),
    "secretsmanager": (4, 3),
    "ssm": (4, 3),
    "dynamodb": (4, 5),
    "lambda": (130, 1),
}
"""By service: the read timeout in seconds, and attempts in total. A delivery waits for the first three, and is retried
in the next round; without the table there is no round at all. An invoked function may take its whole time, and must not
be started twice."""
_TRANSIENT: Final = re.compile(
    "Throttl|TooManyRequests|SlowDown|RequestLimitExceeded|BandwidthLimitExceeded|ThroughputExceeded|RequestTimeout"
    "|PriorRequestNotComplete|TransactionInProgress|PurgeQueueInProgress|Internal(Error|Failure|Server)"
    "|ServiceUnavailable"
)
"""Codes of refusals that end by themselves, whatever their status; most are those that botocore retries:
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html (standard mode)."""
RETRY: Final = "AWS is busy or cannot be reached: retry in a minute"
"""Advice for what is transient."""
_lock: Final = threading.Lock()
"""A session is not thread-safe:
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/session.html"""


def aws_client(service: str, region: str | None = None) -> Any:  # noqa: ANN401 - one of many client types, by name
    """Make the client of a service, whose calls end: short timeouts, and few retries, which adapt to throttling.

    Raises ConfigurationError where AWS is not set up."""
    from botocore.config import Config  # noqa: PLC0415 - local commands need no AWS
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    seconds, attempts = _LIMITS.get(service, (10, 3))
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        connect_timeout=2,
        read_timeout=seconds,
        max_pool_connections=32,
        parameter_validation=service != "dynamodb",  # a quarter of the CPU of a transaction of a hundred actions
    )
    try:
        with _lock:
            return _session().client(service, region_name=region, config=config)
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS is not set up for {service}: {error}") from error


@cache
def _session() -> Any:  # noqa: ANN401 - its `client` is typed for literal names only
    """Return the session that all clients share, with its credentials."""
    from boto3.session import Session  # noqa: PLC0415 - local commands need no AWS

    return Session()


def call_aws(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - the answers of several services
    """Return the answer. Raises UnavailableError where a retry can succeed, otherwise ConfigurationError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded by the first client

    try:
        return call()
    except ClientError as error:
        raise _translate_refusal(error.response, error.operation_name) from error
    except BotoCoreError as error:
        if is_transient(error):
            raise UnavailableError(f"no answer from AWS ({error_code(error)}); {RETRY}") from error
        raise ConfigurationError(f"AWS is not set up: {error}") from error


def is_transient(error: Exception) -> bool:
    """Return whether a botocore error can end by itself: AWS throttles or fails, or the network does."""
    from botocore.exceptions import EndpointConnectionError, HTTPClientError, IncompleteReadError  # noqa: PLC0415

    if isinstance(error, EndpointConnectionError | HTTPClientError | IncompleteReadError):
        return True
    return is_transient_refusal(_response_of(error))


def is_transient_refusal(response: Mapping[str, Any]) -> bool:
    """Return whether an error response of AWS can end by itself."""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
    is_busy = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return is_busy or is_transient_code(str(response.get("Error", {}).get("Code", "")))


def is_transient_code(code: str) -> bool:
    return _TRANSIENT.search(code) is not None


def error_code(error: BaseException) -> str:
    """Return the code of a refusal, or the type of another error: a message may quote a request with its token."""
    return str(_response_of(error).get("Error", {}).get("Code", "")) or type(error).__name__


def _response_of(error: BaseException) -> Mapping[str, Any]:
    """Return the response of a refusal; {} for other errors, of which some have the attribute as None."""
    return getattr(error, "response", None) or {}


def _translate_refusal(response: Mapping[str, Any], operation: str) -> WabawatchError:
    error = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    if code == "ValidationError" and "does not exist" in message:
        return ConfigurationError(f"{message}; look at its name and at AWS_REGION")
    if is_transient_refusal(response):
        return UnavailableError(f"AWS refused {operation} for now ({code}); {RETRY}")
    return ConfigurationError(f"AWS refuses {operation} ({code}); see your credentials and their permissions")
