"""Types of a check, access to the AWS account, and the loop that runs checks concurrently."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from wabawatch.adapters import cloudformation as deployed
from wabawatch.adapters.aws import call_aws
from wabawatch.errors import ConfigurationError, WabawatchError, describe_place
from wabawatch.monitor import Monitor


class Timer:
    """A monotonic clock, in seconds, and a function that sleeps. Tests replace both."""

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self.now = now
        self.sleep = sleep


_DENIED: Final = re.compile("AccessDenied|AuthorizationError|UnauthorizedOperation|NotAuthorized")
_NAMED: Final = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")
_RENAMED: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion",
}
"""IAM actions whose name differs from the operation's."""


class MissingPermissionError(WabawatchError):
    """The credentials lack a permission. `action` is the IAM action, such as `sqs:CreateQueue`."""

    def __init__(self, action: str) -> None:
        super().__init__(f"not allowed: {action}")
        self.action = action


class Account:
    """Access of the checks to the AWS account. Every call raises MissingPermissionError, or another WabawatchError."""

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
        """Return all items of a paginated response."""
        paginator = self.client(service).get_paginator(operation)
        pages = self._ask(lambda: list(paginator.paginate(**parameters)), service)
        return [item for page in pages for item in page.get(key, ())]

    def client(self, service: str) -> Any:  # noqa: ANN401 - one of many client types, by name
        if service not in self._made:
            self._made[service] = self._clients(service)
        return self._made[service]

    def ask_deployed(self, service: str, look: Callable[[deployed.Stack, Callable[[str], Any]], Any]) -> Any:  # noqa: ANN401 - as above
        """Call a function of the CloudFormation adapter."""
        return self._ask(lambda: look(self.stack, self.client), service)

    def _ask(self, call: Callable[[], Any], service: str) -> Any:  # noqa: ANN401 - as above
        try:
            return call_aws(call)
        except WabawatchError as error:
            if (action := missing_permission(error.__cause__, service)) is not None:
                raise MissingPermissionError(action) from error
            raise

    # --- the deployment

    @cached_property
    def resources(self) -> Mapping[str, deployed.Resource]:
        found: Mapping[str, deployed.Resource] = self.ask_deployed("cloudformation", deployed.list_resources)
        return found

    def output(self, name: str) -> str:
        """Return an output of the stack; raises ConfigurationError when it does not exist."""
        if name not in self.stack.outputs:
            raise ConfigurationError(f"stack {self.stack.name} has no output {name}: deploy this version first")
        return self.stack.outputs[name]

    @property
    def functions(self) -> dict[str, str]:
        """Return function names by purpose."""
        return {"poll": self.output("PollFunctionName"), "notify": self.output("NotifyFunctionName")}

    @property
    def topics(self) -> dict[str, str]:
        """Return topic ARNs: of destinations by destination name, and of the monitor's own alarms."""
        destinations = self.application.settings.destinations.items()
        found = {name: getattr(destination.options, "topic_arn", "") for name, destination in destinations}
        return {name: arn for name, arn in (found | self.alarm_topics).items() if arn}

    @property
    def alarm_topics(self) -> dict[str, str]:
        """Return the topics that get the alarms of the stack: its own, and MonitorTopicArn."""
        outputs = self.stack.outputs
        arns = outputs.get("AlarmTopicArns") or outputs.get("MonitorTopicArn", "")
        return {f"{MONITOR} ({arn.rpartition(':')[2]})": arn for arn in arns.split(",") if arn}


MONITOR: Final = "the monitor's own alarms"


def missing_permission(error: BaseException | None, service: str) -> str | None:
    """Return the denied IAM action, or None. Most messages name it; otherwise derive it from the operation's name."""
    if not isinstance(error, ClientError):
        return None
    about = error.response.get("Error", {})
    if not _DENIED.search(str(about.get("Code", ""))):
        return None
    if named := _NAMED.search(str(about.get("Message", ""))):
        return named[1]
    action = f"{service}:{error.operation_name}"
    return _RENAMED.get(action, action)


LIMIT: Final = 3600.0
"""Seconds for all checks together; each check has shorter limits."""


class Outcome(StrEnum):
    """Outcome of a check: passed, failed, or could not be checked."""

    PROVEN = "proven"
    FINDING = "finding"
    UNCHECKED = "unchecked"


class Verdict(msgspec.Struct, frozen=True):
    """One finding of a check. `todo` is the advice when it is not proven."""

    outcome: Outcome
    said: str
    todo: str = ""


class Pause(msgspec.Struct, frozen=True):
    """Ask to be resumed after so many seconds; other checks run meanwhile."""

    seconds: float


Step = Verdict | Pause


class Check(msgspec.Struct, frozen=True):
    """Define a check.

    `actions`: IAM actions that it needs. `changes`: what it creates and removes, or sends. `asks`: the confirmation
    before it runs, if it sends messages to people. `receipt`: the question afterwards whether these people got them.
    """

    name: str
    proves: str
    steps: Callable[[Account], Iterator[Step]]
    actions: tuple[str, ...]
    changes: str = ""
    asks: str = ""
    receipt: str = ""


class Result(msgspec.Struct, frozen=True):
    """A verdict with the name of its check."""

    check: str
    outcome: Outcome
    said: str
    todo: str = ""


def proven(said: str) -> Verdict:
    return Verdict(Outcome.PROVEN, said)


def finding(said: str, todo: str) -> Verdict:
    return Verdict(Outcome.FINDING, said, todo)


def unchecked(said: str, todo: str = "") -> Verdict:
    return Verdict(Outcome.UNCHECKED, said, todo)


class _Running:
    def __init__(self, check: Check, account: Account) -> None:
        self.check = check
        self.steps = check.steps(account)
        self.due = 0.0


def run_checks(
    checks: Sequence[Check], account: Account, timer: Timer, on_wait: Callable[[Sequence[str]], None] = lambda _: None
) -> Generator[Result]:
    """Yield results as they come. `on_wait` gets the names of the waiting checks, whenever these change.

    Closing the generator, or an interrupt, ends all checks; each removes what it created."""
    end = timer.now() + LIMIT
    running = [_Running(check, account) for check in checks]
    shown: list[str] = []
    with ExitStack() as cleanup:
        for task in running:
            cleanup.callback(task.steps.close)  # type: ignore[attr-defined] # steps are generators
        while running:
            for task in [task for task in running if task.due <= timer.now()]:
                yield from _advance(task, running, timer)
            if timer.now() >= end:
                late = unchecked("not finished within one hour", "run the verification again")
                yield from (_result(task.check, late) for task in running)
                return
            if (names := [task.check.name for task in running]) != shown:
                on_wait(shown := names)
            if running and (wait := min(task.due for task in running) - timer.now()) > 0:
                timer.sleep(wait)


def _advance(task: _Running, running: list[_Running], timer: Timer) -> Iterator[Result]:
    """Yield results until the check pauses or ends."""
    while True:
        step = _next(task)
        if isinstance(step, Pause):
            task.due = timer.now() + step.seconds
            return
        if step is not None:
            yield _result(task.check, step)
            continue
        running.remove(task)
        return


def _next(task: _Running) -> Step | None:
    """Return the next step, None at the end. An exception becomes a verdict, and ends the check."""
    try:
        return next(task.steps, None)
    except MissingPermissionError as error:
        return unchecked(
            f"not allowed: {error.action}", f"allow {error.action} for the credentials that run the verification"
        )
    except WabawatchError as error:
        return unchecked(str(error), "fix this and run the verification again")
    except Exception as error:  # noqa: BLE001 - isolation border: one check must not end the others
        return unchecked(f"unexpected {describe_place(error)}, a bug", "report it")


def _result(check: Check, verdict: Verdict) -> Result:
    return Result(check.name, verdict.outcome, verdict.said, verdict.todo)
