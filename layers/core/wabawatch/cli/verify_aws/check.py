"""The parts of a check: the AWS account, what a check is, and how checks run side by side."""

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
    """A clock that nobody can set, in seconds, and the process's own pause. Tests replace both."""

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self.now = now
        self.sleep = sleep


_DENIED: Final = re.compile("AccessDenied|AuthorizationError|UnauthorizedOperation|NotAuthorized")
_NAMED: Final = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")
_RENAMED: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:GetLayerVersionByArn": "lambda:GetLayerVersion",
}
"""Operations whose action has another name."""


class MissingPermissionError(WabawatchError):
    """The credentials may not do something. `action` is as IAM writes it."""

    def __init__(self, action: str) -> None:
        super().__init__(f"not allowed: {action}")
        self.action = action


class Account:
    """What checks ask. Every call raises MissingPermissionError, or another WabawatchError."""

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


def missing_permission(error: BaseException | None, service: str) -> str | None:
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


LIMIT: Final = 3600.0
"""Seconds for all checks together; each has shorter limits of its own."""


class Outcome(StrEnum):
    """How a check ended: what it shows holds; something is wrong; or nothing can be said."""

    PROVEN = "was_available"
    FINDING = "finding"
    UNCHECKED = "unchecked"


class Verdict(msgspec.Struct, frozen=True):
    """One thing that a check found out. `todo` says what to do where it is not proven."""

    outcome: Outcome
    said: str
    todo: str = ""


class Pause(msgspec.Struct, frozen=True):
    """Let the other checks go on, and come back after so many seconds."""

    seconds: float


Step = Verdict | Pause


class Check(msgspec.Struct, frozen=True):
    """`actions`: what the operator's permissions must allow. `changes`: what it creates and removes again, or sends.
    `asks`: the question before it, where it sends something to people; `receipt`: the question after it, to which only
    they know the answer."""

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
    """Yield results as they come. `on_wait` gets the names of the checks that wait, where these are others than before.

    Whoever closes the generator, or an interrupt, ends every check at once: each removes
    what it created."""
    end = timer.now() + LIMIT
    running = [_Running(check, account) for check in checks]
    notified: list[str] = []
    with ExitStack() as cleanup:
        for each in running:
            cleanup.callback(each.steps.close)  # type: ignore[attr-defined] # steps are generators
        while running:
            for each in [one for one in running if one.due <= timer.now()]:
                yield from _advance(each, running, timer)
            if timer.now() >= end:
                late = unchecked("it took longer than an hour in all", "run the verification again")
                yield from (_result(one.check, late) for one in running)
                return
            if (names := [one.check.name for one in running]) != notified:
                on_wait(notified := names)
            if running and (wait := min(one.due for one in running) - timer.now()) > 0:
                timer.sleep(wait)


def _advance(each: _Running, running: list[_Running], timer: Timer) -> Iterator[Result]:
    """Take verdicts until the check pauses or ends."""
    while True:
        step = _next(each)
        if isinstance(step, Pause):
            each.due = timer.now() + step.seconds
            return
        if step is not None:
            yield _result(each.check, step)
            continue
        running.remove(each)
        return


def _next(each: _Running) -> Step | None:
    """The next step; a check that fails says why and has ended: a generator that raised yields nothing more."""
    try:
        return next(each.steps, None)
    except MissingPermissionError as error:
        return unchecked(f"not allowed: {error.action}", f"allow {error.action} to whoever verifies")
    except WabawatchError as error:
        return unchecked(str(error), "put that right and verify again")
    except Exception as error:  # noqa: BLE001 - a border: one check must not end an hour's others
        return unchecked(f"unexpected {describe_place(error)}, a bug", "report it")


def _result(check: Check, verdict: Verdict) -> Result:
    return Result(check.name, verdict.outcome, verdict.said, verdict.todo)
