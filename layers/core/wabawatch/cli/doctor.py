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
from wabawatch.domain.phrases import counted


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
    $ wabawatch --config fleet.yaml doctor --interval 1m    # a monitor on this machine
    """,
)
@click.option("--send-test", is_flag=True, help="Deliver a marked test to every destination, too.")
@click.option(
    "--interval", type=Duration(), default="5m", show_default=True, help="Between runs; a stack knows its own."
)
@as_json
def doctor(send_test: bool, interval: timedelta, as_json: bool) -> int:
    """Examine the deployment: the stack and its schedule, the configuration and the secrets it refers to, the last run
    and its coverage, deliveries, subscriptions, dead letters and alarms. What is wrong comes with what to do.

    Exit code: 0 all is well, 1 there is something to do.
    """
    own = session()
    app = own.application()
    patient = Patient(app, interval_of(own.found, interval), own.found)
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
        f"{counted(len(faults), 'thing')} to do" if faults else "all is well", "bold red" if faults else "green"
    )
