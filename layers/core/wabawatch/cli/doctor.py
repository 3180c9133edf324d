"""`doctor`: examine a deployment, and say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click
import msgspec
from rich.text import Text

from wabawatch.cli.arguments import Duration
from wabawatch.cli.bounds import interval_of
from wabawatch.cli.examining import Finding, Patient, examine
from wabawatch.cli.exits import FAULTS, OK
from wabawatch.cli.options import Command, as_json
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import session
from wabawatch.messages.text import pluralize


class DoctorDocument(msgspec.Struct, frozen=True, tag_field="version", tag=1):
    """What `doctor --json` prints."""

    ok: bool
    findings: list[Finding]


@click.command(
    cls=Command,
    short_help="Examine a deployment and say what to do.",
    examples="""
    $ wabawatch doctor --stack wabawatch
    $ wabawatch doctor --stack wabawatch --send-test
    $ wabawatch doctor --stack wabawatch --verify-aws
    $ wabawatch doctor --stack wabawatch --purge    # what failed is read and repaired: empty the queues
    $ wabawatch --config fleet.yaml doctor --interval 1m    # a monitor on this machine
    """,
)
@click.option("--send-test", is_flag=True, help="Deliver a marked test to every destination, too.")
@click.option("--purge", is_flag=True, help="Delete what failed from the stack's three queues, once it was shown.")
@click.option(
    "--interval", type=Duration(), default="5m", show_default=True, help="Between runs; a stack knows its own."
)
@click.option(
    "--verify-aws",
    is_flag=True,
    help="Check instead what only a real AWS account can show: half an hour, with a test alert and a test alarm.",
)
@click.option("--yes", is_flag=True, help="With --verify-aws: send tests to people without asking.")
@as_json
def doctor(send_test: bool, purge: bool, interval: timedelta, verify_aws: bool, yes: bool, as_json: bool) -> int:
    """Examine the deployment: the stack and its schedule, the configuration and the secrets it refers to, the last run
    and its coverage, deliveries, subscriptions, dead letters and alarms. What is wrong comes with what to do.

    With --verify-aws: check instead what only a real AWS account can show; docs/verify-aws.md says what each check
    proves. What it creates it removes, and it asks before others get a message.

    Exit code: 0 all is well, 1 there is something to do.
    """
    own = session()
    if (yes and not verify_aws) or ((send_test or purge) and verify_aws):
        said = (
            "--yes goes with --verify-aws"
            if not verify_aws
            else "--verify-aws goes alone: leave --send-test and --purge out"
        )
        raise click.UsageError(said, click.get_current_context())
    if verify_aws:
        from wabawatch.cli.verify_aws.verification import verify  # noqa: PLC0415 - AWS only for those who ask for it

        return verify(own, agreed=yes, as_json=as_json)
    app = own.application()
    if purge and own.found is None:
        raise click.UsageError("say whose queues to empty: --stack NAME", click.get_current_context())
    patient = Patient(app, interval_of(own.found, interval), own.found, purge)
    findings = []
    for finding in examine(patient, send_test=send_test):
        findings.append(finding)
        if not as_json:
            _show(finding)
    is_well = all(one.ok for one in findings)
    if as_json:
        document(DoctorDocument(is_well, findings))
    else:
        show(_summary(findings))
    return OK if is_well else FAULTS


def _show(one: Finding) -> None:
    mark = Text("  ok  ", "green") if one.ok else Text("  NO  ", "bold red")
    show(mark + words(f"{one.subject}: ", "bold") + words(one.said))
    if one.todo:
        show(Text("      → ") + words(one.todo))


def _summary(findings: Sequence[Finding]) -> Text:
    faults = [one for one in findings if not one.ok]
    return Text(
        f"{pluralize(len(faults), 'thing')} to do" if faults else "all is well", "bold red" if faults else "green"
    )
