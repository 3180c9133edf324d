"""Run the checks for a person: questions first, results as they come, receipts at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

import click
import msgspec
from rich.text import Text

from wabawatch.adapters.aws import aws_client
from wabawatch.cli.exit_codes import FAULTS, OK
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import Session
from wabawatch.cli.verify_aws import delivery, deployment, topics
from wabawatch.cli.verify_aws.check import Account, Check, Outcome, Result, Timer, run_checks
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
    open_incidents_latest_first = sum(one.outcome is Outcome.UNCHECKED for one in results)
    said = [pluralize(findings, "finding")] if findings else []
    said += [f"{open_incidents_latest_first} not checked"] if open_incidents_latest_first else []
    return Text(
        ", ".join(said) or "all is proven",
        "bold red" if findings else "yellow" if open_incidents_latest_first else "green",
    )


_LISTEN: Final = (
    "sqs:CreateQueue",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:DeleteQueue",
    "sns:Subscribe",
    "sns:Unsubscribe",
)
"""What a temporary queue that is subscribed to a topic takes."""
CHECKS: Final = (
    Check(
        "leftovers",
        proves="nothing is left of a verification that was interrupted",
        steps=topics.remove_leftovers,
        actions=(
            "sns:ListSubscriptionsByTopic",
            "sns:Unsubscribe",
            "sns:ListTopics",
            "sns:DeleteTopic",
            "sqs:ListQueues",
            "sqs:DeleteQueue",
        ),
        changes="removes queues, topics and subscriptions named STACK-verify-…, older than an hour",
    ),
    Check(
        "schedules",
        proves="both schedules are on, and both functions were started lately",
        steps=deployment.schedules,
        actions=("scheduler:ListSchedules", "scheduler:GetSchedule", "cloudwatch:GetMetricData"),
    ),
    Check(
        "event sources",
        proves="the shard queue starts poll, and the table's stream starts notify",
        steps=deployment.event_sources,
        actions=("lambda:ListEventSourceMappings",),
    ),
    Check(
        "table",
        proves="the table can be restored to any second, removes old rows, has its stream, and cannot be deleted by "
        "mistake",
        steps=deployment.table,
        actions=("dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTimeToLive", "dynamodb:DescribeTable"),
    ),
    Check(
        "protection",
        proves="the stack cannot be deleted by mistake",
        steps=deployment.termination_protection,
        actions=("cloudformation:DescribeStacks",),
    ),
    Check(
        "layer",
        proves="the layer is built for the functions' processor and is not older than a month",
        steps=deployment.layer,
        actions=("lambda:GetFunctionConfiguration", "lambda:GetLayerVersion"),
    ),
    Check(
        "metrics",
        proves="the alarms watch this deployment's own metrics, which exist",
        steps=deployment.metrics,
        actions=("cloudformation:ListStackResources", "cloudwatch:DescribeAlarms", "cloudwatch:ListMetrics"),
    ),
    Check(
        "functions",
        proves="native libraries load on Lambda, and each role may read its secrets (keys of KMS included), its table "
        "and its configuration",
        steps=delivery.functions,
        actions=("lambda:InvokeFunction", "lambda:GetFunctionConfiguration"),
        changes="starts each function once; it reads, and changes nothing",
    ),
    Check(
        "cold start",
        proves="how long a cold start took, by Lambda's own measurement",
        steps=delivery.cold_start,
        actions=("logs:FilterLogEvents",),
    ),
    Check(
        "subscriptions",
        proves="every topic is heard by somebody, everybody confirmed, and no link in a mail unsubscribes them",
        steps=topics.subscriptions,
        actions=("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"),
    ),
    Check(
        "filter policies",
        proves="subscribers with a filter policy get what it accepts and nothing else, for each format and scope",
        steps=topics.filter_policies,
        actions=("sns:CreateTopic", "sns:DeleteTopic", "sns:Publish", *_LISTEN),
        changes="creates a topic and five queues that nobody else hears; takes up to 16 minutes",
    ),
    Check(
        "test alert",
        proves="the notify function reaches every destination under its own role, encrypted topics deliver, and no "
        "delivery failed",
        steps=delivery.deliver_test_alert,
        actions=("lambda:InvokeFunction", "cloudwatch:GetMetricData", *_LISTEN),
        changes="sends a marked test to every destination; subscribes a queue to each topic",
        asks="Send a marked test alert to everybody who gets alerts",
        receipt="Did everybody get the test alert",
    ),
    Check(
        "test alarm",
        proves="an alarm of CloudWatch comes through the monitor's topic",
        steps=delivery.ring_test_alarm,
        actions=(
            "cloudformation:ListStackResources",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:SetAlarmState",
            "cloudwatch:GetMetricData",
            *_LISTEN,
        ),
        changes="sets an alarm to ALARM and back to OK; subscribes a queue to the monitor's topic",
        asks="Ring an alarm, which is told to everybody who gets the monitor's own alarms",
        receipt="Did everybody get the alarm, and that it is over",
    ),
    Check(
        "quota: Lambda",
        proves="the account allows as many executions at once as this fleet needs",
        steps=deployment.lambda_concurrency,
        actions=("lambda:GetAccountSettings", "lambda:ListEventSourceMappings"),
    ),
    Check(
        "quota: DynamoDB",
        proves="the account allows the writes of an outage in which every number changes",
        steps=deployment.dynamodb_throughput,
        actions=("dynamodb:DescribeLimits",),
    ),
    Check(
        "quota: Parameter Store",
        proves="the parameters that hold secrets can be read in time",
        steps=deployment.parameter_throughput,
        actions=("ssm:GetServiceSetting",),
    ),
    Check(
        "quota: Secrets Manager",
        proves="the secrets can be read in time",
        steps=deployment.secret_rate,
        actions=(),
    ),
    Check(
        "quota: SMS",
        proves="where phones are subscribed, the account may send them messages",
        steps=deployment.sms_spending,
        actions=("sns:ListSubscriptionsByTopic", "sns:GetSMSAttributes", "sns:GetSMSSandboxAccountStatus"),
    ),
)
ACTIONS: Final = tuple(sorted({action for check in CHECKS for action in check.actions}))
"""All that whoever verifies must be allowed to do, besides what `doctor` needs."""
