"""The list of checks, each with what it proves and what it needs to be allowed to do."""

from __future__ import annotations

from typing import Final

from wabawatch.cli.verify_aws import deployment, functions, messages, quotas, temporary
from wabawatch.cli.verify_aws.check import Check

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
        steps=temporary.remove_leftovers,
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
        steps=functions.functions,
        actions=("lambda:InvokeFunction", "lambda:GetFunctionConfiguration"),
        changes="starts each function once; it reads, and changes nothing",
    ),
    Check(
        "cold start",
        proves="how long a cold start took, by Lambda's own measurement",
        steps=functions.cold_start,
        actions=("logs:FilterLogEvents",),
    ),
    Check(
        "subscriptions",
        proves="every topic is heard by somebody, everybody confirmed, and no link in a mail unsubscribes them",
        steps=messages.subscriptions,
        actions=("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"),
    ),
    Check(
        "filter policies",
        proves="subscribers with a filter policy get what it accepts and nothing else, for each format and scope",
        steps=messages.filter_policies,
        actions=("sns:CreateTopic", "sns:DeleteTopic", "sns:Publish", *_LISTEN),
        changes="creates a topic and five queues that nobody else hears; takes up to 16 minutes",
    ),
    Check(
        "test alert",
        proves="the notify function reaches every destination under its own role, encrypted topics deliver, and no "
        "delivery failed",
        steps=messages.deliver_test_alert,
        actions=("lambda:InvokeFunction", "cloudwatch:GetMetricData", *_LISTEN),
        changes="sends a marked test to every destination; subscribes a queue to each topic",
        asks="Send a marked test alert to everybody who gets alerts",
        receipt="Did everybody get the test alert",
    ),
    Check(
        "test alarm",
        proves="an alarm of CloudWatch comes through the monitor's topic",
        steps=messages.ring_test_alarm,
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
        steps=quotas.lambda_concurrency,
        actions=("lambda:GetAccountSettings", "lambda:ListEventSourceMappings"),
    ),
    Check(
        "quota: DynamoDB",
        proves="the account allows the writes of an outage in which every number changes",
        steps=quotas.dynamodb_throughput,
        actions=("dynamodb:DescribeLimits",),
    ),
    Check(
        "quota: Parameter Store",
        proves="the parameters that hold secrets can be read in time",
        steps=quotas.parameter_throughput,
        actions=("ssm:GetServiceSetting",),
    ),
    Check(
        "quota: Secrets Manager",
        proves="the secrets can be read in time",
        steps=quotas.secret_rate,
        actions=(),
    ),
    Check(
        "quota: SMS",
        proves="where phones are subscribed, the account may send them messages",
        steps=quotas.sms_spending,
        actions=("sns:ListSubscriptionsByTopic", "sns:GetSMSAttributes", "sns:GetSMSSandboxAccountStatus"),
    ),
)

ACTIONS: Final = tuple(sorted({action for check in CHECKS for action in check.actions}))
"""All that whoever verifies must be allowed to do, besides what `doctor` needs."""
