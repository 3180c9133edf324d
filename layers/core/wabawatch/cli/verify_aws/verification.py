"""Run the checks for a person: questions first, results as they come, and what only people know at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

import click
import msgspec
from rich.text import Text

from wabawatch.adapters.aws import aws_client
from wabawatch.cli.exits import FAULTS, OK
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import Session
from wabawatch.cli.verify_aws.account import Account
from wabawatch.cli.verify_aws.check import Check, Outcome, Result, run_checks
from wabawatch.cli.verify_aws.checks import CHECKS
from wabawatch.cli.verify_aws.timer import Timer
from wabawatch.messages.text import pluralize

_MARKS: Final = {
    Outcome.PROVEN: Text("  ok  ", "green"),
    Outcome.FINDING: Text("  NO  ", "bold red"),
    Outcome.UNCHECKED: Text("  ??  ", "yellow"),
}


class VerificationDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """What `doctor --verify-aws --json` prints. `ok`: everything is proven."""

    ok: bool
    results: list[Result]


def verify(own: Session, *, agreed: bool, as_json: bool) -> int:
    """Run all checks. Without `agreed`, people are asked before others get a message.

    The exit code: 0 all is proven, 1 something is wrong or could not be checked."""
    application = own.application()
    if own.found is None:
        raise click.UsageError("--verify-aws needs --stack NAME, a deployed stack", click.get_current_context())
    account = Account(own.found, application, aws_client, Timer())
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        if not as_json:
            _show(result)

    chosen = [check for check in CHECKS if not check.asks or agreed or _agrees(check, tell)]
    if not as_json:
        show(f"{pluralize(len(chosen), 'check')}, side by side; up to half an hour, an hour at most. Ctrl-C cleans up.")
    with closing(run_checks(chosen, account, account.timer, _wait_silently if as_json else _show_waiting)) as running:
        for result in running:
            tell(result)
    if _has_terminal() and not as_json:
        for check in chosen:
            _ask_receipt(check, results, tell)
    is_proven = all(one.outcome is Outcome.PROVEN for one in results)
    if as_json:
        document(VerificationDocument(is_proven, results))
    else:
        show(_summary(results))
    return OK if is_proven else FAULTS


def _agrees(check: Check, tell: Callable[[Result], None]) -> bool:
    if _has_terminal() and click.confirm(check.asks, err=True):
        return True
    tell(Result(check.name, Outcome.UNCHECKED, "not agreed to", "--yes agrees to what sends messages to people"))
    return False


def _ask_receipt(check: Check, results: Sequence[Result], tell: Callable[[Result], None]) -> None:
    """What arrived at people's own devices, only they know; asked only where everything else went well."""
    mine = [one for one in results if one.check == check.name]
    if not check.receipt or any(one.outcome is not Outcome.PROVEN for one in mine):
        return
    if click.confirm(check.receipt, err=True):
        tell(Result(check.name, Outcome.PROVEN, "everybody got it"))
        return
    todo = "look at the subscriptions, at spam folders, and at each destination's own log"
    tell(Result(check.name, Outcome.FINDING, "somebody did not get it", todo))


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _wait_silently(_: Sequence[str]) -> None: ...


def _show_waiting(names: Sequence[str]) -> None:
    if names:
        show(words(f"  ..  waiting for {', '.join(names)}", "dim"))


def _show(result: Result) -> None:
    show(_MARKS[result.outcome] + words(f"{result.check}: ", "bold") + words(result.said))
    if result.todo:
        show(Text("      → ") + words(result.todo))


def _summary(results: Sequence[Result]) -> Text:
    findings = sum(one.outcome is Outcome.FINDING for one in results)
    open_ones = sum(one.outcome is Outcome.UNCHECKED for one in results)
    said = [pluralize(findings, "finding")] if findings else []
    said += [f"{open_ones} not checked"] if open_ones else []
    return Text(", ".join(said) or "all is proven", "bold red" if findings else "yellow" if open_ones else "green")
