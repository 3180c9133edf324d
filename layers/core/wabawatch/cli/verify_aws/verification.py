"""List the checks, run them and show their results; ask for confirmation before, and for receipts afterwards."""

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
    """Output of `doctor --verify-aws --json`. `ok`: everything is proven."""

    ok: bool
    results: list[Result]


def verify(own: Session, *, agreed: bool, as_json: bool) -> int:
    """Run all checks and return the exit code: 0 if all is proven, 1 if something is wrong or could not be checked.

    Unless `agreed`, ask for confirmation before messages are sent to people."""
    application = own.application()
    if own.found is None:
        raise click.UsageError("--verify-aws needs --stack NAME, a deployed stack", click.get_current_context())
    account = Account(own.found, application, aws_client, Timer())
    results: list[Result] = []

    def report(result: Result) -> None:
        results.append(result)
        if not as_json:
            _show(result)

    chosen = [check for check in CHECKS if not check.asks or agreed or _agrees(check, report)]
    if not as_json:
        show(f"{pluralize(len(chosen), 'check')} in parallel; up to half an hour, an hour at most. Ctrl-C cleans up.")
    with closing(run_checks(chosen, account, account.timer, _wait_silently if as_json else _show_waiting)) as running:
        for result in running:
            report(result)
    if _has_terminal() and not as_json:
        for check in chosen:
            _ask_receipt(check, results, report)
    is_proven = all(result.outcome is Outcome.PROVEN for result in results)
    if as_json:
        document(VerificationDocument(is_proven, results))
    else:
        show(_summary(results))
    return OK if is_proven else FAULTS


def _agrees(check: Check, report: Callable[[Result], None]) -> bool:
    if _has_terminal() and click.confirm(check.asks, err=True):
        return True
    report(Result(check.name, Outcome.UNCHECKED, "not confirmed", "--yes confirms checks that send messages to people"))
    return False


def _ask_receipt(check: Check, results: Sequence[Result], report: Callable[[Result], None]) -> None:
    """Ask whether people received the messages, which AWS does not know; only if the check found nothing wrong."""
    mine = [result for result in results if result.check == check.name]
    if not check.receipt or any(result.outcome is not Outcome.PROVEN for result in mine):
        return
    if click.confirm(check.receipt, err=True):
        report(Result(check.name, Outcome.PROVEN, "everybody received it"))
        return
    todo = "check the subscriptions, spam folders, and each destination's own log"
    report(Result(check.name, Outcome.FINDING, "not everybody received it", todo))


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
    findings = sum(result.outcome is Outcome.FINDING for result in results)
    unchecked = sum(result.outcome is Outcome.UNCHECKED for result in results)
    said = [pluralize(findings, "finding")] if findings else []
    said += [f"{unchecked} not checked"] if unchecked else []
    return Text(
        ", ".join(said) or "all is proven",
        "bold red" if findings else "yellow" if unchecked else "green",
    )


_LISTEN: Final = (
    "sqs:CreateQueue",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:DeleteQueue",
    "sns:Subscribe",
    "sns:Unsubscribe",
)
"""Actions for a temporary queue that is subscribed to a topic."""
CHECKS: Final = (
    Check(
        "leftovers",
        proves="no resources are left from an interrupted verification",
        steps=topics.remove_leftovers,
        actions=(
            "sns:ListSubscriptionsByTopic",
            "sns:Unsubscribe",
            "sns:ListTopics",
            "sns:DeleteTopic",
            "sqs:ListQueues",
            "sqs:DeleteQueue",
        ),
        changes="removes queues, topics and subscriptions named STACK-verify-…, older than one hour",
    ),
    Check(
        "schedules",
        proves="both schedules are enabled, and both functions were started recently",
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
        changes="invokes each function once, read-only",
    ),
    Check(
        "cold start",
        proves="the time of a cold start, as measured by Lambda",
        steps=delivery.cold_start,
        actions=("logs:FilterLogEvents",),
    ),
    Check(
        "subscriptions",
        proves="every topic has subscribers, all are confirmed, and no link in an e-mail unsubscribes them",
        steps=topics.subscriptions,
        actions=("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"),
    ),
    Check(
        "filter policies",
        proves="subscribers with a filter policy get what it accepts and nothing else, for each format and scope",
        steps=topics.filter_policies,
        actions=("sns:CreateTopic", "sns:DeleteTopic", "sns:Publish", *_LISTEN),
        changes="creates a topic that has no other subscribers, and five queues; takes up to 16 minutes",
    ),
    Check(
        "test alert",
        proves="the notify function reaches every destination under its own role, encrypted topics deliver, and no "
        "delivery failed",
        steps=delivery.deliver_test_alert,
        actions=("lambda:InvokeFunction", "cloudwatch:GetMetricData", *_LISTEN),
        changes="sends a marked test to every destination; subscribes a queue to each topic",
        asks="Send a marked test alert to everybody who gets alerts",
        receipt="Did everybody receive the test alert",
    ),
    Check(
        "test alarm",
        proves="a CloudWatch alarm is delivered through the monitor's topic",
        steps=delivery.trigger_test_alarm,
        actions=(
            "cloudformation:ListStackResources",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:SetAlarmState",
            "cloudwatch:GetMetricData",
            *_LISTEN,
        ),
        changes="sets an alarm to ALARM and back to OK; subscribes a queue to the monitor's topic",
        asks="Set an alarm to ALARM, which notifies everybody who gets the monitor's own alarms",
        receipt="Did everybody receive the alarm and its recovery",
    ),
    Check(
        "quota: Lambda",
        proves="the account allows as many concurrent executions as this fleet needs",
        steps=deployment.lambda_concurrency,
        actions=("lambda:GetAccountSettings", "lambda:ListEventSourceMappings"),
    ),
    Check(
        "quota: DynamoDB",
        proves="the account allows the write units of an outage in which every number changes",
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
        proves="if phones are subscribed, the account can send SMS to them",
        steps=deployment.sms_spending,
        actions=("sns:ListSubscriptionsByTopic", "sns:GetSMSAttributes", "sns:GetSMSSandboxAccountStatus"),
    ),
)
ACTIONS: Final = tuple(sorted({action for check in CHECKS for action in check.actions}))
"""All IAM actions that the verification needs, besides those of `doctor`."""
