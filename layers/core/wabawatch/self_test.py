"""The self-test of a function: its libraries, and what its role may do. It changes nothing.

Only `wabawatch doctor --verify-aws` asks: some things show only in the function's own environment and under its own
role. A write is tried with a condition that cannot hold, so that DynamoDB authorises it and then refuses it.
"""

from __future__ import annotations

import platform
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from typing import Any, Final, Literal

import msgspec

from wabawatch import __version__
from wabawatch.adapters.aws import aws_client
from wabawatch.application.credentials import find_references
from wabawatch.config import effective
from wabawatch.errors import ConfigurationError, WabawatchError, describe_place
from wabawatch.monitor import Monitor

Purpose = Literal["poll", "notify"]

_LIBRARIES: Final = ("msgspec", "pycurl", "certifi", "botocore")
"""The first two are compiled for one processor; certifi is as old as the authorities that probes trust."""
MAX_SECRETS: Final = 200
"""Read in one test: a fleet of thousands would take as long as a run."""
_NOWHERE: Final = {"pk": {"S": "SELF-TEST"}, "sk": {"S": "-"}}
"""The key of a row that never exists."""


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that the function tried; `error` says why it failed."""

    name: str
    error: str = ""


class SelfTestReport(msgspec.Struct, frozen=True):
    """The answer to a self-test."""

    function: str
    architecture: str
    versions: dict[str, str]
    tried: list[Trial]
    secrets: int
    """How many secrets were read, of `secrets_in_all`."""
    secrets_in_all: int
    delivered: list[Trial]


def run_self_test(
    monitor: Monitor, purpose: Purpose, *, state: str, queue_url: str | None, until: datetime, deliver: bool
) -> SelfTestReport:
    """Try what the function needs. `deliver` sends a marked test to every destination."""
    tried = [_try("the configuration", lambda: _refresh(monitor))]
    tried += _libraries()
    tried += _table(monitor, purpose, state)
    if queue_url is not None and purpose == "poll":
        ask = {"QueueUrl": queue_url, "AttributeNames": ["ApproximateNumberOfMessages"]}
        tried.append(_try("the shard queue", lambda: aws_client("sqs").get_queue_attributes(**ask)))
    wanted = _references(monitor, purpose)
    read = wanted[:MAX_SECRETS]
    monitor.secrets.refresh(read)
    tried += [_try(reference, lambda name=reference: monitor.secrets.key(name)) for reference in read]  # type: ignore[misc]
    delivered = list(_deliver(monitor, until)) if deliver else []
    return SelfTestReport(
        function=purpose,
        architecture=platform.machine(),
        versions=_versions(),
        tried=tried,
        secrets=len(read),
        secrets_in_all=len(wanted),
        delivered=delivered,
    )


def _try(name: str, work: Callable[[], object]) -> Trial:
    """Run one trial. Only the text of our own errors is returned: any other may quote a secret."""
    try:
        work()
    except WabawatchError as error:
        return Trial(name, str(error))
    except Exception as error:  # noqa: BLE001 - a border: each trial is one item, and must not stop the others
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        return Trial(name, str(code or describe_place(error)))
    return Trial(name)


def _refresh(monitor: Monitor) -> None:
    trouble = monitor.refresh()
    if trouble is not None:
        raise ConfigurationError(trouble.detail)


def _libraries() -> Iterator[Trial]:
    for name in _LIBRARIES:
        yield _try(f"import {name}", lambda: import_module(name))  # noqa: B023 - called at once


def _versions() -> dict[str, str]:
    found = {"wabawatch": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            module = import_module(name)
        except ImportError:
            continue
        found[name] = str(getattr(module, "version", None) or module.__version__)  # pycurl's says which TLS it has
    return found


def _table(monitor: Monitor, purpose: Purpose, state: str) -> Iterator[Trial]:
    store, now = monitor.store, monitor.clock.now()
    reads: dict[str, Callable[[], object]] = {
        "read the table": lambda: (store.document("self-test"), store.coverages(), store.snapshots(["self-test"])),
    }
    if purpose == "notify":
        reads["read the table's indexes"] = lambda: (store.due_incidents(now, limit=1), store.incidents(1))
    yield from (_try(name, work) for name, work in reads.items())
    kind, _, table = state.partition(":")
    if kind == "dynamodb":
        yield _try("write the table", lambda: _write_nothing(table))


def _write_nothing(table: str) -> None:
    """Put and delete a row on a condition that cannot hold: what is forbidden fails with another error."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only with AWS

    dynamodb = aws_client("dynamodb")
    never = {"TableName": table, "ConditionExpression": "attribute_exists(pk)"}
    calls: list[Callable[[], Any]] = [
        lambda: dynamodb.put_item(Item=_NOWHERE, **never),
        lambda: dynamodb.delete_item(Key=_NOWHERE, **never),
    ]
    for call in calls:
        try:
            call()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise


def _references(monitor: Monitor, purpose: Purpose) -> list[str]:
    """Of what this function alone reads: an API key is poll's, a destination's secret is notify's. None where there is
    no configuration, which was said already."""
    try:
        plain = effective(monitor.settings)
    except WabawatchError:
        return []
    section = plain["targets"] if purpose == "poll" else plain["destinations"]
    return sorted(find_references([section, plain["heartbeat"]]))


def _deliver(monitor: Monitor, until: datetime) -> Iterator[Trial]:
    from wabawatch.application.delivery import Deliverer, DeliveryTask  # noqa: PLC0415 - poll delivers nothing
    from wabawatch.messages.notification import build_sample  # noqa: PLC0415

    audience, now = monitor.audience, monitor.clock.now()
    tasks = [
        DeliveryTask(build_sample(name, audience.deployment, now, f"test-{secrets.token_hex(6)}", audience.advise))
        for name in monitor.notifiers
    ]
    for attempt in Deliverer(monitor.notifiers, monitor.clock).run(tasks, until):
        yield Trial(attempt.destination, str(attempt.error or ""))
