"""Checks of what AWS allows this account, against what this fleet needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from wabawatch.application.secret_reference import references
from wabawatch.cli.bounds import interval_of
from wabawatch.cli.verify_aws.account import Account
from wabawatch.cli.verify_aws.check import Step, finding, proven
from wabawatch.config import effective
from wabawatch.messages.text import pluralize

_NOTIFY_AT_ONCE: Final = 2
"""One that the schedule started, and one that the stream did."""
_WRITES_A_CHANGE: Final = 16
"""Write units, as the store's tests count them."""
_PARAMETERS_AT_ONCE: Final = 10
_PARAMETER_CALLS: Final = 40
"""Calls a second without higher throughput.
Source: https://docs.aws.amazon.com/general/latest/gr/ssm.html"""
_SECRETS_AT_ONCE: Final = 20
_SECRET_CALLS: Final = 100
"""Calls of BatchGetSecretValue a second; AWS does not raise it.
Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html"""
_PATIENCE: Final = 10.0
"""Seconds of a run that may go into reading secrets."""
_FIRST_SMS_LIMIT: Final = 1.0
"""Dollars a month that every account begins with: some dozens of messages."""
_HIGH_THROUGHPUT: Final = "/ssm/parameter-store/high-throughput-enabled"


def lambda_concurrency(account: Account) -> Iterator[Step]:
    limit = account.call("lambda", "get_account_settings")["AccountLimit"]
    free = int(limit["UnreservedConcurrentExecutions"])
    needed = 1 + _shards_at_once(account) + _NOTIFY_AT_ONCE
    said = f"{needed} executions at once are needed at most, and {free} are free for this account's functions"
    todo = "raise the quota `Concurrent executions` of Lambda in Service Quotas"
    yield proven(said) if free >= needed else finding(said, todo)


def _shards_at_once(account: Account) -> int:
    """How many shards may be polled at once; 0 where the fleet is polled in one piece."""
    latest = max(account.application.store.coverages(), key=lambda row: row.started_at, default=None)
    shards = 1 if latest is None else latest.of
    if shards == 1:
        return 0
    mappings = account.pages(
        "lambda", "list_event_source_mappings", "EventSourceMappings", FunctionName=account.functions["poll"]
    )
    allowed = [int(one.get("ScalingConfig", {}).get("MaximumConcurrency", shards)) for one in mappings]
    return min(shards, *allowed)


def dynamodb_throughput(account: Account) -> Iterator[Step]:
    """Whether all numbers could change between two runs, as in an outage of the provider."""
    limits = account.call("dynamodb", "describe_limits")
    allowed = int(limits["TableMaxWriteCapacityUnits"])
    interval = interval_of(account.stack, timedelta(minutes=5))
    targets = len(account.application.settings.targets)
    needed = -(-targets * _WRITES_A_CHANGE // int(interval.total_seconds()))
    said = f"if every number changed in one interval, {needed} write units a second; a table may have {allowed}"
    todo = "raise the quota `Table-level write throughput limit` of DynamoDB in Service Quotas"
    yield proven(said) if allowed >= needed else finding(said, todo)


def parameter_throughput(account: Account) -> Iterator[Step]:
    count = len(_places(account, "ssm:"))
    if not count:
        yield proven("the configuration names no parameter of Parameter Store")
        return
    setting = account.call("ssm", "get_service_setting", SettingId=_HIGH_THROUGHPUT)["ServiceSetting"]
    seconds = -(-count // _PARAMETERS_AT_ONCE) / _PARAMETER_CALLS
    said = f"{pluralize(count, 'parameter')} take {seconds:.1f} s to read at {_PARAMETER_CALLS} calls a second"
    if setting.get("SettingValue") == "true":
        yield proven(f"{pluralize(count, 'parameter')}, and the account has higher throughput")
    elif seconds <= _PATIENCE:
        yield proven(said)
    else:
        yield finding(said, "keep many keys in one JSON secret, or enable higher throughput of Parameter Store")


def secret_rate(account: Account) -> Iterator[Step]:
    count = len({one.partition("#")[0] for one in _places(account, "secretsmanager:")})
    seconds = -(-count // _SECRETS_AT_ONCE) / _SECRET_CALLS
    said = f"{pluralize(count, 'secret')} take {seconds:.1f} s to read at {_SECRET_CALLS} calls a second"
    yield proven(said) if seconds <= _PATIENCE else finding(said, "keep many keys in one JSON secret")


def _places(account: Account, scheme: str) -> list[str]:
    return [one for one in references(effective(account.application.settings)) if one.startswith(scheme)]


def sms_spending(account: Account) -> Iterator[Step]:
    """Only where a topic has a subscriber by SMS."""
    phones = 0
    for topic in account.topics.values():
        found = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
        phones += sum(one["Protocol"] == "sms" for one in found)
    if not phones:
        yield proven("no topic has a subscriber by SMS")
        return
    attributes = account.call("sns", "get_sms_attributes", attributes=["MonthlySpendLimit"])["attributes"]
    limit = float(attributes.get("MonthlySpendLimit", _FIRST_SMS_LIMIT))
    if account.call("sns", "get_sms_sandbox_account_status")["IsInSandbox"]:
        yield finding("the account is in the SMS sandbox: only verified phones get messages", "leave the SMS sandbox")
    said = f"{pluralize(phones, 'subscriber')} by SMS, and ${limit:g} a month may be spent"
    todo = "raise the quota `SMS spending` of SNS: when it is spent, messages are dropped silently"
    yield proven(said) if limit > _FIRST_SMS_LIMIT else finding(said, todo)
