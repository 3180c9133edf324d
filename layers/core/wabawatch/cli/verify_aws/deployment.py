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
"""The layer contains OpenSSL and the certificate authorities, which AWS does not update."""
_USUAL_INTERVAL: Final = timedelta(minutes=5)
_METRICS_LATE: Final = timedelta(minutes=5)
"""Delay until CloudWatch shows a minute's metrics."""
_LOOK_BACK: Final = timedelta(hours=3)
_NAMESPACE: Final = "Wabawatch"
_DEPLOYMENT: Final = "deployment"


def schedules(account: Account) -> Iterator[Step]:
    """Check that both schedules are enabled, and by metrics that both functions were started recently: Scheduler has no
    time of the last run."""
    found: Mapping[str, deployed.Schedule | None] = account.ask_deployed("scheduler", deployed.list_schedules)
    for purpose, schedule in found.items():
        if schedule is None:
            yield finding(f"the schedule of {purpose} does not exist", "deploy again")
        elif not schedule.is_on:
            yield finding(f"the schedule of {purpose} is off", f"enable schedule {schedule.name}")
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
            f"Scheduler dropped {pluralize(dropped, 'invocation')} recently",
            "read ScheduleDeadLetterQueue for the reason",
        )


def _starts(account: Account) -> tuple[int, dict[str, datetime | None]]:
    """Return the number of invocations that Scheduler dropped, and each function's last start, from CloudWatch."""
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
    """Return sums per minute, without zeros, of metrics given by namespace, name, and a dimension's name and value."""
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
    for result in results:
        values = zip(result["Timestamps"], result["Values"], strict=True)
        found[result["Id"]] |= {at: int(value) for at, value in values if value}
    return found


def event_sources(account: Account) -> Iterator[Step]:
    """Check that the shard queue starts poll, and that the table's stream starts notify."""
    for purpose, source, what in (("poll", ":sqs:", "the shard queue"), ("notify", ":dynamodb:", "the table's stream")):
        name = account.functions[purpose]
        mappings = account.pages("lambda", "list_event_source_mappings", "EventSourceMappings", FunctionName=name)
        mapping = next((found for found in mappings if source in found.get("EventSourceArn", "")), None)
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
    """Check the table's point-in-time recovery, time to live, stream and deletion protection."""
    name = account.output("TableName")
    backups = account.call("dynamodb", "describe_continuous_backups", TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    ttl = account.call("dynamodb", "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
    described = account.call("dynamodb", "describe_table", TableName=name)["Table"]
    again = "deploy again: the template sets it"
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
    """Check the age of the layer, and that it is built for the functions' processor."""
    seen: dict[str, Mapping[str, Any]] = {}
    for purpose, name in account.functions.items():
        function = account.call("lambda", "get_function_configuration", FunctionName=name)
        processors = set(function.get("Architectures", ("x86_64",)))
        for arn in (entry["Arn"] for entry in function.get("Layers", ())):
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
    """Check that each alarm on the functions' own metrics watches this deployment, and that required metrics exist."""
    alarms = [alarm for alarm in stack_alarms(account)["MetricAlarms"] if alarm.get("Namespace") == _NAMESPACE]
    own = {"Name": _DEPLOYMENT, "Value": account.stack.name}
    listed = account.pages("cloudwatch", "list_metrics", "Metrics", Namespace=_NAMESPACE, Dimensions=[own])
    existing = {_identity(metric) for metric in listed}
    wrong = [alarm["AlarmName"] for alarm in alarms if own not in alarm["Dimensions"]]
    for name in wrong:
        yield finding(f"alarm {name} also watches other deployments of this account", "deploy again: `make deploy`")
    needed = [
        alarm for alarm in alarms if alarm.get("TreatMissingData") == "breaching" and alarm["AlarmName"] not in wrong
    ]
    missing = [alarm for alarm in needed if _identity(alarm) not in existing]
    for alarm in missing:
        said = (
            f"metric {alarm['MetricName']} of this deployment does not exist: {alarm['AlarmName']} is always in ALARM"
        )
        yield finding(said, "wait for ten minutes after a deployment; then read the functions' logs")
    if alarms and not wrong and not missing:
        yield proven(
            f"{pluralize(len(alarms), 'alarm')} on {pluralize(len(existing), 'metric')} of this deployment alone"
        )
    if not alarms:
        yield finding("the stack has no alarm on its own metrics", "deploy again")


def _identity(metric: Mapping[str, Any]) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return the name and all dimensions, which identify a metric in CloudWatch."""
    return metric["MetricName"], frozenset((item["Name"], item["Value"]) for item in metric["Dimensions"])


def stack_alarms(account: Account) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the alarms of the stack; a name prefix would also match a stack with a longer name."""
    kinds = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
    names = [resource.id for resource in account.resources.values() if resource.type in kinds]
    found = account.call(
        "cloudwatch",
        "describe_alarms",
        AlarmNames=names or ["-"],
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        MaxRecords=100,
    )
    return {kind: found.get(kind, []) for kind in ("MetricAlarms", "CompositeAlarms")}


_CONCURRENT_NOTIFY: Final = 2
"""An execution started by the schedule, and one started by the stream."""
_WRITES_A_CHANGE: Final = 16
"""Write units, as counted by the tests of the store."""
_PARAMETERS_AT_ONCE: Final = 10
_PARAMETER_CALLS: Final = 40
"""Calls a second without higher throughput.
Source: https://docs.aws.amazon.com/general/latest/gr/ssm.html"""
_SECRETS_AT_ONCE: Final = 20
_SECRET_CALLS: Final = 100
"""Calls of BatchGetSecretValue a second; AWS does not raise it.
Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html"""
_PATIENCE: Final = 10.0
"""Seconds that a run may spend on reading secrets."""
_FIRST_SMS_LIMIT: Final = 1.0
"""Initial quota of every account in dollars a month: some dozens of messages."""
_HIGH_THROUGHPUT: Final = "/ssm/parameter-store/high-throughput-enabled"


def lambda_concurrency(account: Account) -> Iterator[Step]:
    limit = account.call("lambda", "get_account_settings")["AccountLimit"]
    free = int(limit["UnreservedConcurrentExecutions"])
    needed = 1 + _shards_at_once(account) + _CONCURRENT_NOTIFY
    said = f"up to {needed} concurrent executions are needed, and {free} are unreserved in this account"
    todo = "raise the quota `Concurrent executions` of Lambda in Service Quotas"
    yield proven(said) if free >= needed else finding(said, todo)


def _shards_at_once(account: Account) -> int:
    """Return how many shards may be polled concurrently; 0 if the fleet has no shards."""
    latest = max(account.application.store.coverages(), key=lambda row: row.started_at, default=None)
    shards = 1 if latest is None else latest.of
    if shards == 1:
        return 0
    mappings = account.pages(
        "lambda", "list_event_source_mappings", "EventSourceMappings", FunctionName=account.functions["poll"]
    )
    allowed = [int(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", shards)) for mapping in mappings]
    return min(shards, *allowed)


def dynamodb_throughput(account: Account) -> Iterator[Step]:
    """Check the write units for the case that all numbers change between two runs, as in an outage of the provider."""
    limits = account.call("dynamodb", "describe_limits")
    allowed = int(limits["TableMaxWriteCapacityUnits"])
    interval = interval_of(account.stack, timedelta(minutes=5))
    targets = len(account.application.settings.targets)
    needed = -(-targets * _WRITES_A_CHANGE // int(interval.total_seconds()))
    said = f"if every number changed in one interval, {needed} write units a second; a table may have {allowed}"
    todo = "raise the quota `Table-level write throughput limit` of DynamoDB in Service Quotas"
    yield proven(said) if allowed >= needed else finding(said, todo)


def parameter_throughput(account: Account) -> Iterator[Step]:
    count = len(_references(account, "ssm:"))
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
    count = len({reference.partition("#")[0] for reference in _references(account, "secretsmanager:")})
    seconds = -(-count // _SECRETS_AT_ONCE) / _SECRET_CALLS
    said = f"{pluralize(count, 'secret')} take {seconds:.1f} s to read at {_SECRET_CALLS} calls a second"
    yield proven(said) if seconds <= _PATIENCE else finding(said, "keep many keys in one JSON secret")


def _references(account: Account, scheme: str) -> list[str]:
    found = find_references(effective(account.application.settings))
    return [reference for reference in found if reference.startswith(scheme)]


def sms_spending(account: Account) -> Iterator[Step]:
    """Check the SMS sandbox and the spend limit, if a topic has SMS subscribers."""
    phones = 0
    for topic in account.topics.values():
        found = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
        phones += sum(subscription["Protocol"] == "sms" for subscription in found)
    if not phones:
        yield proven("no topic has SMS subscribers")
        return
    attributes = account.call("sns", "get_sms_attributes", attributes=["MonthlySpendLimit"])["attributes"]
    limit = float(attributes.get("MonthlySpendLimit", _FIRST_SMS_LIMIT))
    if account.call("sns", "get_sms_sandbox_account_status")["IsInSandbox"]:
        yield finding("the account is in the SMS sandbox: only verified phones get messages", "leave the SMS sandbox")
    said = f"{pluralize(phones, 'SMS subscriber')}, and a spend limit of ${limit:g} a month"
    todo = "raise the quota `SMS spending` of SNS: above it, messages are dropped silently"
    yield proven(said) if limit > _FIRST_SMS_LIMIT else finding(said, todo)
