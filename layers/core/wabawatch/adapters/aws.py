"""Make AWS clients: one session for all, and calls that end in time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from wabawatch.errors import ConfigurationError

_TIMEOUTS: Final[Mapping[str, tuple[int, int]]] = {
    "sns": (5, 2),
    "secretsmanager": (4, 3),
    "ssm": (4, 3),
    "dynamodb": (4, 5),
    "lambda": (130, 1),
}
"""By service: the read time-out in seconds, and attempts in all.

A delivery waits for the first three, and is retried in the next round; without the table there is no round at all. An
invoked function may take its whole time, and must not be started twice."""


def aws_client(service: str, region: str | None = None) -> Any:  # noqa: ANN401 - one of many client types, by name
    """Make a low-level client with short time-outs and a few attempts that adapt to throttling.

    Raises ConfigurationError where AWS is not set up."""
    from botocore.config import Config  # noqa: PLC0415 - local commands need no AWS
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    seconds, attempts = _TIMEOUTS.get(service, (10, 3))
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        connect_timeout=2,
        read_timeout=seconds,
        max_pool_connections=32,
        parameter_validation=service != "dynamodb",  # a quarter of the CPU of a transaction of a hundred actions
    )
    try:
        return _session().create_client(service, region_name=region, config=config)
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS is not set up for {service}: {error}") from error


@cache
def _session() -> Any:  # noqa: ANN401 - has no stubs
    """Make the session that all clients share. botocore's, because boto3 loads S3 transfers, and with them
    multiprocessing, at every start."""
    from botocore.session import get_session  # noqa: PLC0415 - local commands need no AWS

    return get_session()
