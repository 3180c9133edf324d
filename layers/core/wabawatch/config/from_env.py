"""The configuration of those who have no file: a few variables of the environment, set by hand or by the template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from wabawatch.config.model import DEPLOYMENT, Heartbeat
from wabawatch.errors import ConfigurationError

TARGET: Final = "number"
_KEY: Final = "D360_API_KEY"
_KEY_SECRET: Final = "WABAWATCH_API_KEY_SECRET"  # noqa: S105 - the name of a variable
_SLACK: Final = "SLACK_WEBHOOK_URL"
_SLACK_SECRET: Final = "WABAWATCH_SLACK_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
_HEARTBEAT_SECRET: Final = "WABAWATCH_HEARTBEAT_SECRET"  # noqa: S105 - the name of a variable
_TOPIC: Final = "WABAWATCH_ALERTS_TOPIC_ARN"
_BASE_URLS: Final = ("D360_BASE_URL", "WABAWATCH_BASE_URL")
API_HOSTS: Final = "WABAWATCH_API_HOSTS"
_HISTORY_DAYS: Final = "WABAWATCH_HISTORY_DAYS"
_DEPLOYMENT: Final = "WABAWATCH_DEPLOYMENT"


def deployment(environment: Mapping[str, str]) -> str:
    """The deployment's name where no file gives one: the stack's."""
    return environment.get(_DEPLOYMENT) or DEPLOYMENT


def api_hosts(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the only hosts that API keys may be sent to; none if any may be. Set by the deployment, not the file."""
    return frozenset(environment.get(API_HOSTS, "").lower().replace(",", " ").split())


def usual_destinations(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Where everything goes when no file names a destination: the stack's topic, or else the console."""
    topic = environment.get(_TOPIC)
    return {"alerts": {"kind": "sns", "topic_arn": topic}} if topic else {"console": {"kind": "console"}}


def usual_heartbeat(environment: Mapping[str, str]) -> Heartbeat | None:
    """The dead-man's switch where no file names one: the template's."""
    secret = environment.get(_HEARTBEAT_SECRET)
    return Heartbeat(f"secretsmanager:{secret}") if secret else None


def usual_history(environment: Mapping[str, str]) -> timedelta:
    """Return the retention of history without a file. Raises ConfigurationError that names the variable."""
    text = environment.get(_HISTORY_DAYS) or "400"
    if not re.fullmatch("[1-9][0-9]{0,4}", text):
        raise ConfigurationError(f"{_HISTORY_DAYS} is {text[:20]!r}; write a whole number of days, such as 400")
    return timedelta(days=int(text))


def read_parameters(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the plain values of a configuration, and by field the variable that fills it. A variable that is empty
    counts as not set, because the template passes every one. Raises ConfigurationError if not even a key is given."""
    variables: dict[str, str] = {}

    def first(field: str, *names: str) -> str | None:
        """Return the first of these variables that is set, and note that it fills this field."""
        name = next((name for name in names if environment.get(name)), None)
        if name:
            variables[field] = name
        return name

    key = first("targets[0].api_key", _KEY, _KEY_SECRET)
    if key is None:
        raise ConfigurationError(
            f"no configuration: name a file with --config or WABAWATCH_CONFIG, or, for one number, set {_KEY};"
            " to see it work first: wabawatch demo"
        )
    reference = f"env:{_KEY}" if key == _KEY else f"secretsmanager:{environment[key]}"
    slack = first("destinations.slack.webhook_url", _SLACK, _SLACK_SECRET)
    topic = first("destinations.alerts.topic_arn", _TOPIC)
    destinations: dict[str, dict[str, Any]] = {}
    if topic or not slack:
        destinations |= usual_destinations(environment)
    if slack and topic:  # the topic needs no subscriber: who wants no mail gives no address
        destinations["alerts"]["may_be_empty"] = True
    if slack:
        webhook = f"env:{_SLACK}" if slack == _SLACK else f"secretsmanager:{environment[slack]}"
        destinations["slack"] = {"kind": "slack", "webhook_url": webhook}
    value: dict[str, Any] = {
        "targets": [{"id": TARGET, "name": "WhatsApp number", "api_key": reference}],
        "destinations": destinations,
    }
    if address := first("source.base_url", *_BASE_URLS):
        value["source"] = {"base_url": environment[address]}
    return value, variables
