"""What a check is, and how checks are run side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Final

import msgspec

from wabawatch.cli.verify_aws.account import Account, MissingRightError
from wabawatch.cli.verify_aws.timer import Timer
from wabawatch.errors import WabawatchError, describe_place

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
    except MissingRightError as error:
        return unchecked(f"not allowed: {error.action}", f"allow {error.action} to whoever verifies")
    except WabawatchError as error:
        return unchecked(str(error), "put that right and verify again")
    except Exception as error:  # noqa: BLE001 - a border: one check must not end an hour's others
        return unchecked(f"unexpected {describe_place(error)}, a bug", "report it")


def _result(check: Check, verdict: Verdict) -> Result:
    return Result(check.name, verdict.outcome, verdict.said, verdict.todo)
