"""Checks of the deployment and of the account's quotas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from wabawatch.adapters import cloudformation as deployed
from wabawatch.application.credentials import find_references
from wabawatch.cli.stack_checks import interval_of
from wabawatch.cli.verify_aws.check import Account, Step, finding, proven
from wabawatch.config import effective
from wabawatch.messages.text import humanize_duration, pluralize

LAYER_AGE: Final = timedelta(days=31)
"""The layer brings OpenSSL and the certificate authorities; AWS updates neither."""
_USUAL_INTERVAL: Final = timedelta(minutes=5)
_METRICS_LATE: Final = timedelta(minutes=5)
"""CloudWatch shows a minute's metrics some minutes later."""
_LOOK_BACK: Final = timedelta(hours=3)
_NAMESPACE: Final = "Wabawatch"
_DEPLOYMENT: Final = "deployment"


def schedules(account: Account) -> Iterator[Step]:
    """Both are on, and both functions were started lately: Scheduler itself does not say when it last ran."""
    found: Mapping[str, deployed.Schedule | None] = account.ask_deployed("scheduler", deployed.list_schedules)
    for purpose, one in found.items():
        if one is None:
            yield finding(f"the schedule of {purpose} does not exist", "deploy again")
        elif not one.is_on:
            yield finding(f"the schedule of {purpose} is off", f"enable schedule {one.name}")
    intervals = {"poll": interval_of(account.stack, _USUAL_INTERVAL), "notify": timedelta(minutes=1)}
    dropped, started = _starts(account)
    for purpose, interval in intervals.items():
        last = started[purpose]
        age = None if last is None else account.application.clock.now() - last
        if age is None or age > 2 * interval + _METRICS_LATE:
            said = (
                "was not started in the last three hours"
                if age is None
                else f"was last started {humanize_duration(age)} ago"
            )
            yield finding(f"{purpose} {said}", "read ScheduleDeadLetterQueue and the alarms on throttles")
        else:
            schedule = found.get(purpose)
            how = f", {schedule.expression}" if schedule else ""
            yield proven(f"{purpose} was started {humanize_duration(age)} ago{how}")
    if dropped:
        yield finding(
            f"Scheduler gave up {pluralize(dropped, 'start')} lately", "read ScheduleDeadLetterQueue: it says why"
        )


def _starts(account: Account) -> tuple[int, dict[str, datetime | None]]:
    """How many starts Scheduler gave up, and when each function was last started, by CloudWatch's metrics."""
    group = account.output("ScheduleName").partition("/")[0]
    wanted = {
        purpose: ("AWS/Lambda", "Invocations", "FunctionName", name) for purpose, name in account.functions.items()
    }
    wanted["dropped"] = ("AWS/Scheduler", "InvocationDroppedCount", "ScheduleGroup", group)
    found = sums(account, wanted, _LOOK_BACK)
    started = {purpose: max(found[purpose], default=None) for purpose in account.functions}
    return sum(found["dropped"].values()), started


def sums(
    account: Account, wanted: Mapping[str, tuple[str, str, str, str]], back: timedelta
) -> dict[str, dict[datetime, int]]:
    """The sums by minute that are not zero of metrics: namespace, name, and one dimension's name and value."""
    now = account.application.clock.now()
    queries = [
        {
            "Id": label,
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": name, "Dimensions": [{"Name": key, "Value": value}]},
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for label, (namespace, name, key, value) in wanted.items()
    ]
    results = account.pages(
        "cloudwatch",
        "get_metric_data",
        "MetricDataResults",
        MetricDataQueries=queries,
        StartTime=now - back,
        EndTime=now + timedelta(minutes=1),
    )
    found: dict[str, dict[datetime, int]] = {label: {} for label in wanted}
    for one in results:
        values = zip(one["Timestamps"], one["Values"], strict=True)
        found[one["Id"]] |= {at: int(value) for at, value in values if value}
    return found


def event_sources(account: Account) -> Iterator[Step]:
    """The shard queue starts poll, and the table's stream starts notify."""
    for purpose, source, what in (("poll", ":sqs:", "the shard queue"), ("notify", ":dynamodb:", "the table's stream")):
        name = account.functions[purpose]
        mappings = account.pages("lambda", "list_event_source_mappings", "EventSourceMappings", FunctionName=name)
        mapping = next((one for one in mappings if source in one.get("EventSourceArn", "")), None)
        yield _of_mapping(purpose, what, mapping)


def _of_mapping(purpose: str, what: str, mapping: Mapping[str, Any] | None) -> Step:
    if mapping is None:
        return finding(f"{what} does not start {purpose}", "deploy again")
    state, result = mapping.get("State", ""), mapping.get("LastProcessingResult", "")
    if state != "Enabled":
        return finding(f"{what} does not start {purpose}: {state}", f"enable event source mapping {mapping['UUID']}")
    if result.startswith("PROBLEM"):
        return finding(f"{what} starts {purpose}, but: {result}", f"read the log of {purpose}")
    return proven(f"{what} starts {purpose}{f', last result: {result}' if result else ''}")


def table(account: Account) -> Iterator[Step]:
    """It can be restored to any second, forgets what is old, has its stream, and cannot be deleted by mistake."""
    name = account.output("TableName")
    backups = account.call("dynamodb", "describe_continuous_backups", TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    ttl = account.call("dynamodb", "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
    described = account.call("dynamodb", "describe_table", TableName=name)["Table"]
    again = "deploy again: the template says so"
    yield _holds(
        recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
        f"the table can be restored to any second since {recovery.get('EarliestRestorableDateTime', 'now')}",
        "point-in-time recovery of the table is off",
        again,
    )
    yield _holds(
        ttl.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"} and ttl.get("AttributeName") == "expires_at",
        "old rows are removed by their expires_at",
        f"time to live is {ttl.get('TimeToLiveStatus')}: old rows are never removed",
        again,
    )
    yield _holds(
        bool(described.get("StreamSpecification", {}).get("StreamEnabled")),
        "the table has its stream",
        "the table has no stream: notify is started by its schedule alone",
        again,
    )
    yield _holds(
        bool(described.get("DeletionProtectionEnabled")),
        "the table cannot be deleted by mistake",
        "the table has no deletion protection",
        f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled",
    )


def _holds(holds: object, said: str, otherwise: str, todo: str) -> Step:
    return proven(said) if holds else finding(otherwise, todo)


def termination_protection(account: Account) -> Iterator[Step]:
    name = account.stack.name
    (stack,) = account.call("cloudformation", "describe_stacks", StackName=name)["Stacks"]
    yield _holds(
        stack.get("EnableTerminationProtection"),
        "the stack cannot be deleted by mistake",
        "the stack has no termination protection",
        f"aws cloudformation update-termination-protection --enable-termination-protection --stack-name {name}",
    )


def layer(account: Account) -> Iterator[Step]:
    """How old the layer is, and whether it is built for the functions' processor."""
    seen: dict[str, Mapping[str, Any]] = {}
    for purpose, name in account.functions.items():
        function = account.call("lambda", "get_function_configuration", FunctionName=name)
        processors = set(function.get("Architectures", ("x86_64",)))
        for one in function.get("Layers", ()):
            arn = one["Arn"]
            if arn not in seen:
                seen[arn] = account.call("lambda", "get_layer_version_by_arn", Arn=arn)
                yield _age(account, arn, seen[arn]["CreatedDate"])
            if not processors <= set(seen[arn].get("CompatibleArchitectures", processors)):
                said = f"the layer of {purpose} is not built for {', '.join(sorted(processors))}"
                yield finding(said, "make deploy, with the ARCHITECTURE that the functions have")
    if not seen:
        yield finding("the functions have no layer", "deploy again")


def _age(account: Account, arn: str, created: str) -> Step:
    age = account.application.clock.now() - datetime.strptime(created, "%Y-%m-%dT%H:%M:%S.%f%z")
    said = f"layer {arn.rpartition(':layer:')[2]} is {pluralize(age.days, 'day')} old"
    if age <= LAYER_AGE:
        return proven(said)
    return finding(f"{said}: so are its OpenSSL and its certificate authorities", "rebuild and deploy it each month")


def metrics(account: Account) -> Iterator[Step]:
    """Each alarm on the functions' own metrics watches this deployment's, and those that must exist do."""
    alarms = [one for one in stack_alarms(account)["MetricAlarms"] if one.get("Namespace") == _NAMESPACE]
    own = {"Name": _DEPLOYMENT, "Value": account.stack.name}
    join_limited = account.pages("cloudwatch", "list_metrics", "Metrics", Namespace=_NAMESPACE, Dimensions=[own])
    existing = {_identity(one) for one in join_limited}
    wrong = [one["AlarmName"] for one in alarms if own not in one["Dimensions"]]
    for name in wrong:
        yield finding(f"alarm {name} also watches other deployments of this account", "deploy again: `make deploy`")
    needed = [one for one in alarms if one.get("TreatMissingData") == "breaching" and one["AlarmName"] not in wrong]
    missing = [one for one in needed if _identity(one) not in existing]
    for one in missing:
        said = f"metric {one['MetricName']} of this deployment does not exist, so alarm {one['AlarmName']} always rings"
        yield finding(said, "wait for ten minutes after a deployment; then read the functions' logs")
    if alarms and not wrong and not missing:
        yield proven(
            f"{pluralize(len(alarms), 'alarm')} on {pluralize(len(existing), 'metric')} of this deployment alone"
        )
    if not alarms:
        yield finding("the stack has no alarm on its own metrics", "deploy again")


def _identity(metric: Mapping[str, Any]) -> tuple[str, frozenset[tuple[str, str]]]:
    """CloudWatch tells metrics apart by name and all dimensions."""
    return metric["MetricName"], frozenset((one["Name"], one["Value"]) for one in metric["Dimensions"])


def stack_alarms(account: Account) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The stack's own alarms; a prefix would find those of a stack with a longer name, too."""
    kinds = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
    names = [one.id for one in account.resources.values() if one.type in kinds]
    found = account.call(
        "cloudwatch",
        "describe_alarms",
        AlarmNames=names or ["-"],
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        MaxRecords=100,
    )
    return {kind: found.get(kind, []) for kind in ("MetricAlarms", "CompositeAlarms")}


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
    return [one for one in find_references(effective(account.application.settings)) if one.startswith(scheme)]


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
