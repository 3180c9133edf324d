"""The AWS account and the deployment that are verified: calls to AWS, and errors that name the missing permission."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import ClientError

from wabawatch.adapters import stack as deployed
from wabawatch.bootstrap import Monitor
from wabawatch.cli.verify_aws.timer import Timer
from wabawatch.errors import ConfigurationError, WabawatchError

_DENIED: Final = re.compile("AccessDenied|AuthorizationError|UnauthorizedOperation|NotAuthorized")
_NAMED: Final = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")
_RENAMED: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion",
}
"""Operations whose action has another name."""


class MissingRightError(WabawatchError):
    """The credentials may not do something. `action` is as IAM writes it."""

    def __init__(self, action: str) -> None:
        super().__init__(f"not allowed: {action}")
        self.action = action


class Account:
    """What checks ask. Every call raises MissingRightError, or another WabawatchError."""

    def __init__(
        self, stack: deployed.Stack, application: Monitor, clients: Callable[[str], Any], timer: Timer
    ) -> None:
        self.stack = stack
        self.application = application
        self.timer = timer
        self._clients = clients
        self._made: dict[str, Any] = {}

    def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:  # noqa: ANN401 - many shapes
        answer: Mapping[str, Any] = self._ask(lambda: getattr(self.client(service), operation)(**parameters), service)
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:  # noqa: ANN401 - many shapes
        """All items of a paged answer."""
        paginator = self.client(service).get_paginator(operation)
        pages = self._ask(lambda: list(paginator.paginate(**parameters)), service)
        return [item for page in pages for item in page.get(key, ())]

    def client(self, service: str) -> Any:  # noqa: ANN401 - one of many client types, by name
        if service not in self._made:
            self._made[service] = self._clients(service)
        return self._made[service]

    def ask_deployed(self, service: str, look: Callable[[deployed.Stack, Callable[[str], Any]], Any]) -> Any:  # noqa: ANN401 - as above
        """One of the stack adapter's questions."""
        return self._ask(lambda: look(self.stack, self.client), service)

    def _ask(self, call: Callable[[], Any], service: str) -> Any:  # noqa: ANN401 - as above
        try:
            return deployed.asked(call)
        except WabawatchError as error:
            if (action := missing_right(error.__cause__, service)) is not None:
                raise MissingRightError(action) from error
            raise

    # --- the deployment

    @cached_property
    def resources(self) -> Mapping[str, deployed.Resource]:
        found: Mapping[str, deployed.Resource] = self.ask_deployed("cloudformation", deployed.resources)
        return found

    def output(self, name: str) -> str:
        """Raises ConfigurationError where the stack has no such output."""
        if name not in self.stack.outputs:
            raise ConfigurationError(f"stack {self.stack.name} has no output {name}: deploy this version first")
        return self.stack.outputs[name]

    @property
    def functions(self) -> dict[str, str]:
        """Function names by purpose."""
        return {"poll": self.output("PollFunctionName"), "notify": self.output("NotifyFunctionName")}

    @property
    def topics(self) -> dict[str, str]:
        """Topic ARNs: those of the destinations by the destination's name, and those of the monitor's own alarms."""
        places = self.application.settings.destinations.items()
        found = {name: getattr(one.options, "topic_arn", "") for name, one in places}
        return {name: arn for name, arn in (found | self.alarm_topics).items() if arn}

    @property
    def alarm_topics(self) -> dict[str, str]:
        """The topics that the alarms of the stack speak to: its own, and one that was given to it."""
        outputs = self.stack.outputs
        arns = outputs.get("AlarmTopicArns") or outputs.get("MonitorTopicArn", "")
        return {f"{MONITOR} ({arn.rpartition(':')[2]})": arn for arn in arns.split(",") if arn}


MONITOR: Final = "the monitor's own alarms"


def missing_right(error: BaseException | None, service: str) -> str | None:
    """The action that was denied, or None. AWS names it in most messages; otherwise it has the operation's name."""
    if not isinstance(error, ClientError):
        return None
    about = error.response.get("Error", {})
    if not _DENIED.search(str(about.get("Code", ""))):
        return None
    if named := _NAMED.search(str(about.get("Message", ""))):
        return named[1]
    action = f"{service}:{error.operation_name}"
    return _RENAMED.get(action, action)
