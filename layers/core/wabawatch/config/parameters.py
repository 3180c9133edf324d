"""The configuration of those who have no file: a few variables of the environment, set by hand or by the template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from wabawatch.config.document import dotted
from wabawatch.config.model import DEPLOYMENT, Heartbeat
from wabawatch.config.section import Problem
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
    """The only hosts that an API key may be sent to; none where any may be. Who deploys says so, not who configures."""
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
    """How long history is kept where no file says so. Raises ConfigurationError that names the variable."""
    text = environment.get(_HISTORY_DAYS) or "400"
    if not re.fullmatch("[1-9][0-9]{0,4}", text):
        raise ConfigurationError(f"{_HISTORY_DAYS} is {text[:20]!r}; write a whole number of days, such as 400")
    return timedelta(days=int(text))


class Parameters:
    """The environment as the plain values of a configuration. A variable that is empty counts as not set, because the
    template passes every one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._variables: dict[str, str] = {}

    @property
    def value(self) -> dict[str, Any]:
        """Raises ConfigurationError where not even a key is given."""
        target = {"id": TARGET, "name": "WhatsApp number", "api_key": self._api_key()}
        address = self._first("source.base_url", *_BASE_URLS)
        return {
            "targets": [target],
            "destinations": self._destinations(),
            **({"source": {"base_url": self._environment[address]}} if address else {}),
        }

    def refuse(self, problems: list[Problem]) -> ConfigurationError:
        """One error; a problem is placed by the variable that holds the value."""
        lines = (f"{self._variables.get(dotted(one.path), 'environment')}: {one.text}" for one in problems)
        return ConfigurationError("\n".join(lines))

    def _api_key(self) -> str:
        if self._first("targets[0].api_key", _KEY, _KEY_SECRET) is None:
            raise ConfigurationError(
                f"no configuration: name a file with --config or WABAWATCH_CONFIG, or, for one number, set {_KEY};"
                " to see it work first: wabawatch demo"
            )
        return f"env:{_KEY}" if self._environment.get(_KEY) else f"secretsmanager:{self._environment[_KEY_SECRET]}"

    def _destinations(self) -> dict[str, dict[str, Any]]:
        """Beside Slack, nobody has to subscribe to the stack's topic: who wants no mail gives no address."""
        slack = self._first("destinations.slack.webhook_url", _SLACK, _SLACK_SECRET)
        topic = self._first("destinations.alerts.topic_arn", _TOPIC)
        found: dict[str, dict[str, Any]] = {}
        if topic or not slack:
            found |= usual_destinations(self._environment)
        if slack and topic:
            found["alerts"]["may_be_empty"] = True
        if slack:
            reference = f"env:{_SLACK}" if slack == _SLACK else f"secretsmanager:{self._environment[slack]}"
            found["slack"] = {"kind": "slack", "webhook_url": reference}
        return found

    def _first(self, place: str, *names: str) -> str | None:
        """The first of these variables that is set, remembered as what fills this place."""
        name = next((name for name in names if self._environment.get(name)), None)
        if name:
            self._variables[place] = name
        return name
